"""Which way each sender's mail leaves, as lines that Postfix reads."""

from __future__ import annotations

from typing import Any

import pytest
from sites import make

from runbooklib.params import Site
from runbooklib.servers import nexthops
from runbooklib.servers.docker_mailserver import relaying
from runbooklib.servers.nexthops import Routes

BOX = [{"address": "hi@lantern.example", "password": "env:HI_PASSWORD"}]
OFFICE = {"provider": "smtp", "host": "smtp.example.net", "username": "u", "password": "env:OFFICE_SMTP"}
HARBOUR = {"provider": "mxroute", "host": "name.mxrouting.net", "port": 465}
LANTERN, PIER = "[smtp.example.net]:587", "[name.mxrouting.net]:465"


def two(first: str = "office", second: str = "harbour", **relays: Any) -> Site:
    """A site of two domains with a relay each."""
    domains = [{"name": "lantern.example", "relay": first, "mailboxes": BOX}, {"name": "pier.example", "relay": second}]
    return make(domains=domains, relays={"office": OFFICE, "harbour": HARBOUR} | relays)


def routes(site: Site, null: str = "office", **staying: str) -> Routes:
    return nexthops.wanted(site, null, {name.replace("_", "."): hop for name, hop in staying.items()})


def test_each_domain_and_the_null_sender_have_a_line() -> None:
    assert nexthops.sender_map(routes(two())) == (f"@lantern.example {LANTERN}\n@pier.example {PIER}\n<> {LANTERN}\n")


def test_everybody_else_goes_by_the_first_relay() -> None:
    assert relaying.environment(routes(two())) == [f"DEFAULT_RELAY_HOST={LANTERN}"]


@pytest.mark.parametrize(
    ("site", "null"), [(two(second="direct"), "office"), (two(), "direct")], ids=["a direct domain", "direct bounces"]
)
def test_where_anything_goes_directly_nobody_has_a_default_relay(site: Site, null: str) -> None:
    found = routes(site, null)
    assert relaying.environment(found) == []
    policies = relaying.main_cf(site, found, site.used_relays)[0]
    assert policies.endswith(" static:may")  # other people's servers need not speak TLS


def test_a_domain_that_must_wait_keeps_what_it_has_and_nobody_takes_its_mail() -> None:
    new = routes(two(), pier_example="")
    assert nexthops.sender_map(new) == f"@lantern.example {LANTERN}\n<> {LANTERN}\n"
    assert relaying.environment(new) == []  # or its mail would go to a relay that refuses it, and bounce
    switched = routes(two("harbour"), "harbour", lantern_example=LANTERN)
    assert nexthops.sender_map(switched).startswith(f"@lantern.example {LANTERN}\n")


def test_tls_to_the_relay_is_verified_and_its_own_ca_is_named() -> None:
    site = make(relays__office__ca="ca.pem")
    lines = relaying.main_cf(site, routes(site), site.used_relays)
    assert lines == [
        "smtp_tls_policy_maps = inline:{ { [smtp.example.net]:587 = secure match=smtp.example.net } }",
        "smtp_tls_CAfile = /tmp/docker-mailserver/relay-ca.pem",
    ]
    assert relaying.patches(routes(site)) == []


def test_implicit_tls_has_a_transport_of_its_own_beside_starttls() -> None:
    site = two()
    found = routes(site)
    lines = relaying.main_cf(site, found, site.used_relays)
    assert "sender_dependent_default_transport_maps = inline:{ { @pier.example = smtps-relay: } }" in lines
    assert "default_transport = smtps-relay" not in lines
    assert relaying.patches(found) == [
        "postconf -M 'smtps-relay/unix=smtps-relay unix - - n - - smtp -o smtp_tls_wrappermode=yes'"
    ]


def test_where_the_first_relay_begins_with_tls_the_others_say_that_they_do_not() -> None:
    site = two("harbour", "office")
    lines = relaying.main_cf(site, routes(site, "harbour"), site.used_relays)
    assert "default_transport = smtps-relay" in lines
    assert "sender_dependent_default_transport_maps = inline:{ { @pier.example = smtp: } }" in lines


def test_mail_without_a_sender_that_no_relay_takes_stays_here_and_postmaster_reads_it() -> None:
    site = make()
    found = routes(site, "postmaster")
    lines = relaying.main_cf(site, found, site.used_relays)
    assert any("{ <> = error:5.7.0 " in line for line in lines)
    assert "notify_classes = resource, software, 2bounce" in lines
    assert "2bounce_notice_recipient = postmaster@lantern.example" in lines
    assert "<>" not in nexthops.sender_map(found)


@pytest.mark.parametrize("password", ["plain-enough", "q\"uo'te$ #x", "co:lon:s", "pä ss wörd"])
def test_the_login_map_keeps_the_password_as_it_is(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SMTP", password)
    site = make()
    assert nexthops.logins(routes(site), site.used_relays) == f"[smtp.example.net]:587 u:{password}\n"


def test_two_logins_at_one_next_hop_are_told_apart_by_the_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OFFICE_SMTP", "first-key")
    monkeypatch.setenv("SECOND", "other-key")
    site = two("office", "other", other=OFFICE | {"password": "env:SECOND"})
    assert nexthops.logins(routes(site), site.used_relays).splitlines() == [
        f"{LANTERN} u:first-key",
        "@lantern.example u:first-key",
        "@pier.example u:other-key",
        "<> u:first-key",
    ]
