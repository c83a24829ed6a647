"""A stub resolver for one look at the world: each question asked once, at the servers that should know first."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import dns.exception
import dns.message

from runbooklib.answers import Answer, Question, Word
from runbooklib.zone.octets import canonical
from runbooklib.zone.questions import Wire, ask, carried

PER_SERVER = 50  # questions under way at one server; public resolvers bear that
REMEMBERED = 5000  # answers kept; those asked for longest ago go first
LONGEST_CHAIN = 8  # aliases followed from one server's zones into another's
DEAF = 20  # questions in a row without an answer, after which a server is asked whether it is there at all
ALIVE = Question(".", "NS")  # resolvers hold it in their cache, authoritative servers refuse it: both answer

SILENT = {Word.TIMEOUT, Word.UNREACHABLE}
ELSEWHERE = {Word.REFUSED, Word.LAME}  # what an authoritative server says that does not hold the name

Key = tuple[str, str, str]


class Stub:
    """A `Lookup` for one look: it asks nothing twice, so it goes with the audit that made it.

    Names that the `authoritative` servers hold are asked there, all others at the resolvers in turn; at most
    `per_server` questions are under way at one server, at most `remembered` answers are kept.
    """

    def __init__(
        self,
        wire: Wire,
        resolvers: Sequence[str],
        authoritative: Sequence[str] = (),
        *,
        per_server: int = PER_SERVER,
        remembered: int = REMEMBERED,
    ) -> None:
        self.resolvers, self.authoritative = tuple(resolvers), tuple(authoritative)
        self._wire = _Counted(wire)
        self._memory = _Memory(remembered)
        self._doors: dict[str, _Door] = {}
        self._per_server = per_server

    @property
    def asked(self) -> int:
        """Messages given to the wire so far."""
        return self._wire.asked

    @property
    def wire(self) -> Wire:
        """The way its questions take, which counts them: for whoever needs more of a reply than an answer."""
        return self._wire

    @cached_property
    def validating(self) -> Stub:
        """The same look by way of the resolvers: an authoritative server never says that it validated anything."""
        if not (self.authoritative and self.resolvers):
            return self
        return Stub(self._wire, self.resolvers, per_server=self._per_server)

    async def __call__(self, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        """What the world sees at `name`, through any alias."""
        if (answer := self._memory.recent(("", name, type))) and not _open_ended(answer):
            return answer
        question = _question(name, type)
        first = step = await self._known(question)
        chain = step.chain
        while _open_ended(step):
            if len(chain) > LONGEST_CHAIN or len({question.name, *chain}) <= len(chain):
                return replace(first, word=Word.MALFORMED, chain=chain, note="a chain of aliases without end")
            step = await self._known(Question(chain[-1], question.type))
            chain += step.chain
        return first if step is first else _joined(first, step, chain)

    async def at(self, server: str, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        """What one server says on its own authority."""
        question = _question(name, type)
        key = (server, question.name, question.type)
        return await self._memory.recall(key, lambda: self._asked(question, server, recursive=False))

    async def _known(self, question: Question) -> Answer:
        key = ("", question.name, question.type)
        return await self._memory.recall(key, lambda: self._resolved(question))

    async def _resolved(self, question: Question) -> Answer:
        answer = await self._first(question, self.authoritative, recursive=False)
        if answer is None or (answer.word in ELSEWHERE and self.resolvers):
            answer = await self._first(question, self.resolvers, recursive=True)
        return answer or Answer(question, "", Word.UNREACHABLE, note="nobody to ask")

    async def _first(self, question: Question, servers: Sequence[str], *, recursive: bool) -> Answer | None:
        """The first answer that says something, else the refusal that says most."""
        refusals: list[Answer] = []
        for server in servers:
            answer = await self._asked(question, server, recursive=recursive)
            if answer.heard or answer.word is Word.BOGUS:
                return answer
            refusals.append(answer)
        return min(refusals, key=lambda a: a.word in SILENT, default=None)

    async def _asked(self, question: Question, server: str, *, recursive: bool) -> Answer:
        door = self._doors.setdefault(server, _Door(self._per_server))
        async with door:
            answer = await self._deaf(door, server) if door.silences >= DEAF else None
            if answer is None:
                answer = await ask(self._wire, question, server, recursive=recursive)
                door.silences = door.silences + 1 if answer.word in SILENT else 0
        if not door.inside and not door.silences:
            self._doors.pop(server, None)  # thousands of domains have thousands of nameservers
        return answer if answer.question == question else replace(answer, question=question, recursive=recursive)

    async def _deaf(self, door: _Door, server: str) -> Answer | None:
        """How a server fails that answers nothing any more; None when it answers again."""
        answer = await door.probed(lambda: ask(self._wire, ALIVE, server, recursive=True))
        if answer.word in SILENT:
            return replace(answer, note=answer.note or "silent to every question lately")
        door.silences = 0
        return None


def _question(name: str, kind: str) -> Question:
    """With its name as others would write it, too, so that it is asked once."""
    try:
        return Question(canonical(name), kind)
    except (dns.exception.DNSException, ValueError):
        return Question(name, kind)  # the answer will say what is wrong with it


def _open_ended(answer: Answer) -> bool:
    """Whether an authoritative server's chain ends at a name outside its zones (RFC 1034 4.3.2)."""
    if not answer.chain or answer.recursive or answer.word is not Word.NODATA:
        return False
    last = answer.chain[-1]
    return not answer.zone or not (last == answer.zone or last.endswith(f".{answer.zone}"))


