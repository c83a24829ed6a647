"""What a record's words mean, in words."""

from __future__ import annotations

import pytest

from runbooklib import spf
from runbooklib.results import Status


@pytest.mark.parametrize(
    ("record", "status", "said"),
    [
        ("v=spf1 mx -all", Status.PASS, "refuse"),
        ("v=spf1 mx ~all", Status.PASS, "suspect"),
        ("v=spf1 mx ?all", Status.WARN, "nothing is said"),
        ("v=spf1 mx", Status.WARN, "nothing is said"),
        ("v=spf1 mx +all", Status.FAIL, "whole world"),
        ("v=spf1 ALL", Status.FAIL, "whole world"),
        ("v=spf1 redirect=x.example", Status.PASS, "x.example decides"),
        ("v=spf1 redirect=x.example ?all", Status.WARN, "nothing is said"),
    ],
)
def test_the_ending_says_what_becomes_of_all_others(record: str, status: Status, said: str) -> None:
    found = spf.ending(spf.parse(record))
    assert (found.status, said in found.means) == (status, True)
    assert bool(found.fix) == (status is not Status.PASS)


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ("v=spf1 ip4:192.0.2.0/24 ip4:10.0.0.0/16 ip6:2001:db8::/32 a mx/24 -all", {}),
        ("v=spf1 ip4:10.0.0.0/15 -all", {"ip4:10.0.0.0/15": Status.WARN}),
        ("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all", {"ip4:0.0.0.0/1": Status.FAIL, "ip4:128.0.0.0/1": Status.FAIL}),
        ("v=spf1 ip6:2000::/3 -all", {"ip6:2000::/3": Status.FAIL}),
        ("v=spf1 a/0 mx//24 -all", {"a/0": Status.FAIL, "mx//24": Status.WARN}),
        ("v=spf1 -ip4:10.0.0.0/8 -all ip4:0.0.0.0/0", {}),
    ],
)
def test_networks_nobody_sends_from_alone_are_too_broad(record: str, found: dict[str, Status]) -> None:
    assert {a.term: a.status for a in spf.breadth(spf.parse(record))} == found


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("a", "the addresses of example.org as they are then: 1 lookup; follows a move, also to a CDN's addresses"),
        ("-mx:x.example", "may not send: the hosts that receive for x.example"),
        ("ip4:192.0.2.7", "1 address, without a lookup"),
        ("ip4:192.0.2.0/24", "256 addresses, without a lookup"),
        ("ip6:2001:db8::/48", "a /48 of IPv6, without a lookup"),
        ("?include:x.example", "nothing is said of: whoever passes x.example"),
        ("exists:%{i}.x.example", "1 lookup, which tells that zone who sends what"),
        ("ptr", "slow, and skipped by many receivers"),
        ("redirect=x.example", "the record of that name is the record"),
        ("exp=x.example", "not counted as a lookup"),
        ("x-new=1", "receivers skip it"),
        ("~all", "suspect"),
        ("ip4:10.0.0.0/8", "16,777,216 addresses may send"),
    ],
)
def test_every_term_has_a_meaning(term: str, said: str) -> None:
    assert said in spf.meaning(spf.parse(f"v=spf1 {term}").terms[0], "example.org").means


def test_a_whole_record_is_explained_with_its_missing_end() -> None:
    table = str(spf.explain(spf.parse("v=spf1 ptr a"), "example.org"))
    assert "name addresses by ip4: and ip6:, or hosts by a:" in table
    assert "(no ending)" in table
