"""SPF asked of a resolver as receivers ask it: names, aliases, strings in pieces, octets of all kinds."""

from __future__ import annotations

import asyncio

import pytest

from runbooklib import spf, zone
from runbooklib.answers import Word

AUTHORITY, RESOLVER = "192.0.2.1", "192.0.2.53"
ZONE = r"""@ 60 SOA ns h 1 2 3 4 30
@ 60 NS ns
ns 60 A 192.0.2.1
@ 60 TXT "v=spf1 ip4:203.0.113.1" "0 include:alias.example.org" " -all"
@ 60 TXT "another text"
alias 60 CNAME pool
pool 60 TXT "v=spf1 a:mail.example.org exists:%{l}.known.example.org -all"
mail 60 A 203.0.113.20
mail 60 AAAA 2001:db8::20
a\032b.known 60 A 127.0.0.2
accent 60 TXT "v=spf1 a:caf\233.example.org -all"
bell 60 TXT "v=spf1 a:mail\007.example.org x=\007 -all"
"""


def stub(**outages: Word) -> zone.Stub:
    silent = {(who, f"{name}.example.org"): word for name, word in outages.items() for who in (AUTHORITY, RESOLVER)}
    wire = zone.Literal({AUTHORITY: {"example.org": ZONE}}, resolvers={RESOLVER}, outages=silent)
    return zone.Stub(wire, [RESOLVER])


@pytest.mark.parametrize(
    ("ip", "sender", "result"),
    [
        ("203.0.113.10", "x@example.org", "pass"),
        ("203.0.113.20", "x@example.org", "pass"),
        ("2001:db8::20", "x@example.org", "pass"),
        ("203.0.113.30", "x@example.org", "fail"),
        ("203.0.113.30", "a b@example.org", "pass"),
        ("203.0.113.10", "x@accent.example.org", "permerror"),
        ("203.0.113.10", "x@bell.example.org", "permerror"),
        ("203.0.113.10", "x@nothing.example.org", "none"),
    ],
)
def test_a_receivers_resolver_gives_the_same_result(ip: str, sender: str, result: str) -> None:
    got = asyncio.run(spf.evaluate(stub(), ip, sender, "mail.example.org"))
    assert got.result == result, got.reason


@pytest.mark.parametrize("word", [Word.SERVFAIL, Word.TIMEOUT, Word.UNREACHABLE, Word.REFUSED])
def test_an_outage_below_is_temperror_and_the_tree_says_where(word: Word) -> None:
    assert (
        asyncio.run(spf.evaluate(stub(pool=word), "203.0.113.20", "x@example.org", "h.example")).result == "temperror"
    )
    tree = asyncio.run(spf.cost(stub(pool=word), "example.org"))
    assert (tree.problems, tree.unheard[0].split(":")[0]) == ((), "include")


def test_the_tree_counts_what_stands_there_and_asks_nothing_twice() -> None:
    look = stub()
    tree = asyncio.run(spf.cost(look, "example.org"))
    assert (tree.lookups, tree.voids, tree.problems) == (3, 0, ())
    asked = look.asked
    assert asyncio.run(spf.evaluate(look, "203.0.113.20", "x@example.org", "h.example")).result == "pass"
    assert look.asked == asked