def _joined(first: Answer, last: Answer, chain: tuple[str, ...]) -> Answer:
    """What stands at the end of a chain through several servers, as the answer to its beginning."""
    # RFC 6604 3: the code is that of the last name; the asked name does exist.
    word = Word.NODATA if last.word is Word.NXDOMAIN else last.word
    ttl = min(first.ttl, last.ttl)
    return replace(last, question=first.question, word=word, chain=chain, ttl=ttl, secure=False)


class _Counted:
    """A wire that counts."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.asked = 0

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        self.asked += 1
        return await self.wire.exchange(query, server)

    def carry(self, octets: bytes, server: str) -> Awaitable[bytes]:
        self.asked += 1
        return carried(self.wire, octets, server)


class _Memory:
    """Answers by what was asked, those under way included; bounded, so that thousands of domains take no more room."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: OrderedDict[Key, Answer] = OrderedDict()
        self._underway: dict[Key, asyncio.Future[None]] = {}

    def recent(self, key: Key) -> Answer | None:
        """The answer that is known."""
        if answer := self._known.get(key):
            self._known.move_to_end(key)
        return answer

    async def recall(self, key: Key, find: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer that is known or under way, else the one that `find` brings."""
        while True:
            if answer := self.recent(key):
                return answer
            if key not in self._underway:
                return await self._found(key, find)
            await asyncio.shield(self._underway[key])  # and look again: whoever asked may have given up

    async def _found(self, key: Key, find: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        ended = self._underway[key] = asyncio.get_running_loop().create_future()
        try:
            answer = self._known[key] = await find()
            while len(self._known) > self._limit:
                self._known.popitem(last=False)
            return answer
        finally:
            del self._underway[key]
            ended.set_result(None)


@dataclass
class _Door:
    """The way to one server: only so many are inside at once, and whether it has been silent lately."""

    wide: int
    inside: int = 0
    silences: int = 0  # questions in a row without an answer
    probe: asyncio.Task[Answer] | None = None
    room: asyncio.Semaphore = field(default_factory=asyncio.Semaphore)

    async def __aenter__(self) -> None:
        if not self.inside:
            self.room = asyncio.Semaphore(self.wide)  # the last one may belong to an event loop that is gone
        self.inside += 1
        try:
            await self.room.acquire()
        except BaseException:
            self.inside -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self.room.release()
        self.inside -= 1

    async def probed(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """What comes of a question that any server answers; all who wait at the door share one."""
        if self.probe is None or self.probe.done():
            self.probe = asyncio.create_task(ask())
        return await asyncio.shield(self.probe)
