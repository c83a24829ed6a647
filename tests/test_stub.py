"""A stub resolver: who is asked what, in which order, how often, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import dns.exception
import dns.message
import pytest

from runbooklib import zone
from runbooklib.answers import Answer, Word
from runbooklib.zone.stub import DEAF

OURS, SECOND, RESOLVER, OTHER = "192.0.2.1", "192.0.2.2", "192.0.2.53", "192.0.2.54"
HEAD = "@ 60 SOA ns h 1 2 3 4 30\n@ 60 NS ns\nns 60 A 192.0.2.1\n"
LANTERN = HEAD + (
    "@ 300 MX 10 mail\nmail 300 A 203.0.113.10\nkey 300 CNAME key.relay.example.\nlong 60 CNAME key\n"
    "gone 60 CNAME no.relay.example.\nround 60 CNAME round.relay.example.\nsub 60 NS ns.sub\n"
    "inner 60 CNAME mail\nnothing 60 CNAME nowhere.lantern.example.\n"
)
RELAY = HEAD + 'key 60 TXT "p=abc"\nround 60 CNAME round.lantern.example.\n'


def world(**outages: Word) -> zone.Literal:
    """Our zone at one server, a relay's at another, a resolver that knows both; an outage for a server by its name."""
    servers = {"ours": OURS, "resolver": RESOLVER, "other": OTHER}
    return zone.Literal(
        {OURS: {"lantern.example": LANTERN}, SECOND: {"relay.example": RELAY}},
        resolvers={RESOLVER, OTHER},
        outages={(servers[who], "*"): word for who, word in outages.items()},
    )


def look(stub: zone.Stub, name: str, kind: str) -> Answer:
    return asyncio.run(_look(stub, name, kind))


async def _look(stub: zone.Stub, name: str, kind: str) -> Answer:
    return await stub(name, kind)


def servers(wire: zone.Literal) -> list[str]:
    """Whom questions were put to, in their order."""
    return [server for server, _, _ in wire.log]


def test_an_authority_is_asked_first_and_alone() -> None:
    wire = world()
    answer = look(zone.Stub(wire, [RESOLVER], [OURS]), "Mail.Lantern.example.", "A")
    assert (answer.values, answer.recursive, servers(wire)) == (("203.0.113.10",), False, [OURS])


@pytest.mark.parametrize(("name", "said"), [("key.relay.example", "p=abc"), ("lantern.example.no", "")])
def test_what_an_authority_does_not_hold_is_asked_at_a_resolver(name: str, said: str) -> None:
    wire = world()
    answer = look(zone.Stub(wire, [RESOLVER], [OURS]), name, "TXT")
    assert (answer.recursive, "".join(answer.values)) == (True, said)


def test_a_silent_authority_is_not_replaced_by_a_cache() -> None:
    """A resolver may say what was there before, or that nothing is."""
    wire = world(ours=Word.TIMEOUT)
    assert look(zone.Stub(wire, [RESOLVER], [OURS]), "lantern.example", "MX").word is Word.TIMEOUT
    assert servers(wire) == [OURS]


def test_resolvers_are_asked_in_turn() -> None:
    for word in (Word.TIMEOUT, Word.REFUSED, Word.SERVFAIL, Word.UNREACHABLE):
        answer = look(zone.Stub(world(resolver=word), [RESOLVER, OTHER]), "lantern.example", "MX")
        assert (answer.server, answer.values) == (OTHER, ("10 mail.lantern.example",))
    both = world(resolver=Word.TIMEOUT, other=Word.SERVFAIL)
    assert look(zone.Stub(both, [RESOLVER, OTHER]), "lantern.example", "MX").word is Word.SERVFAIL


def test_bogus_is_an_answer_and_no_other_resolver_overrules_it() -> None:
    wire = world(resolver=Word.BOGUS)
    assert look(zone.Stub(wire, [RESOLVER, OTHER]), "lantern.example", "MX").word is Word.BOGUS
    assert OTHER not in servers(wire)


def test_nobody_to_ask() -> None:
    assert look(zone.Stub(world(), []), "lantern.example", "MX").word is Word.UNREACHABLE
    assert look(zone.Stub(world(), [], [OURS]), "relay.example", "MX").word in {Word.REFUSED, Word.LAME}


@pytest.mark.parametrize(
    ("name", "kind", "word", "chain", "values"),
    [
        ("key", "TXT", Word.NOERROR, ("key.relay.example",), ("p=abc",)),
        ("long", "TXT", Word.NOERROR, ("key.lantern.example", "key.relay.example"), ("p=abc",)),
        ("key", "MX", Word.NODATA, ("key.relay.example",), ()),
        ("gone", "TXT", Word.NODATA, ("no.relay.example",), ()),
        ("inner", "A", Word.NOERROR, ("mail.lantern.example",), ("203.0.113.10",)),
        ("inner", "TXT", Word.NODATA, ("mail.lantern.example",), ()),
        ("nothing", "A", Word.NODATA, ("nowhere.lantern.example",), ()),
        ("key", "CNAME", Word.NOERROR, (), ("key.relay.example",)),
    ],
)
@pytest.mark.parametrize("asked", [((RESOLVER,), (OURS,)), ((), (OURS, SECOND)), ((RESOLVER,), ())])
def test_aliases_lead_to_the_same_whoever_is_asked(
    name: str,
    kind: str,
    word: Word,
    chain: tuple[str, ...],
    values: tuple[str, ...],
    asked: tuple[tuple[str, ...], tuple[str, ...]],
) -> None:
    answer = look(zone.Stub(world(), *asked), f"{name}.lantern.example", kind)
    assert (answer.word, answer.chain, answer.values) == (word, chain, values)
    assert answer.question.name == f"{name}.lantern.example"


