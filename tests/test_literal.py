"""The literal internet of the other tests answers as real servers and resolvers do."""

from __future__ import annotations

import asyncio

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import pytest

from runbooklib.answers import Question, Word
from runbooklib.zone import Literal, ask
from runbooklib.zone.literal import TRUNCATED

PARENT, CHILD, SECOND, ELSEWHERE, RESOLVER, LIAR = (f"192.0.2.{n}" for n in (1, 2, 3, 4, 53, 54))
SOA = "@ 600 SOA ns h 7 3600 600 86400 60\n"
TOP = f"""{SOA}@ 60 NS a.nic
a.nic 60 A {PARENT}
lantern 60 NS ns.lantern
lantern 60 NS ns.elsewhere.test.
lantern 60 DS 1 13 2 {"ab" * 32}
ns.lantern 60 A {CHILD}
"""
LANTERN = f"""{SOA}@ 60 NS ns
ns 60 A {CHILD}
@ 60 MX 10 mail
mail 60 A 203.0.113.10
*.pool 60 A 203.0.113.20
here.pool 60 TXT "no address"
a.b.c 60 A 203.0.113.30
www 60 CNAME mail
cdn 60 CNAME edge.elsewhere.test.
loop 60 CNAME pool-loop
pool-loop 60 CNAME loop
send 60 NS ns.elsewhere.test.
"""
SEND = f'{SOA}@ 60 NS ns.elsewhere.test.\n@ 60 TXT "v=spf1 -all"\n'
OTHER = f"{SOA}@ 60 NS ns\nns 60 A {ELSEWHERE}\nedge 60 A 203.0.113.40\n"
WORLD = Literal(
    {
        PARENT: {"example": TOP},
        CHILD: {"lantern.example": LANTERN},
        ELSEWHERE: {"elsewhere.test": OTHER, "send.lantern.example": SEND},
        LIAR: {"mail.lantern.example": f"{SOA}@ 60 A 198.51.100.66\n"},
    },
    resolvers={RESOLVER, LIAR},
    secure={"lantern.example"},
)


def asked(server: str, name: str, kind: str, wire: Literal = WORLD, flags: int = dns.flags.AD) -> dns.message.Message:
    return asyncio.run(wire.exchange(dns.message.make_query(name, kind, flags=dns.flags.RD | flags), server))


def said(server: str, name: str, kind: str, wire: Literal = WORLD, flags: int = 0) -> tuple[str, list[str]]:
    reply = asked(server, name, kind, wire, flags)
    return dns.rcode.to_text(reply.rcode()), [r.to_text() for rrset in reply.answer for r in rrset]


CASES = [
    ("mail.lantern.example", "A", "NOERROR", ["203.0.113.10"]),
    ("MAIL.Lantern.example", "A", "NOERROR", ["203.0.113.10"]),
    ("mail.lantern.example", "AAAA", "NOERROR", []),
    ("no.lantern.example", "A", "NXDOMAIN", []),
    ("c.lantern.example", "A", "NOERROR", []),  # empty, with names below
    ("x.pool.lantern.example", "A", "NOERROR", ["203.0.113.20"]),
    ("y.x.pool.lantern.example", "A", "NOERROR", ["203.0.113.20"]),
    ("here.pool.lantern.example", "A", "NOERROR", []),  # it exists, so no wildcard speaks for it
    ("x.here.pool.lantern.example", "A", "NXDOMAIN", []),  # RFC 4592 3.3.1: the closest encloser has none
    ("pool.lantern.example", "A", "NOERROR", []),
    ("www.lantern.example", "A", "NOERROR", ["mail.lantern.example.", "203.0.113.10"]),
    ("www.lantern.example", "CNAME", "NOERROR", ["mail.lantern.example."]),
]


@pytest.mark.parametrize("server", [CHILD, RESOLVER])
@pytest.mark.parametrize(("name", "kind", "rcode", "values"), CASES)
def test_what_a_zone_says_its_server_and_a_resolver_say(
    server: str, name: str, kind: str, rcode: str, values: list[str]
) -> None:
    assert said(server, name, kind) == (rcode, values)


def test_authority_and_recursion_are_told_apart() -> None:
    assert asked(CHILD, "lantern.example", "MX").flags & (dns.flags.AA | dns.flags.RA) == dns.flags.AA
    assert asked(RESOLVER, "lantern.example", "MX").flags & (dns.flags.AA | dns.flags.RA) == dns.flags.RA


def test_a_server_refuses_what_it_does_not_hold_and_a_resolver_knows_that_nobody_does() -> None:
    assert said(CHILD, "elsewhere.test", "A") == ("REFUSED", [])
    assert said(RESOLVER, "nowhere.test", "A") == ("NXDOMAIN", [])


def test_an_absence_carries_the_negative_ttl() -> None:
    (soa,) = asked(CHILD, "no.lantern.example", "A").authority
    assert (soa.name.to_text(), soa.ttl) == ("lantern.example.", 60)


