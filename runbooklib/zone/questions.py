"""Asking one server one question, and reading what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

from runbooklib.records import Answer, Question, Word

PATIENCE = 2.0  # seconds for one try; lost datagrams are common, so there are two
TRIES = 2
PAYLOAD = 1232  # octets over UDP that pass every path unfragmented (DNS flag day 2020)
ABREAST = 40  # questions under way at once

T = TypeVar("T")


class Wire(Protocol):
    """What carries a message to a server and brings its reply."""

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply.

        Raises dns.exception.DNSException (Timeout among them) or OSError.
        """
        ...


class Internet:
    """The real one: UDP, then TCP when the reply was truncated."""

    def __init__(self, port: int = 53) -> None:
        self.port = port

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply to a query; a stray datagram is not taken for it."""
        reply, _ = await dns.asyncquery.udp_with_fallback(
            query, server, timeout=PATIENCE, port=self.port, ignore_unexpected=True, ignore_errors=True
        )
        return reply


INTERNET = Internet()


def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all, asked side by side; works inside a notebook, whose thread already runs a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, _gather(work)).result()


async def _gather(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    room = asyncio.Semaphore(ABREAST)

    async def one(job: Coroutine[Any, Any, T]) -> T:
        async with room:
            return await job

    return await asyncio.gather(*map(one, work))


async def ask(wire: Wire, question: Question, server: str, *, recursive: bool) -> Answer:
    """What `server` says; never raises, the answer's word tells how it ended."""
    reply = await exchange(wire, question, server, recursive=recursive)
    if isinstance(reply, Answer):
        return reply
    return read(question, server, reply, recursive=recursive)


async def exchange(wire: Wire, question: Question, server: str, *, recursive: bool) -> dns.message.Message | Answer:
    """The raw reply, or the answer that says why there is none."""
    edns = True
    word, note = Word.TIMEOUT, ""
    for _ in range(TRIES):
        try:
            reply = await wire.exchange(_query(question, recursive=recursive, edns=edns), server)
        except dns.exception.Timeout:
            continue
        except (OSError, EOFError, dns.exception.DNSException) as error:
            word = Word.UNREACHABLE if isinstance(error, OSError) else Word.MALFORMED
            note = getattr(error, "strerror", None) or type(error).__name__
            continue
        if reply.rcode() != dns.rcode.FORMERR or not edns:
            return reply
        edns = False  # RFC 6891 7: a server that does not know EDNS
    return Answer(question, server, word, recursive, note=note)


def _query(question: Question, *, recursive: bool, edns: bool) -> dns.message.QueryMessage:
    flags = dns.flags.RD if recursive else 0
    return dns.message.make_query(question.name, question.type, use_edns=edns, payload=PAYLOAD, flags=flags)


def read(question: Question, server: str, reply: dns.message.Message, *, recursive: bool) -> Answer:
    """The answer in a reply."""
    try:
        found = reply.resolve_chaining() if isinstance(reply, dns.message.QueryMessage) else None
    except dns.exception.DNSException:
        found = None
    if found is None:
        return Answer(question, server, Word.MALFORMED, recursive)
    rdatas = tuple(found.answer or ())
    return Answer(
        question,
        server,
        _word(reply, bool(rdatas), bool(found.cnames), recursive),
        recursive,
        values=tuple(sorted(map(value, rdatas))),
        raw=tuple(r.to_text() for r in sorted(rdatas, key=value)),
        chain=tuple(value(rrset[0]) for rrset in found.cnames),
        ttl=found.minimum_ttl,
        zone=_zone(reply),
        note="" if reply.rcode() in KNOWN else dns.rcode.to_text(reply.rcode()),
    )


KNOWN = {
    dns.rcode.NXDOMAIN: Word.NXDOMAIN,
    dns.rcode.SERVFAIL: Word.SERVFAIL,
    dns.rcode.REFUSED: Word.REFUSED,
    dns.rcode.NOERROR: Word.NOERROR,
}


def _word(reply: dns.message.Message, found: bool, aliased: bool, recursive: bool) -> Word:
    word = KNOWN.get(reply.rcode(), Word.MALFORMED)
    if word in {Word.NOERROR, Word.NXDOMAIN} and not recursive and not reply.flags & dns.flags.AA:
        return Word.LAME
    if word is Word.NOERROR and not found:
        return Word.NODATA
    # RFC 6604 3: behind a CNAME the code is that of the last name; the asked name does exist.
    return Word.NODATA if word is Word.NXDOMAIN and aliased else word


def _zone(reply: dns.message.Message) -> str:
    owners = (r.name for r in (*reply.answer, *reply.authority) if r.rdtype == dns.rdatatype.SOA)
    return next((text(owner) for owner in owners), "")


def value(rdata: dns.rdata.Rdata) -> str:
    """How a record compares: TXT joined and unquoted, names in lower case without final dot."""
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        joined = b"".join(rdata.strings).decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in joined)  # it may be shown in a terminal
    shown = rdata.to_text().lower()
    return shown if shown.split()[-1] == "." else shown.rstrip(".")


def text(name: dns.name.Name) -> str:
    """A name in lower case without final dot."""
    return name.to_text(omit_final_dot=True).lower()