def test_a_circle_through_two_zones_ends() -> None:
    wire = world()
    answer = look(zone.Stub(wire, [], [OURS, SECOND]), "round.lantern.example", "A")
    assert not answer.heard
    assert len(wire.log) < 10


@dataclass
class Slow:
    """Replies when told to; notes how many questions are under way."""

    inside: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    names: list[str] = field(default_factory=list)
    silent: bool = False

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        self.names.append(query.question[0].name.to_text())
        self.inside[server] += 1
        self.most[server] = max(self.most[server], self.inside[server])
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.inside[server] -= 1
        if self.silent:
            raise dns.exception.Timeout
        return dns.message.make_response(query)


def run(work: Callable[[], Awaitable[object]]) -> None:
    async def all_of_it() -> None:
        await work()

    asyncio.run(all_of_it())


def test_each_question_is_asked_once_also_while_it_is_under_way() -> None:
    wire = Slow()
    stub = zone.Stub(wire, [RESOLVER])
    run(lambda: asyncio.gather(*(stub(n, "A") for n in ["a.example", "A.example.", "b.example"] * 20)))
    run(lambda: stub("a.example", "A"))
    assert sorted(wire.names) == ["a.example.", "b.example."]
    assert stub.asked == 2


def test_an_unheard_question_is_not_asked_again_either() -> None:
    wire = Slow(silent=True)
    stub = zone.Stub(wire, [RESOLVER])
    run(lambda: asyncio.gather(stub("a.example", "A"), stub("a.example", "A")))
    run(lambda: stub("a.example", "A"))
    assert stub.asked == 1


def test_only_so_many_questions_are_under_way_at_one_server() -> None:
    wire = Slow()
    stub = zone.Stub(wire, [RESOLVER], per_server=7)
    run(lambda: asyncio.gather(*(stub(f"d{n}.example", "A") for n in range(100))))
    run(lambda: asyncio.gather(*(stub.at(OURS, f"d{n}.example", "A") for n in range(100))))
    assert wire.most == {RESOLVER: 7, OURS: 7}


def test_memory_is_bounded() -> None:
    wire = Slow()
    stub = zone.Stub(wire, [RESOLVER], remembered=10)
    run(lambda: asyncio.gather(*(stub(f"d{n}.example", "A") for n in range(100))))
    assert len(stub._memory._known) == 10
    run(lambda: stub("d99.example", "A"))
    assert stub.asked == 100
    run(lambda: stub("d0.example", "A"))
    assert stub.asked == 101


def test_one_who_gives_up_leaves_the_question_to_the_others() -> None:
    stub = zone.Stub(Slow(), [RESOLVER])

    async def two() -> None:
        first = asyncio.create_task(_look(stub, "a.example", "A"))
        second = asyncio.create_task(_look(stub, "a.example", "A"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).word is Word.NODATA

    run(two)


def test_a_server_that_went_silent_is_given_up_and_heard_again_when_it_is_back() -> None:
    wire = Slow(silent=True)
    stub = zone.Stub(wire, [RESOLVER], per_server=5)

    async def asked(names: str) -> list[Answer]:
        return await asyncio.gather(*(stub(f"{names}{n}.example", "A") for n in range(200)))

    answers = asyncio.run(asked("d"))
    assert {a.word for a in answers} == {Word.TIMEOUT}
    assert stub.asked < 4 * DEAF
    assert any("lately" in a.note for a in answers)
    wire.silent = False
    assert {a.word for a in asyncio.run(asked("e"))} == {Word.NODATA}


def test_a_server_out_of_reach_stays_out_of_reach_and_is_not_called_silent() -> None:
    """Behind a machine without IPv6, say: that is not the server's fault, however many questions it was to answer."""
    stub = zone.Stub(zone.Literal({}), [])

    async def asked() -> set[tuple[Word, str]]:
        answers = [await stub.at("2001:db8::53", f"d{n}.example", "SOA") for n in range(2 * DEAF)]
        assert [a.question.name for a in answers] == [f"d{n}.example" for n in range(2 * DEAF)]
        return {(a.word, a.note) for a in answers}

    assert {word for word, _ in asyncio.run(asked())} == {Word.UNREACHABLE}


def test_servers_that_answered_are_forgotten() -> None:
    wire = Slow()
    stub = zone.Stub(wire, [])
    run(lambda: asyncio.gather(*(stub.at(f"192.0.2.{n}", "a.example", "A") for n in range(100))))
    assert stub.asked == 100
    assert not stub._doors


def test_silence_about_some_names_is_no_silence_of_the_server() -> None:
    """A resolver that cannot reach a dead zone's servers: its other answers count."""
    names = [f"dead{n}.example" for n in range(2 * DEAF)]
    wire = zone.Literal(
        {OURS: {"lantern.example": LANTERN}}, {RESOLVER}, {(RESOLVER, name): Word.TIMEOUT for name in names}
    )
    stub = zone.Stub(wire, [RESOLVER])
    run(lambda: asyncio.gather(*(stub(name, "A") for name in names)))
    assert look(stub, "mail.lantern.example", "A").values == ("203.0.113.10",)


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, "ü" * 300, "\udcff", "\0", "*", "a b.example", "\\"])
def test_no_name_makes_it_raise(name: str) -> None:
    answer = look(zone.Stub(world(), [RESOLVER], [OURS]), name, "TXT")
    assert isinstance(answer, Answer)
    assert look(zone.Stub(world(), [RESOLVER]), "lantern.example", "NOTYPE").word is Word.MALFORMED
