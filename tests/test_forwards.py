"""Mail sent on to addresses elsewhere: what params refuse, what the server's files say, which records it needs."""

from __future__ import annotations

from typing import Any

import pytest
from sites import given, make

from runbooklib import delivery, records
from runbooklib.host import Answer
from runbooklib.params import ParamsError, Site, load
from runbooklib.results import Status
from runbooklib.servers import addresses, doors, effective
from runbooklib.servers.docker_mailserver import layout, state
from runbooklib.servers.effective import Effective

ALIASES = "domains__0__aliases"
AWAY = {"sales@lantern.example": "ada@stranger.example"}
RESEND = {"provider": "resend", "password": "env:K"}
SES = {"provider": "smtp", "host": "email-smtp.eu-west-1.amazonaws.com", "username": "u", "password": "env:K"}
PIER = {
    "name": "pier.example",
    "relay": "direct",
    "mailboxes": [{"address": "bo@pier.example", "password": "env:BO"}],
}


def two(second: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A site whose second domain is pier.example, with these changes."""
    site = given(**changes)
    site["domains"].append(PIER | second)
    return site


def refused(site: dict[str, Any]) -> str:
    with pytest.raises(ParamsError) as error:
        load(site)
    return str(error.value)


# What params refuse


@pytest.mark.parametrize(
    ("relay", "changes"),
    [
        (RESEND, {ALIASES: AWAY}),
        (RESEND, {"domains__0__catch_all": "ada@stranger.example"}),
        (RESEND, {ALIASES: {"sales@lantern.example": ["hi@lantern.example", "ada@stranger.example"]}}),
        (SES, {ALIASES: AWAY}),
        (SES | {"host": "smtp.example.net", "forwards": False}, {ALIASES: AWAY}),
        (RESEND, {ALIASES: AWAY, "domains__0__forward": "office"}),
    ],
)
def test_a_forward_by_a_relay_that_checks_the_author_is_refused(relay: Any, changes: dict[str, Any]) -> None:
    said = refused(given(relays__office=relay, **changes))
    assert "ada@stranger.example is outside this site" in said
    assert "check the author address" in said
    assert "SRS changes only the envelope" in said
    for way in ("forward to direct", "forwards: true", "a mailbox here"):
        assert way in said


def test_the_refusal_names_the_path() -> None:
    said = refused(given(relays__office=RESEND, domains__0__catch_all="ada@stranger.example", **{ALIASES: AWAY}))
    assert "domains[0].catch_all: " in said
    assert "domains[0].aliases.sales@lantern.example: " in said


@pytest.mark.parametrize(
    ("relay", "forward", "route", "srs"),
    [
        (RESEND, "direct", "direct", "mail.lantern.example"),
        (RESEND | {"forwards": True}, None, "office", "lantern.example"),
        (SES | {"host": "smtp.example.net"}, None, "office", "lantern.example"),
        (SES, "direct", "direct", "mail.lantern.example"),
    ],
)
def test_a_forward_by_a_route_that_takes_it_is_taken(relay: Any, forward: str | None, route: str, srs: str) -> None:
    site = load(given(relays__office=relay, domains__0__forward=forward, **{ALIASES: AWAY}))
    assert site.forwards == {"sales@lantern.example": ("ada@stranger.example",)}
    assert (site.forward_route, site.srs_domain) == (route, srs)


def test_a_forward_by_another_domains_relay_carries_that_domain_in_the_envelope() -> None:
    site = load(
        two(
            {"relay": "mx"},
            relays={"office": RESEND, "mx": {"provider": "mxroute", "host": "n.mxrouting.net"}},
            domains__0__forward="mx",
            **{ALIASES: AWAY},
        )
    )
    assert (site.forward_route, site.srs_domain) == ("mx", "pier.example")


def test_a_route_without_forwards_is_harmless() -> None:
    for forward in ("direct", "office"):
        site = make(domains__0__forward=forward)
        assert (site.forwards, site.forward_route, site.srs_domain) == ({}, "", "")


def test_an_unknown_forward_route_is_refused() -> None:
    said = refused(given(domains__0__forward="ofice"))
    assert "domains[0].forward: 'ofice' is not one of direct, office" in said


@pytest.mark.parametrize("target", ["nobody@lantern.example", "root@mail.lantern.example"])
def test_a_target_inside_the_site_is_a_mailbox(target: str) -> None:
    said = refused(given(domains__0__forward="direct", **{ALIASES: {"sales@lantern.example": target}}))
    assert f"domains[0].aliases.sales@lantern.example: {target} is not a mailbox of this site" in said


def test_all_forwards_of_a_site_leave_by_one_route() -> None:
    away = {"away@pier.example": "ada@stranger.example"}
    said = refused(two({"aliases": away}, **{ALIASES: AWAY}))
    assert "several routes (lantern.example by office, pier.example by direct)" in said
    assert "the envelope no longer tells which domain" in said
    assert load(two({"aliases": away}, domains__0__forward="direct", **{ALIASES: AWAY})).forward_route == "direct"


def test_forwards_by_a_relay_that_sends_for_no_domain_are_refused() -> None:
    spare = {"provider": "mxroute", "host": "n.mxrouting.net"}
    site = given(relays__office=RESEND, domains__0__forward="spare", **{ALIASES: AWAY})
    site["relays"]["spare"] = spare
    assert "by spare, which sends for no domain of this site" in refused(site)


# What the server's files say


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ("ada@stranger.example", "hi@lantern.example,ada@stranger.example"),
        (["ada@stranger.example", "bo@else.example"], "hi@lantern.example,ada@stranger.example,bo@else.example"),
        (["ada@stranger.example", "hi@lantern.example"], "ada@stranger.example,hi@lantern.example"),
        ("hi@lantern.example", "hi@lantern.example"),
    ],
)
def test_a_local_copy_is_always_kept(targets: Any, line: str) -> None:
    site = make(**{ALIASES: {"sales@lantern.example": targets}})
    assert addresses.aliases(site)["sales@lantern.example"] == line


def test_a_catch_all_that_leads_away_keeps_a_copy_too_and_owns_nothing() -> None:
    site = make(domains__0__catch_all="ada@stranger.example")
    found = addresses.aliases(site)
    assert found["@lantern.example"] == "hi@lantern.example,ada@stranger.example"
    assert found["postmaster@lantern.example"] == "hi@lantern.example"


def test_senders_are_rewritten_only_where_something_is_sent_on() -> None:
    assert not [line for line in layout.environment(make()) if "SRS" in line]
    lines = layout.environment(make(domains__0__forward="direct", **{ALIASES: AWAY}))
    assert [line for line in lines if "SRS" in line] == [
        "ENABLE_SRS=1",
        "SRS_SENDER_CLASSES=envelope_sender",
        "SRS_DOMAINNAME=mail.lantern.example",
        "SRS_EXCLUDE_DOMAINS=mail.lantern.example,lantern.example",
    ]


def test_the_size_limit_and_quotas_are_in_the_environment() -> None:
    lines = layout.environment(make(mail__message_size_limit=25_000_000))
    assert {"POSTFIX_MESSAGE_SIZE_LIMIT=25000000", "ENABLE_QUOTAS=1"} <= set(lines)


@pytest.mark.parametrize(
    ("forward", "have", "status"),
    [
        ("direct", Effective(senders={"@lantern.example": "[smtp.example.net]:587"}), Status.PASS),
        ("direct", Effective(relayhost="[smtp.example.net]:587"), Status.FAIL),
        ("office", Effective(senders={"@lantern.example": "[smtp.example.net]:587"}), Status.PASS),
        ("office", Effective(), Status.FAIL),
    ],
)
def test_the_way_of_forwards_is_postfixs_for_their_new_sender(forward: str, have: Effective, status: Status) -> None:
    (row,) = effective.forwards(make(domains__0__forward=forward, **{ALIASES: AWAY}), have)
    assert (row.name, row.status) == ("relay.route forwards", status)
    assert effective.forwards(make(domains__0__forward=forward), have) == []


@pytest.mark.parametrize(
    ("script", "forward", "status"),
    [
        ('redirect "ada@stranger.example";', None, Status.WARN),
        ('if true { redirect :copy "ada@stranger.example"; }', None, Status.WARN),
        ('redirect "ada@stranger.example";', "direct", Status.PASS),
        ('redirect "hi@lantern.example";', None, Status.PASS),
        ('# keep; redirect nowhere\nfileinto "Junk";', None, Status.PASS),
    ],
)
def test_filters_that_send_mail_on_are_seen(script: str, forward: str | None, status: Status) -> None:
    site = make(**({"domains__0__forward": forward, ALIASES: AWAY} if forward else {}))
    row = doors.redirects(site, state.parse({"redirects": Answer(0, f"{script}\n", "")}).redirects)
    assert (row.name, row.status) == ("server.forwards.sieve", status)


def test_05_looks_for_the_copy_of_a_catch_all_that_leads_away() -> None:
    login = {"host": "smtp.example.org", "port": 587, "username": "u", "password": "env:P"}
    them = {"recipients": [{"address": "ada@example.org", "submission": login}]}
    site = make(domains__0__catch_all="ada@stranger.example", test=them)
    (letter,) = (x for x in delivery.plan(site).letters if x.route == "catch-all")
    assert letter.lands == "hi@lantern.example"


# Which records it needs


def rrsets(site: Site) -> dict[tuple[str, str], records.Wanted]:
    return {(w.name, w.type): w for w in records.desired(site)}


def test_forwards_that_leave_directly_need_spf_at_the_host_name_and_a_ptr() -> None:
    without = rrsets(make())
    assert ("mail.lantern.example", "TXT") not in without
    assert without["10.113.0.203.in-addr.arpa", "PTR"].advisory
    found = rrsets(make(domains__0__forward="direct", **{ALIASES: AWAY}))
    assert found["mail.lantern.example", "TXT"].values == ("v=spf1 ip4:203.0.113.10 ~all",)
    assert "SRS" in found["mail.lantern.example", "TXT"].reason
    assert not found["10.113.0.203.in-addr.arpa", "PTR"].advisory
    # The domain's own mail still leaves by its relay alone.
    assert found["lantern.example", "TXT"].values == without["lantern.example", "TXT"].values


@pytest.mark.parametrize("size", ["5G", "500M", "12k"])
def test_a_quota_is_a_size(size: str) -> None:
    boxes = [{"address": "hi@lantern.example", "password": "env:P", "quota": size}]
    assert make(domains__0__mailboxes=boxes).mailboxes["hi@lantern.example"].quota == size


@pytest.mark.parametrize("size", ["5GB", "5 G", "much"])
def test_another_quota_is_refused(size: str) -> None:
    boxes = [{"address": "hi@lantern.example", "password": "env:P", "quota": size}]
    assert "a size such as 500M or 5G" in refused(given(domains__0__mailboxes=boxes))