def test_a_parent_refers_with_glue_and_speaks_only_of_its_ds() -> None:
    reply = asked(PARENT, "mail.lantern.example", "A")
    assert not reply.answer
    assert not reply.flags & dns.flags.AA
    assert {r.to_text() for r in reply.authority[0]} == {"ns.lantern.example.", "ns.elsewhere.test."}
    assert [r.to_text() for r in reply.additional[0]] == [CHILD]
    assert said(PARENT, "lantern.example", "DS")[1]
    assert said(RESOLVER, "lantern.example", "DS")[1]


def test_aliases_and_cuts_are_followed_across_servers_only_by_resolvers() -> None:
    assert said(CHILD, "cdn.lantern.example", "A") == ("NOERROR", ["edge.elsewhere.test."])
    assert said(RESOLVER, "cdn.lantern.example", "A")[1] == ["edge.elsewhere.test.", "203.0.113.40"]
    assert said(CHILD, "send.lantern.example", "TXT") == ("NOERROR", [])
    assert said(RESOLVER, "send.lantern.example", "TXT")[1] == ['"v=spf1 -all"']


def test_an_alias_loop_ends() -> None:
    assert said(RESOLVER, "loop.lantern.example", "A") == ("SERVFAIL", [])
    assert len(said(CHILD, "loop.lantern.example", "A")[1]) == 2


def test_a_resolver_with_text_of_its_own_lies_with_it_and_only_there() -> None:
    assert said(LIAR, "mail.lantern.example", "A")[1] == ["198.51.100.66"]
    assert said(LIAR, "lantern.example", "MX")[1] == ["10 mail.lantern.example."]


def out(server: str, word: Word | str, name: str = "*") -> Literal:
    return Literal(WORLD.servers, WORLD.resolvers, {(server, name): word}, WORLD.secure)


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.SERVFAIL, Word.REFUSED, Word.LAME, Word.UNREACHABLE, TRUNCATED])
def test_where_no_server_can_be_heard_resolvers_fail(word: Word | str) -> None:
    assert said(RESOLVER, "mail.lantern.example", "A", out(CHILD, word)) == ("SERVFAIL", [])
    assert said(RESOLVER, "mail.lantern.example", "A", out(CHILD, word, "other.lantern.example"))[0] == "NOERROR"


def test_one_lame_nameserver_of_two_does_not_matter_to_a_resolver() -> None:
    assert said(ELSEWHERE, "mail.lantern.example", "A")[0] == "REFUSED"
    assert said(RESOLVER, "mail.lantern.example", "A")[0] == "NOERROR"


@pytest.mark.parametrize(
    ("word", "error"),
    [
        (Word.TIMEOUT, dns.exception.Timeout),
        (Word.UNREACHABLE, OSError),
        (Word.MALFORMED, dns.exception.FormError),
    ],
)
def test_what_never_becomes_a_reply_raises(word: Word | str, error: type[Exception]) -> None:
    with pytest.raises(error):
        asked(CHILD, "lantern.example", "MX", out(CHILD, word))


def test_what_does_not_fit_a_datagram_stays_cut_without_tcp() -> None:
    reply = asked(CHILD, "lantern.example", "MX", out(CHILD, TRUNCATED))
    assert reply.flags & dns.flags.TC
    assert not reply.answer
    job = ask(out(CHILD, TRUNCATED), Question("lantern.example", "MX"), CHILD, recursive=False)
    assert asyncio.run(job).word is Word.MALFORMED


def test_a_lame_server_answers_without_authority() -> None:
    assert not asked(CHILD, "lantern.example", "MX", out(CHILD, Word.LAME)).flags & dns.flags.AA


@pytest.mark.parametrize("where", [CHILD, RESOLVER])
def test_bogus_is_refused_by_resolvers_unless_asked_not_to_check(where: str) -> None:
    wire = out(where, Word.BOGUS, "mail.lantern.example")
    assert said(RESOLVER, "mail.lantern.example", "A", wire) == ("SERVFAIL", [])
    assert said(RESOLVER, "mail.lantern.example", "A", wire, dns.flags.CD)[1] == ["203.0.113.10"]
    assert said(CHILD, "mail.lantern.example", "A", wire)[1] == ["203.0.113.10"]


def test_resolvers_say_that_they_validated_when_asked() -> None:
    assert asked(RESOLVER, "www.lantern.example", "A").flags & dns.flags.AD
    assert not asked(RESOLVER, "www.lantern.example", "A", flags=0).flags & dns.flags.AD
    assert not asked(RESOLVER, "cdn.lantern.example", "A").flags & dns.flags.AD  # its target is unsigned
    assert not asked(CHILD, "www.lantern.example", "A").flags & dns.flags.AD


def test_a_long_answer_arrives_whole() -> None:
    text = " ".join(['"' + "a" * 250 + '"'] * 40)
    wire = Literal({CHILD: {"lantern.example": f"{SOA}@ 60 TXT {text}"}})
    assert len(said(CHILD, "lantern.example", "TXT", wire)[1][0]) > 10_000


def test_what_was_asked_is_on_record() -> None:
    wire = out(CHILD, Word.TIMEOUT)
    said(RESOLVER, "mail.lantern.example", "A", wire)
    assert wire.log == [(RESOLVER, "mail.lantern.example", "A")]
