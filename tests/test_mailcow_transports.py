"""mailcow's tables of mail that leaves, read as its Postfix does: the cases a real one was asked with postmap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sites

from runbooklib.params import Relay
from runbooklib.servers.mailcow import transports
from runbooklib.servers.mailcow.state import Alias, Box, Hosted, State
from runbooklib.servers.mailcow.transports import Outbound, Policy, Transport, Way, digest

A, B, C = "[relay-a.example]:587", "[relay-b.example]:587", "[relay-c.example]:587"
LOGIN_A, LOGIN_B, LOGIN_C = digest("userA", "pwA"), digest("userB", "pwB"), digest("user:C", "p:C")
ROWS = {
    "3": Transport("3", A, "userA", LOGIN_A),
    "4": Transport("4", B, "userB", LOGIN_B),
    "5": Transport("5", C, "user:C", LOGIN_C),
}


def outbound(domain: str = "3", box: str = "4", rows: dict[str, Transport] | None = None) -> Outbound:
    """Two mailboxes of example.org, b with a transport of its own, an alias of it, a catch-all, an alias domain."""
    have = State(
        domains={"example.org": Hosted("example.org", relayhost=domain)},
        alias_domains={"example.net": "example.org"},
        mailboxes={"a@example.org": Box("a@example.org"), "b@example.org": Box("b@example.org", relayhost=box)},
        aliases={
            "alias-of-b@example.org": Alias("7", "alias-of-b@example.org", frozenset({"b@example.org"})),
            "off@example.org": Alias("8", "off@example.org", frozenset({"b@example.org"}), active=False),
            "both@example.org": Alias("9", "both@example.org", frozenset({"a@example.org", "b@example.org"})),
            "@example.org": Alias("10", "@example.org", frozenset({"b@example.org"})),
        },
    )
    return Outbound(have, ROWS if rows is None else rows)


@pytest.mark.parametrize(
    ("sender", "way"),
    [
        ("a@example.org", Way(A, LOGIN_A)),
        ("b@example.org", Way(B, LOGIN_A, crossed=True)),
        ("alias-of-b@example.org", Way(B, LOGIN_A, crossed=True)),
        ("anything@example.org", Way(A, LOGIN_A)),
        ("@example.org", Way(A, LOGIN_A)),
        ("off@example.org", Way(A, LOGIN_A)),
        ("both@example.org", Way(A, LOGIN_A)),
        ("a@example.net", Way(A, LOGIN_A)),
        ("stranger@other.example", Way()),
    ],
)
def test_host_and_login_come_from_opposite_ends(sender: str, way: Way) -> None:
    assert outbound().way(sender) == way


@pytest.mark.parametrize(
    ("domain", "sender", "way"),
    [
        ("0", "a@example.org", Way()),
        ("0", "b@example.org", Way(B, LOGIN_B)),
        ("4", "b@example.org", Way(B, LOGIN_B)),
        ("5", "a@example.org", Way(C, LOGIN_C)),
        ("999", "a@example.org", Way()),
        ("999", "b@example.org", Way(B, LOGIN_B)),
    ],
)
def test_what_the_domain_names_decides_for_the_others(domain: str, sender: str, way: Way) -> None:
    assert outbound(domain).way(sender) == way


def test_an_inactive_or_missing_row_is_silently_direct() -> None:
    out = outbound("5", rows=ROWS | {"5": replace(ROWS["5"], active=False)})
    assert out.way("a@example.org") == Way()
    assert [out.dangles(row) for row in ("0", "3", "5", "999")] == [False, False, True, True]


def test_two_rows_with_the_same_login_cross_nothing() -> None:
    assert not outbound(rows=ROWS | {"4": replace(ROWS["3"], id="4")}).way("b@example.org").crossed


def test_a_row_without_a_user_brings_no_login() -> None:
    out = outbound(rows=ROWS | {"3": Transport("3", A)})
    assert (out.way("a@example.org"), out.way("b@example.org").crossed) == (Way(A), True)


def test_a_row_is_read_without_its_password() -> None:
    told = {"id": 4, "hostname": A, "username": "u", "password": r"se\\:cr:et", "active": 1, "used_by_domains": "x"}
    row = transports.transport(told)
    assert row == Transport("4", A, "u", digest("u", r"se\\:cr:et"), active=True, escaped=True, used=True)
    assert "cr" not in repr(row)
    assert row.login not in repr(row)
    assert not transports.transport({"id": 1, "hostname": A, "username": "", "password": "x", "active": 0}).login


@pytest.mark.parametrize(
    ("hop", "hangs"),
    [
        ("[relay.example]:465", True),
        ("[relay.example]:2465", True),
        ("relay.example:465", True),
        ("[relay.example]:587", False),
        ("[relay.example]:4650", False),
        ("[2001:db8::465]", False),
        ("relay.example", False),
    ],
)
def test_ports_that_begin_with_tls_are_known(hop: str, hangs: bool) -> None:
    assert Transport("1", hop).hangs is hangs


def relay(**changes: Any) -> Relay:
    return sites.make(**{f"relays__office__{name}": value for name, value in changes.items()}).relays["office"]


@pytest.mark.parametrize(
    ("level", "parameters", "public", "private"),
    [
        ("secure", "match=smtp.example.net", True, True),
        ("secure", "", True, True),
        ("secure", "match=nexthop", True, True),
        ("secure", "match=other.example", False, True),
        ("secure", "match=smtp.example.net:.example.net", False, True),
        ("fingerprint", "match=ab:cd", True, True),
        ("dane-only", "", True, True),
        ("verify", "", False, True),
        ("encrypt", "", False, True),
        ("dane", "", False, False),
        ("may", "", False, False),
        ("none", "", False, False),
    ],
)
def test_which_policies_suffice(level: str, parameters: str, public: bool, private: bool) -> None:
    policy = Policy("1", "[smtp.example.net]:587", level, parameters)
    assert (policy.suffices(relay()), policy.suffices(relay(ca="ca.pem"))) == (public, private)
    assert not replace(policy, active=False).suffices(relay(ca="ca.pem"))


def test_what_is_written_suffices() -> None:
    for office in (relay(), relay(ca="ca.pem")):
        level, parameters = transports.policy_for(office)
        assert Policy("1", "", level, parameters).suffices(office)


def test_of_two_rows_the_one_in_use_counts_then_the_active_one_then_the_oldest() -> None:
    rows = [
        Transport("9", "[smtp.example.net]:587", "u"),
        Transport("10", "[smtp.example.net]:587", "u", used=True),
        Transport("2", "[smtp.example.net]:587", "u", active=False),
        Transport("11", "[smtp.example.net]:587", "u"),
        Transport("1", "[smtp.example.net]:587", "other"),
        Transport("3", "smtp.example.net:587", "u"),
    ]
    assert [t.id for t in transports.of(relay(), rows)] == ["10", "9", "11", "2"]
