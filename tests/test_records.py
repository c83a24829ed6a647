"""Desired records, comparison by meaning, plans and verdicts: zones as literals, no network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
import sites
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import records, relays, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.dmarc.ladder import Rung
from runbooklib.params import Site
from runbooklib.records import Desired, RecordChange, Wanted, policies
from runbooklib.results import Check, Checklist, GateError, Outcome, Plan, Status

KEY = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu"
OTHER_KEY = KEY[::-1].replace("=", "")[:80]
AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\n@ 3600 NS ns1.lantern.example.\n"
REVERSE = {"113.0.203.in-addr.arpa": "@ 60 SOA a. h. 1 2 3 4 60\n10 60 PTR mail.lantern.example."}
DKIM = {"selector": "relay", "cname": "lantern-example.dkim.relay.example"}
RELAY_ZONE = {"relay.example": f'@ 60 SOA a. h. 1 2 3 4 60\nlantern-example.dkim 60 TXT "v=DKIM1; p={KEY}"'}
GOOD = f"""
mail 300 A 203.0.113.10
@ 300 MX 10 mail.lantern.example.
@ 300 TXT "v=spf1 include:spf.example.net ~all"
mail._domainkey 300 TXT "v=DKIM1; p={KEY}"
relay._domainkey 300 CNAME lantern-example.dkim.relay.example.
_dmarc 300 TXT "v=DMARC1; p=none"
"""


def site(**changes: Any) -> Site:
    dns = {"resolvers": [RESOLVER], "authoritative": [AUTHORITY]}
    return sites.make(**{"dns": dns, "relays__office__dkim": [DKIM]} | changes)


def key(value: str = f"v=DKIM1; h=sha256; k=rsa; p={KEY}") -> Wanted:
    name = "mail._domainkey.lantern.example"
    return Wanted(name, "TXT", (value,), 3600, "signs", "RFC 6376 3.6.2", "03-dkim")


def wanted(here: Site) -> Desired:
    return records.desired(here, [key()], relays.records(here))


def world(text: str, cached: str | None = None, **outages: Word) -> zone.Literal:
    """An authoritative server holding `text`, a resolver that repeats it or what it has cached."""
    seen = {"lantern.example": HEAD + (text if cached is None else cached), **REVERSE, **RELAY_ZONE}
    lost = {(server.replace("_", "."), "*"): word for server, word in outages.items()}
    return zone.Literal({AUTHORITY: {"lantern.example": HEAD + text}, RESOLVER: seen}, frozenset({RESOLVER}), lost)


def walked(text: str, here: Site | None = None, **more: Any) -> tuple[Plan, Checklist]:
    """The unapplied stage in a world."""
    here = here or site()
    seen = zone.observe(here, wanted(here), wire=world(text, **more))
    plan = records.diff(wanted(here), seen)
    return plan, records.verify(wanted(here), seen, plan)


def row(checks: Iterable[Check], start: str) -> Check:
    (found,) = [c for c in checks if c.name.startswith(start)]
    return found


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


def test_a_site_wants_these_records_each_with_reason_reference_and_stage() -> None:
    want = wanted(site())
    assert [(w.name, w.type, w.values) for w in want] == [
        ("mail.lantern.example", "A", ("203.0.113.10",)),
        ("lantern.example", "MX", ("10 mail.lantern.example",)),
        ("lantern.example", "TXT", ("v=spf1 include:spf.example.net ~all",)),
        ("mail._domainkey.lantern.example", "TXT", key().values),
        ("relay._domainkey.lantern.example", "CNAME", ("lantern-example.dkim.relay.example",)),
        ("_dmarc.lantern.example", "TXT", ("v=DMARC1; p=none",)),
        ("10.113.0.203.in-addr.arpa", "PTR", ("mail.lantern.example",)),
    ]
    assert all(w.reason and w.ref and w.stage for w in want)
    assert len({w.check for w in want}) == len(want)
    assert "signs" in str(want)


def test_an_ipv6_address_brings_aaaa_and_its_reverse() -> None:
    want = wanted(site(server__ipv6="2001:db8::10"))
    assert {"dns.address.ipv6 mail.lantern.example", "dns.ptr 2001:db8::10"} <= {w.check for w in want}


def test_a_direct_domain_authorises_the_server_itself_and_its_helo_name() -> None:
    want = {w.check: w for w in wanted(site(domains__0__relay="direct"))}
    assert want["dns.spf lantern.example"].values == ("v=spf1 ip4:203.0.113.10 ~all",)
    assert want["dns.spf mail.lantern.example"].values == ("v=spf1 ip4:203.0.113.10 ~all",)
    assert not want["dns.ptr 203.0.113.10"].advisory
    assert not any("relay" in name for name in want)


def test_a_relay_with_a_return_path_leaves_the_apex_alone() -> None:
    here = site(relays={"office": {"provider": "resend", "password": "env:X"}})
    want = {w.check: w for w in wanted(here)}
    assert "dns.spf lantern.example" not in want
    assert want["dns.spf send.lantern.example"].values == ("v=spf1 include:amazonses.com ~all",)
    assert want["dns.mx send.lantern.example"].values == ("10 feedback-smtp.us-east-1.amazonses.com",)
    assert want["dns.dkim resend._domainkey.lantern.example"].values == ()


def test_mxroute_names_its_pool_and_its_selector() -> None:
    relay = {"provider": "mxroute", "host": "name.mxrouting.net"}
    want = {w.check: w for w in wanted(site(relays={"office": relay}))}
    assert want["dns.spf lantern.example"].values == ("v=spf1 include:mxroute.com ~all",)
    assert "dns.dkim x._domainkey.lantern.example" in want


def test_a_reporting_address_stands_in_dmarc() -> None:
    want = wanted(site(domains__0__dmarc={"policy": "none", "rua": "hi@lantern.example"}))
    assert row_of(want, "dns.dmarc").values == ("v=DMARC1; p=none; rua=mailto:hi@lantern.example",)


def row_of(want: Desired, start: str) -> Wanted:
    (found,) = [w for w in want if w.check.startswith(start)]
    return found


def test_an_empty_zone_is_planned_in_the_order_names_are_needed() -> None:
    plan, checks = walked("")
    assert [c.target for c in plan] == [
        "mail.lantern.example A",
        "lantern.example MX",
        "lantern.example TXT",
        "mail._domainkey.lantern.example TXT",
        "relay._domainkey.lantern.example CNAME",
        "_dmarc.lantern.example TXT",
    ]
    assert not plan.refusals
    assert {c.status for c in checks} == {Status.PENDING}
    assert checks.require() is checks


def test_a_right_zone_passes_and_has_an_empty_plan() -> None:
    plan, checks = walked(GOOD)
    assert not plan
    assert {c.name: c.status for c in checks if c.status is not Status.PASS} == {}
    assert len(checks) == 9


SAME = [
    ("v=spf1 include:spf.example.net ~all", "v=spf1 a Include:SPF.example.net. -all"),
    ("v=DMARC1; p=none", "v=DMARC1;p=reject;  rua=mailto:x@example.org"),
    (f"v=DKIM1; p={KEY}", f"k=rsa; p={KEY[:30]} {KEY[30:]}"),
    (f'"v=DKIM1; p={KEY}"', f'"v=DKIM1; h=sha256; p={KEY[:20]}" "{KEY[20:]}"'),
    ("MX 10 mail.lantern", "MX 50 MAIL.Lantern"),
    ('@ 300 TXT "v=spf1', '@ 300 TXT "other=1"\n@ 300 TXT "v=spf1'),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_means_the_same_is_left_alone(old: str, new: str) -> None:
    plan, checks = walked(changed(GOOD, old, new))
    assert not plan
    assert not plan.refusals
    assert checks.status is Status.PASS


CORRECTED = [
    ("v=spf1 include:spf.example.net ~all", "v=spf1 mx -all", "v=spf1 mx include:spf.example.net -all"),
    ("10 mail.lantern.example.", "0 .", "10 mail.lantern.example"),
    (KEY, KEY[:60], key().values[0]),
    (f"p={KEY}", "p=%%%", key().values[0]),
]


@pytest.mark.parametrize(("old", "new", "after"), CORRECTED)
def test_what_lacks_something_is_corrected_with_the_old_value_shown(old: str, new: str, after: str) -> None:
    plan, checks = walked(changed(GOOD, old, new))
    (change,) = plan
    assert change.after == after
    assert change.before
    assert change.before in change.undo
    assert not plan.refusals
    assert checks.status is Status.PENDING


def test_a_correction_keeps_ttl_and_neighbours() -> None:
    zone_text = changed(GOOD, "include:spf.example.net ~all", 'mx -all"\n@ 300 TXT "site-verification=a" "b')
    (change,) = walked(zone_text)[0]
    assert isinstance(change, RecordChange)
    assert change.ttl == 300
    assert change.removed == ('"v=spf1 mx -all"',)
    assert change.stands == ('"site-verification=a" "b"', '"v=spf1 mx -all"')
    assert change.added == ("v=spf1 mx include:spf.example.net -all",)


def test_a_weaker_policy_is_raised_and_keeps_its_tags() -> None:
    here = site(domains__0__dmarc={"policy": "quarantine"})
    proved = policies.wanted(here, {"lantern.example": Rung("lantern.example", "quarantine")})
    stands = world(changed(GOOD, "p=none", "p=none; sp=reject; rua=mailto:x@example.org"))
    want = records.desired(here, [key()], relays.records(here), proved)
    (change,) = records.diff(want, zone.observe(here, want, wire=stands))
    assert change.after == "v=DMARC1; p=quarantine; sp=reject; rua=mailto:x@example.org"


LEFT = [
    ("10 mail.lantern.example.", "10 aspmx.l.example.net.", "dns.mx", Status.WARN, "aspmx.l.example.net receives"),
    (
        "10 mail.lantern.example.",
        "10 mail.lantern.example.\n@ 300 MX 20 old.example.net.",
        "dns.mx",
        Status.WARN,
        "old.example.net receives for lantern.example beside us",
    ),
    ("A 203.0.113.10", "A 203.0.113.99", "dns.address", Status.FAIL, "203.0.113.99"),
    ("A 203.0.113.10", "A 203.0.113.10\nmail 300 A 203.0.113.99", "dns.address", Status.FAIL, "203.0.113.99"),
    ("A 203.0.113.10", "CNAME cdn.example.net.", "dns.address", Status.FAIL, "CNAME cdn.example.net"),
    ("v=spf1 include:spf.example.net ~all", "v=spf1 inclood:x ~all", "dns.spf", Status.FAIL, "permerror"),
    ("~all", "+all", "dns.spf", Status.WARN, "+all"),
    (
        "~all",
        '~all"\n@ 300 TXT "v=spf1 mx -all',
        "dns.spf",
        Status.FAIL,
        "2 SPF records",
    ),
    ("p=none", "p=nothing", "dns.dmarc", Status.FAIL, "p=nothing"),
    ("p=none", 'p=none"\n_dmarc 300 TXT "v=DMARC1; p=reject', "dns.dmarc", Status.FAIL, "2 DMARC records"),
    (
        f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}"',
        f'mail._domainkey 300 TXT "p={KEY}"\nmail._domainkey 300 TXT "p={OTHER_KEY}"',
        "dns.dkim mail",
        Status.FAIL,
        "2 TXT records",
    ),
    (
        "relay._domainkey 300 CNAME lantern-example.dkim.relay.example.",
        f'relay._domainkey 300 TXT "p={KEY}"',
        "dns.dkim relay",
        Status.WARN,
        "TXT p=",
    ),
    (
        "relay._domainkey 300 CNAME lantern-example.dkim.relay.example.",
        'relay._domainkey 300 TXT "something"',
        "dns.dkim relay",
        Status.FAIL,
        "no key",
    ),
]


@pytest.mark.parametrize(("old", "new", "check", "status", "said"), LEFT)
def test_what_is_not_ours_to_change_is_left_and_named(
    old: str, new: str, check: str, status: Status, said: str
) -> None:
    plan, checks = walked(changed(GOOD, old, new))
    found = row(checks, f"{check} " if " " not in check and check != "dns.address" else check)
    assert not plan
    assert found.status is status
    assert said in found.observed
    assert found.fix


REFUSED = [
    (f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}', f'mail._domainkey 300 TXT "v=DKIM1; p={OTHER_KEY}'),
    (f'mail._domainkey 300 TXT "v=DKIM1; p={KEY}', 'mail._domainkey 300 TXT "v=DKIM1; p='),
    ("CNAME lantern-example.dkim.relay.example.", "CNAME other.dkim.example.net."),
]


@pytest.mark.parametrize("spoilt", [KEY[:60], KEY.lower()])
def test_a_key_of_ours_that_a_panel_spoilt_is_published_whole(spoilt: str) -> None:
    plan, _ = walked(changed(GOOD, f"p={KEY}", f"p={spoilt}"))
    assert [c.target for c in plan] == ["mail._domainkey.lantern.example TXT"]
    assert not plan.refusals


@pytest.mark.parametrize("text", ["hello", "google-site-verification=abc", "v=spf1 -all"])
def test_a_strangers_text_where_a_key_belongs_is_left(text: str) -> None:
    plan, checks = walked(changed(GOOD, f"v=DKIM1; p={KEY}", text))
    found = row(checks, "dns.dkim mail")
    assert not plan.touches("mail._domainkey.lantern.example TXT")
    assert (found.status, text in found.observed) == (Status.FAIL, True)
    assert "remove it yourself" in found.fix


@pytest.mark.parametrize("text", ["v=DKIM1; p=%%", f"v=DKIM1 p={OTHER_KEY}", "p=#"])
def test_a_key_that_nobody_can_read_is_corrected(text: str) -> None:
    plan, _ = walked(changed(GOOD, f"v=DKIM1; p={KEY}", text))
    assert plan.touches("mail._domainkey.lantern.example TXT")


@pytest.mark.parametrize(("old", "new"), REFUSED)
def test_a_key_that_may_sign_today_is_never_replaced(old: str, new: str) -> None:
    plan, checks = walked(changed(GOOD, old, new).replace("_dmarc 300", ";"))
    assert [c.target for c in plan] == ["_dmarc.lantern.example TXT"]
    assert len(plan.refusals) == 1
    failed = [c for c in checks if c.status is Status.FAIL]
    assert [c.name.split()[0] for c in failed] == ["dns.dkim"]
    assert "settle" in row(checks, "dns.dmarc").fix


def test_the_two_spf_records_are_shown_as_one() -> None:
    _, checks = walked(changed(GOOD, "~all", '~all"\n@ 300 TXT "v=spf1 mx -all'))
    assert "v=spf1 mx include:spf.example.net" in row(checks, "dns.spf").fix.replace(
        "include:spf.example.net mx", "mx include:spf.example.net"
    )


def test_a_plan_that_drops_more_than_it_adds_is_dangerous() -> None:
    change = RecordChange(0, "lantern.example TXT", "", "", "", removed=('"a"', '"b"'), added=("c",))
    assert records.dangers([change]) == ("lantern.example TXT: would drop 2 values and add 1",)
    assert records.dangers([replace(change, removed=('"a"',))]) == ()


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.SERVFAIL, Word.REFUSED, Word.UNREACHABLE, Word.LAME])
def test_a_silent_authority_is_unknown_and_nothing_is_planned(word: Word) -> None:
    plan, checks = walked("", **{"192_0_2_1": word})
    assert not plan
    assert row(checks, "dns.mx").status is Status.UNKNOWN
    assert str(word) in row(checks, "dns.mx").observed
    with pytest.raises(GateError, match=r"dns\.mx"):
        checks.require()


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.SERVFAIL, Word.REFUSED])
def test_silent_resolvers_are_unknown_not_wrong(word: Word) -> None:
    plan, checks = walked(GOOD, **{"192_0_2_53": word})
    assert not plan
    assert row(checks, "dns.mx").status is Status.UNKNOWN
    assert row(checks, "dns.dkim.key").status is Status.UNKNOWN
    assert row(checks, "dns.ptr").advisory
    assert ("no server of the zone" in row(checks, "dns.mx").fix) == (word is Word.SERVFAIL)


def test_one_resolver_of_two_may_be_silent() -> None:
    here = site(dns={"resolvers": [RESOLVER, "192.0.2.99"], "authoritative": [AUTHORITY]})
    _, checks = walked(GOOD, here)
    assert row(checks, "dns.mx").status is Status.PASS
    assert "192.0.2.99 unreachable" in row(checks, "dns.mx").observed


def test_a_resolver_with_old_data_is_pending_until_a_time() -> None:
    _, checks = walked(GOOD, cached=changed(GOOD, "10 mail", "10 old"))
    found = row(checks, "dns.mx")
    assert found.status is Status.PENDING
    assert "says 10 old.lantern.example, cached until" in found.observed
    assert "run again after" in found.fix


def test_resolvers_are_not_asked_for_what_is_not_there_yet() -> None:
    here = site()
    seen = zone.observe(here, wanted(here), wire=world(""))
    assert {a.question.type for a in seen if a.recursive} == {"PTR"}


def test_one_stale_authority_of_two_is_a_failure_and_no_change() -> None:
    here = site(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY, "192.0.2.2"]})
    servers = dict(world(GOOD).servers) | {"192.0.2.2": {"lantern.example": HEAD}}
    seen = zone.observe(here, wanted(here), wire=zone.Literal(servers, frozenset({RESOLVER})))
    plan = records.diff(wanted(here), seen)
    assert not plan
    assert row(records.verify(wanted(here), seen, plan), "dns.mx").status is Status.FAIL


def test_after_publishing_the_same_stale_server_is_waited_for() -> None:
    here = site(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY, "192.0.2.2"]})
    servers = dict(world(GOOD).servers) | {"192.0.2.2": {"lantern.example": HEAD}}
    plan = records.diff(wanted(here), zone.observe(site(), wanted(here), wire=world("")))
    done = Outcome(plan, plan.changes, applied=True)
    seen = zone.observe(here, wanted(here), after=done, wire=zone.Literal(servers, frozenset({RESOLVER})))
    assert row(records.verify(wanted(here), seen, plan), "dns.mx").status is Status.PENDING


def test_published_and_not_there_is_a_failure() -> None:
    here = site()
    plan = records.diff(wanted(here), zone.observe(here, wanted(here), wire=world("")))
    seen = zone.observe(here, wanted(here), after=Outcome(plan, plan.changes, applied=True), wire=world(""))
    assert row(records.verify(wanted(here), seen, plan), "dns.mx").status is Status.FAIL


def test_a_key_not_made_yet_waits_for_its_stage() -> None:
    here = site()
    missing = replace(key(), values=(), known_after="03-dkim")
    want = records.desired(here, [missing], relays.records(here))
    seen = zone.observe(here, want, wire=world(""))
    found = row(records.verify(want, seen, records.diff(want, seen)), "dns.dkim mail")
    assert (found.status, found.waits_for) == (Status.PENDING, "03-dkim")


def test_what_params_do_not_say_is_unknown_and_stops_nobody() -> None:
    here = site(relays__office={"provider": "smtp", "host": "smtp.example.net"})
    _, checks = walked(GOOD, here)
    found = row(checks, "dns.spf")
    assert (found.status, found.advisory) == (Status.UNKNOWN, True)
    assert checks.require() is checks


@pytest.mark.parametrize(
    ("behind", "status"),
    [("v=DKIM1; p=", Status.FAIL), ("nonsense", Status.FAIL), (f"p={KEY}", Status.PASS)],
)
def test_the_key_behind_the_alias_must_be_readable(behind: str, status: Status) -> None:
    here = site()
    wire = world(GOOD)
    zones = dict(wire.servers[RESOLVER]) | {
        "relay.example": f'@ 60 SOA a. h. 1 2 3 4 60\nlantern-example.dkim 60 TXT "{behind}"'
    }
    wire = zone.Literal(dict(wire.servers) | {RESOLVER: zones}, frozenset({RESOLVER}))
    seen = zone.observe(here, wanted(here), wire=wire)
    checks = records.verify(wanted(here), seen, records.diff(wanted(here), seen))
    assert row(checks, "dns.dkim.key").status is status
    assert row(checks, "dns.dkim relay").status is Status.PASS


@pytest.mark.parametrize(
    ("relay", "reverse", "status"),
    [
        ("office", "10 60 PTR mail.lantern.example.", Status.PASS),
        ("office", "10 60 PTR vps-17.provider.example.", Status.WARN),
        ("office", "", Status.WARN),
        ("direct", "10 60 PTR vps-17.provider.example.", Status.FAIL),
        ("direct", "10 60 PTR MAIL.lantern.example.", Status.PASS),
    ],
)
def test_reverse_dns_decides_only_where_we_send_directly(relay: str, reverse: str, status: Status) -> None:
    here = site(domains__0__relay=relay)
    wire = world(GOOD + 'mail 300 TXT "v=spf1 ip4:203.0.113.10 -all"')
    zones = dict(wire.servers[RESOLVER]) | {"113.0.203.in-addr.arpa": f"@ 60 SOA a. h. 1 2 3 4 60\n{reverse}"}
    wire = zone.Literal(dict(wire.servers) | {RESOLVER: zones}, frozenset({RESOLVER}))
    seen = zone.observe(here, wanted(here), wire=wire)
    found = row(records.verify(wanted(here), seen, records.diff(wanted(here), seen)), "dns.ptr")
    assert found.status is status
    assert status is Status.PASS or "ask the provider" in found.fix


@pytest.mark.parametrize(
    ("above", "ours", "planned"),
    [
        ("v=DMARC1; p=reject", "none", False),
        ("v=DMARC1; p=none; sp=quarantine", "none", False),
        ("v=DMARC1; p=reject; sp=none", "none", True),
        ("v=DMARC1; p=quarantine", "reject", False),  # no reports prove more than none
        ("no policy", "none", True),
    ],
)
def test_a_policy_from_above_is_not_weakened(above: str, ours: str, planned: bool) -> None:
    here = site(
        domains=[
            {"name": "blog.lantern.example", "relay": "office", "dmarc": {"policy": ours}},
            sites.GIVEN["domains"][0],
        ]
    )
    text = changed(GOOD, "v=DMARC1; p=none", above)
    plan, checks = walked(text, here)
    assert plan.touches("_dmarc.blog.lantern.example") is planned
    assert (row(checks, "dns.dmarc _dmarc.blog").status is Status.PASS) is not planned


def test_texts_are_cut_at_255_octets_and_quoted() -> None:
    assert records.strings("a" * 255 + "b") == (b"a" * 255, b"b")
    assert records.quoted('say "x\\y"\n') == '"say \\"x\\\\y\\"\\010"'
    assert records.strings("") == (b"",)


WANTED = wanted(site())
HOSTILE = st.text(max_size=80) | st.sampled_from(
    [
        "v=spf1",
        "v=spf1 a",
        "v=DMARC1; p=reject",
        "v=DMARC1",
        "v=DKIM1; p=",
        f"p={KEY}",
        "p=%",
        ";;;",
        '"',
        "v=spf1 -all ",
    ]
)


@settings(deadline=None)
@given(st.lists(HOSTILE, max_size=4), st.lists(st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True), max_size=2))
def test_any_answer_compares_without_surprise_and_a_correction_is_stable(values: list[str], chain: list[str]) -> None:
    for want in WANTED:
        shown = tuple(values) if want.asked[1] == "TXT" else ()
        answer = Answer(Question(*want.asked), AUTHORITY, Word.NOERROR, values=shown, chain=tuple(chain))
        compared = records.compare(want, answer)
        assert compared.status in {Status.PASS, Status.WARN, Status.FAIL}
        if compared.values is not None and want.type != "CNAME":
            assert not compared.refusal
            assert set(shown) - set(compared.values) == set(shown) & (set(shown) - set(compared.values))
            assert records.compare(want, replace(answer, values=compared.values, chain=())).good
