"""DNS as a literal: an internet whose servers answer from zone text, with outages as scripted."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from itertools import product

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from runbooklib.answers import Word
from runbooklib.zone.octets import OPT
from runbooklib.zone.zonetext import ADDRESSES, ROOT, Labels, Said, ZoneText, labels, parsed

RCODES = {Word.SERVFAIL: dns.rcode.SERVFAIL, Word.REFUSED: dns.rcode.REFUSED}
TRUNCATED = "truncated"  # cut to fit a datagram, and nobody listens on TCP
LONGEST = 12  # aliases or referrals followed, as resolvers do
DEEPEST = 3  # nameservers looked up to look up a nameserver

QUESTION = 10  # octets before it, without the id
NOTHING = (0, b"")
REMEMBERED = 20_000  # questions and replies: worlds that share their zones say the same

Name = dns.name.Name
Kind = dns.rdatatype.RdataType


@dataclass(frozen=True)
class Reply:
    """What goes into a reply: what was said, alias by alias."""

    said: tuple[Said, ...] = ()
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    flags: int = 0


@dataclass(frozen=True)
class Literal:
    r"""A world of name servers and resolvers; the wire of tests.

    `servers` gives the zone text each address holds, by apex. A server answers as RFC 1034 4.3.2 has it: wildcards,
    names that are empty but have names below, referrals with glue where the text delegates and the server does not
    hold the child too, aliases as far as it holds their targets, REFUSED for what it does not hold.

    A resolver needs no text: it follows the delegations of all that is not a resolver, from the shallowest zone that
    holds the name; what no zone holds does not exist. Text of its own is what it says instead: poisoned, filtered, or
    stale beyond the TTL.

    An outage is what a server does to one name, or to all of them (*): TIMEOUT, UNREACHABLE, SERVFAIL, REFUSED, LAME
    (without authority), MALFORMED, TRUNCATED, or BOGUS: a resolver refuses the name, and so does every resolver where
    that stands at an authoritative server, unless it is asked with CD (RFC 4035 3.2.2). Where no server of a zone can
    be heard, resolvers say SERVFAIL.

    `secure` are the apexes of zones that validate: resolvers set AD when they are asked to (RFC 6840 5.7).
    `log` holds what was asked: server, name and type.

    A parent that delegates, a child with a wildcard, a silent name, and a resolver that follows all that::

        parent = "@ 60 SOA a. h. 1 2 3 4 60\nlantern 60 NS ns.lantern\nns.lantern 60 A 192.0.2.2"
        child = "@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nns 60 A 192.0.2.2\n* 60 A 192.0.2.9"
        Literal(
            {"192.0.2.1": {"example": parent}, "192.0.2.2": {"lantern.example": child}},
            resolvers={"192.0.2.53"},
            outages={("192.0.2.2", "www.lantern.example"): Word.TIMEOUT},
        )
    """

    servers: Mapping[str, Mapping[str, str]]
    resolvers: Collection[str] = ()
    outages: Mapping[tuple[str, str], Word | str] = field(default_factory=dict)
    secure: Collection[str] = ()
    log: list[tuple[str, str, str]] = field(default_factory=list, compare=False, repr=False)

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply of `server`; raises as a network does where an outage says so."""
        return dns.message.from_wire(await self.carry(query.to_wire(), server))

    async def carry(self, octets: bytes, server: str) -> bytes:
        """The same in octets."""
        await asyncio.sleep(0)  # others have their turn, as on a network
        query = _parsed(octets[2:])
        self.log.append((server, *_shown(octets[2:])))
        outage = self._outage(server, query.question[0].name)
        self._fail(server, outage)
        reply = self._reply(query, server, outage)
        if server in self.resolvers:
            reply = replace(reply, flags=reply.flags | dns.flags.RA)
        return octets[:2] + _written(octets[2:], reply)

    def _reply(self, query: dns.message.Message, server: str, outage: Word | str) -> Reply:
        name, kind = query.question[0].name, query.question[0].rdtype
        if outage == TRUNCATED:
            return Reply(flags=dns.flags.TC)
        if outage in RCODES:
            return Reply(rcode=RCODES[Word(outage)])
        if server in self.resolvers:
            return self._resolve(query, server)
        said = self._hold(server, name, kind)
        if not said:
            return Reply(rcode=dns.rcode.REFUSED)
        authority = outage is not Word.LAME and (said[-1].answer or len(said) > 1 or not said[-1].cut)
        return Reply(said, said[-1].rcode, dns.flags.AA if authority else 0)

    def _outage(self, server: str, name: Name) -> Word | str:
        if not self.outages:
            return ""
        plain = _plain(name)
        return self.outages.get((server, plain), self.outages.get((server, "*"), ""))

    def _fail(self, server: str, outage: Word | str) -> None:
        """What never becomes a reply."""
        if outage is Word.UNREACHABLE or (server not in self.servers and server not in self.resolvers):
            raise OSError(101, "Network is unreachable")
        if outage is Word.TIMEOUT:
            raise dns.exception.Timeout
        if outage is Word.MALFORMED:
            raise dns.exception.FormError

    # an authoritative server

    def _hold(self, server: str, name: Name, kind: Kind) -> tuple[Said, ...]:
        """What the server's own zones say, alias by alias as far as it holds their targets; nothing for other names."""
        said: list[Said] = []
        target: Name | None = name
        while target is not None and len(said) < LONGEST:
            zone = self._zone(server, target, kind)
            if zone is None:
                break
            said.append(zone.say(target, kind))
            target = said[-1].leads(kind)
            if target in {rrset.name for part in said for rrset in part.answer}:
                break
        return tuple(said)

    def _zone(self, server: str, name: Name, kind: Kind) -> ZoneText | None:
        """The deepest zone there that holds the name; for a DS record the parent's (RFC 4035 3.1.4.1)."""
        held = self._zones.get(server)
        found = [held[n] for n in _above(name) if n in held] if held else []
        if kind == dns.rdatatype.DS and len(found) > 1 and found[0].apex == name:
            return found[1]
        return found[0] if found else None

    @cached_property
    def _zones(self) -> dict[str, dict[Labels, ZoneText]]:
        return {server: dict(map(_zone, texts, texts.values())) for server, texts in self.servers.items()}

    # a resolver

    def _resolve(self, query: dns.message.Message, server: str) -> Reply:
        """What the resolver's own text says, else the world, one alias after the other."""
        name, kind = query.question[0].name, query.question[0].rdtype
        checking = not query.flags & dns.flags.CD
        bogus = checking and self._outage(server, name) is Word.BOGUS
        said = None if bogus else self._follow(server, name, kind, checking=checking)
        if said is None:
            return Reply(rcode=dns.rcode.SERVFAIL)
        wanted = query.flags & dns.flags.AD or query.ednsflags & dns.flags.DO
        validated = wanted and self.secure and all(_plain(part.apex) in self.secure for part in said)
        return Reply(said, said[-1].rcode, dns.flags.AD if validated else 0)

    def _follow(self, server: str, name: Name, kind: Kind, *, checking: bool) -> tuple[Said, ...] | None:
        said: list[Said] = []
        target: Name | None = name
        while target is not None:
            own = self._zone(server, target, kind)
            part = own.say(target, kind) if own else None
            if part is None or part.cut:
                part = self._iterate(target, kind, checking=checking)
            if part is None or len(said) > LONGEST:
                return None
            said.append(part)
            target = part.leads(kind)
        return tuple(said)

    def _iterate(self, name: Name, kind: Kind, *, checking: bool, depth: int = 0) -> Said | None:
        """From the shallowest zone that holds the name down the delegations; None where nobody can be heard."""
        servers: Iterable[str] | None = self._top(name)
        if servers is None:
            return parsed(dns.name.root, ROOT).say(name, kind)
        for _ in range(LONGEST):
            said = self._first(servers, name, kind, checking=checking)
            if said is None or not said.cut:
                return said
            servers = self._referred(said, depth)
        return None

    def _first(self, servers: Iterable[str], name: Name, kind: Kind, *, checking: bool) -> Said | None:
        """What the first of these servers says that holds the name and can be heard."""
        for server in servers:
            outage = self._outage(server, name)
            if outage is Word.BOGUS and checking:
                return None
            if outage and outage is not Word.BOGUS:
                continue
            zone = self._zone(server, name, kind)
            if zone is not None:
                return zone.say(name, kind)
        return None

    def _top(self, name: Name) -> list[str] | None:
        """The servers of the shallowest zone that holds the name: those it lists itself, else all that have it."""
        apex = next((n for n in reversed(list(_above(name))) if n in self._world), None)
        if apex is None:
            return None
        holding = self._world[apex]
        named = self._zones[holding[0]][apex].listed
        return [server for server in holding if server in named] or holding

    @cached_property
    def _world(self) -> dict[Labels, list[str]]:
        """Who holds each apex, resolvers aside."""
        world: dict[Labels, list[str]] = {}
        for server, zones in self._zones.items():
            for apex in zones if server not in self.resolvers else ():
                world.setdefault(apex, []).append(server)
        return world

    def _referred(self, said: Said, depth: int) -> Iterator[str]:
        """The addresses of the nameservers in a referral: glue, else looked up as resolvers do."""
        glue = {rrset.name for rrset in said.additional}
        yield from (rdata.address for rrset in said.additional for rdata in rrset)
        targets = [rdata.target for rdata in said.authority[0] if rdata.target not in glue]
        for target, kind in product(targets if depth < DEEPEST else (), ADDRESSES):
            found = self._iterate(target, kind, checking=True, depth=depth + 1)
            yield from (r.address for rrset in (found.answer if found else ()) if rrset.rdtype == kind for r in rrset)


