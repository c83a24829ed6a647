"""Asking one server one question, over UDP and TCP, past boxes that drop either."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from runbooklib.answers import Answer, Question, Word
from runbooklib.zone.datagrams import Datagrams, stream
from runbooklib.zone.octets import query, truncated, without_edns
from runbooklib.zone.reading import read

PATIENCE = 2.0  # seconds for one try
ABREAST = 40  # questions under way at once
AVOIDED = 3  # questions in a row that a server answered only without EDNS, until it is asked so at once

T = TypeVar("T")


class Wire(Protocol):
    """What carries a message to a server and brings its reply."""

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply.

        Raises dns.exception.DNSException (Timeout among them) or OSError.
        """
        ...


class Internet:
    """The real one: UDP, again without EDNS when nothing comes back, TCP for what does not fit a datagram."""

    def __init__(self, port: int = 53, patience: float = PATIENCE) -> None:
        self.port, self.patience = port, patience
        self.datagrams = Datagrams()
        self._swallowed: dict[str, int] = {}  # by server: questions in a row that needed to go without EDNS

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply to a query; a stray datagram is not taken for it."""
        return dns.message.from_wire(await self.carry(query.to_wire(), server))

    async def carry(self, octets: bytes, server: str) -> bytes:
        """The reply as octets; one that is truncated comes back so only where TCP has nothing better."""
        reply = await self._by_datagram(octets, server)
        if not truncated(reply):
            return reply
        try:
            return await stream(octets, server, self.port, self.patience)
        except (OSError, EOFError, dns.exception.Timeout):
            return reply

    async def _by_datagram(self, octets: bytes, server: str) -> bytes:
        """Boxes on the way drop EDNS, or datagrams over 512 octets, or all of UDP (RFC 6891 6.2.6, RFC 9210 3)."""
        if self._swallowed.get(server, 0) < AVOIDED:
            with suppress(dns.exception.Timeout):
                reply = await self.datagrams.ask(octets, server, self.port, self.patience)
                self._swallowed.pop(server, None)
                return reply
        try:
            reply = await self.datagrams.ask(without_edns(octets), server, self.port, self.patience)
        except dns.exception.Timeout:
            return await self._last(octets, server)
        self._swallowed[server] = self._swallowed.get(server, 0) + 1
        return reply

    async def _last(self, octets: bytes, server: str) -> bytes:
        try:
            return await stream(octets, server, self.port, self.patience)
        except (OSError, EOFError):
            raise dns.exception.Timeout from None  # silence over UDP is what was seen


INTERNET = Internet()


def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, asked side by side; works inside a notebook, whose thread already runs a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, abreast(work)).result()


async def abreast(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The same where a loop runs already."""
    room = asyncio.Semaphore(ABREAST)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await job

    return await asyncio.gather(*map(one, work))


async def ask(wire: Wire, question: Question, server: str, *, recursive: bool) -> Answer:
    """What `server` says; never raises, the answer's word tells how it ended."""
    asked = _Asked(wire, question, server, recursive)
    answer = await asked.answer()
    return await asked.doubted(answer) if recursive and answer.word is Word.SERVFAIL else answer


async def exchange(wire: Wire, question: Question, server: str, *, recursive: bool) -> dns.message.Message | Answer:
    """The raw reply, or the answer that says why there is none."""
    asked = _Asked(wire, question, server, recursive)
    try:
        return dns.message.from_wire(await asked.reply())
    except FAULTS as error:
        return asked.failed(error)


UNREACHED = ("no reachable authority", "network error")  # extended errors 22 and 23: no signature was looked at
FAULTS = (OSError, EOFError, ValueError, dns.exception.DNSException)


@dataclass(frozen=True)
class _Asked:
    """One question to one server."""

    wire: Wire
    question: Question
    server: str
    recursive: bool

    async def answer(self, more: int = 0) -> Answer:
        try:
            return read(self.question, self.server, await self.reply(more), recursive=self.recursive)
        except FAULTS as error:
            return self.failed(error)

    async def reply(self, more: int = 0) -> bytes:
        """The octets of the reply; a resolver is asked to say whether it validated (AD, RFC 6840 5.7)."""
        flags = (dns.flags.RD | dns.flags.AD | more) if self.recursive else 0
        question = self.question
        reply = await carried(self.wire, query(question.name, question.type, flags, edns=True), self.server)
        if reply[3] & 0x0F not in {dns.rcode.FORMERR, dns.rcode.NOTIMP}:
            return reply
        # RFC 6891 7: a server that does not know EDNS
        return await carried(self.wire, query(question.name, question.type, flags, edns=False), self.server)

    def failed(self, error: Exception) -> Answer:
        if isinstance(error, dns.exception.Timeout):
            return Answer(self.question, self.server, Word.TIMEOUT, self.recursive)
        word = Word.UNREACHABLE if isinstance(error, OSError) else Word.MALFORMED
        note = getattr(error, "strerror", None) or type(error).__name__
        return Answer(self.question, self.server, word, self.recursive, note=note)

    async def doubted(self, refusal: Answer) -> Answer:
        """Bogus where the resolver has the records but refuses them twice because of their signatures (RFC 4035 5.5).

        Asked once more without CD at the end: what a slow server answered meanwhile is no proof of a bad signature.
        """
        if any(reason in refusal.note for reason in UNREACHED):
            return refusal
        unchecked = await self.answer(dns.flags.CD)
        if not unchecked.heard:
            return refusal
        again = await self.answer()
        if again.word is not Word.SERVFAIL:
            return again
        return replace(again, word=Word.BOGUS, note=again.note or "answered only with checking disabled")


def carried(wire: Wire, octets: bytes, server: str) -> Awaitable[bytes]:
    """The reply as octets; a wire that takes octets as they are says so by its method `carry`."""
    carry: Callable[[bytes, str], Awaitable[bytes]] | None = getattr(wire, "carry", None)
    return carry(octets, server) if carry else _exchanged(wire, octets, server)


async def _exchanged(wire: Wire, octets: bytes, server: str) -> bytes:
    message = dns.message.from_wire(octets)
    message.id = secrets.randbits(16)
    return (await wire.exchange(message, server)).to_wire()
