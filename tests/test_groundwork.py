"""What must stand in DNS before a route moves, on zone literals."""

from __future__ import annotations

from typing import Any

import pytest
from sites import make

from runbooklib import relays, zone
from runbooklib.answers import Word
from runbooklib.results import Check, Status

AUTHORITY = "192.0.2.1"
HEAD = "@ 60 SOA ns1 h 7 3600 600 86400 300\n@ 60 NS ns1\nns1 60 A 192.0.2.1\n"
SPF = '@ 60 TXT "v=spf1 mx include:spf.example.net -all"\n'
KEY = "office._domainkey 60 CNAME lantern.dkim.example.net.\n"
DKIM = [{"selector": "office", "cname": "lantern.dkim.example.net"}]
HOP = "[smtp.example.net]:587"


def row(text: str, current: str = "", outage: Word | None = None, **changes: Any) -> Check:
    """The row of a domain whose zone holds `text`."""
    site = make(relays__office__dkim=DKIM, dns={"resolvers": [AUTHORITY], "authoritative": [AUTHORITY]}, **changes)
    outages = {(AUTHORITY, "office._domainkey.lantern.example"): outage} if outage else {}
    wire = zone.Literal({AUTHORITY: {"lantern.example": HEAD + text}}, outages=outages)
    found = zone.groundwork(site, relays.records(site), {"lantern.example": current}, wire)
    return found["relay.records lantern.example"]


def test_everything_stands() -> None:
    assert row(SPF + KEY).status is Status.PASS


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        (KEY, "lantern.example TXT"),
        (SPF, "office._domainkey.lantern.example CNAME"),
        ('@ 60 TXT "v=spf1 mx -all"\n' + KEY, "lantern.example TXT"),
        (SPF + "office._domainkey 60 CNAME other.example.net.\n", "office._domainkey.lantern.example CNAME"),
    ],
    ids=["no SPF", "no key", "SPF without the relay", "the key of another"],
)
def test_what_is_missing_is_waited_for(text: str, missing: str) -> None:
    found = row(text)
    assert (found.status, found.waits_for) == (Status.PENDING, "04-dns")
    assert missing in found.observed


def test_silence_is_unknown_and_blocks_only_a_switch() -> None:
    before = row(SPF + KEY, outage=Word.SERVFAIL)
    assert before.status is Status.UNKNOWN
    assert before.blocks
    after = row(SPF + KEY, current=HOP, outage=Word.SERVFAIL)
    assert after.status is Status.UNKNOWN
    assert not after.blocks


def test_a_relay_of_which_nothing_is_known_warns_before_the_switch() -> None:
    bare = {"provider": "smtp", "host": "smtp.example.net"}
    site = make(relays__office=bare, dns={"resolvers": [AUTHORITY], "authoritative": [AUTHORITY]})
    wire = zone.Literal({AUTHORITY: {"lantern.example": HEAD}})
    (found,) = zone.groundwork(site, relays.records(site), {}, wire)
    assert found.status is Status.WARN
    assert found.fix


def test_a_domain_that_sends_directly_has_no_row() -> None:
    site = make(domains__0__relay="direct", dns={"resolvers": [AUTHORITY], "authoritative": [AUTHORITY]})
    wire = zone.Literal({AUTHORITY: {"lantern.example": HEAD}})
    assert len(zone.groundwork(site, (), {}, wire)) == 0