def _above(name: Name) -> Iterator[Labels]:
    """The labels of the name and of those above it, up to the root."""
    own = labels(name)
    return (own[i:] for i in range(len(own)))


@cache
def _zone(apex: str, text: str) -> tuple[Labels, ZoneText]:
    """A zone text under its labels."""
    zone = parsed(dns.name.from_text(apex.lower()), text)
    return labels(zone.apex), zone


@lru_cache(maxsize=REMEMBERED)
def _parsed(octets: bytes) -> dns.message.Message:
    """A query without its id."""
    return dns.message.from_wire(b"\0\0" + octets)


@lru_cache(maxsize=REMEMBERED)
def _shown(octets: bytes) -> tuple[str, str]:
    """Name and type of a query without its id."""
    asked = _parsed(octets).question[0]
    return asked.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(asked.rdtype)


@lru_cache(maxsize=REMEMBERED)
def _written(octets: bytes, reply: Reply) -> bytes:
    """The reply to a query, both without their ids; names are written out, as a server may (RFC 1035 4.1.4)."""
    query = _parsed(octets)
    end = QUESTION + len(query.question[0].name.to_wire() or b"") + 4
    answer = [part.written[0] for part in reply.said]
    authority, additional = reply.said[-1].written[1:] if reply.said else (NOTHING, NOTHING)
    sections = (sum(count for count, _ in answer), authority[0], additional[0] + (query.edns >= 0))
    flags = dns.flags.QR | query.flags & dns.flags.RD | reply.flags | reply.rcode
    head = struct.pack("!5H", flags, 1, *sections)
    records = b"".join([*(written for _, written in answer), authority[1], additional[1]])
    return head + octets[QUESTION:end] + records + (OPT if query.edns >= 0 else b"")


def _plain(name: Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
