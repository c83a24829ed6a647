"""Which zone holds a name and which servers answer for it, found from the top without asking resolvers below it.

A resolver asked for a name that does not exist yet remembers the absence for the zone's negative TTL (RFC 2308 5), so
names that a plan may create are asked only at authoritative servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dns.message
import dns.rdatatype

from runbooklib.answers import Answer, Question, Word
from runbooklib.dmarc.suffixes import registered
from runbooklib.params import Site
from runbooklib.zone.questions import Wire, ask, exchange
from runbooklib.zone.reading import read, text, value
from runbooklib.zone.resolvers import resolvers

DEEPEST = 8  # referrals followed; no real name has so many cuts above it
KINDS = ("A", "AAAA")

Nameservers = Mapping[str, tuple[str, ...]]  # their addresses by name


@dataclass(frozen=True)
class Referral:
    """What a zone says of one below it: its nameservers, with the glue it gives for them (RFC 1034 4.2.1)."""

    zone: str
    names: tuple[str, ...]
    glue: Nameservers


@dataclass(frozen=True)
class Holder:
    """The zone that holds a name, with its servers' addresses; without servers `missing` says why."""

    zone: str
    servers: tuple[str, ...] = ()
    missing: Answer | None = None
    parent: Referral | None = None  # None: nobody was asked, or one server holds parent and child
    listed: Nameservers = field(default_factory=dict)  # those the zone itself names


async def locate(wire: Wire, site: Site, names: Iterable[str] = ()) -> Mapping[str, Holder]:
    """The holder of each mail domain, of the host, and of each name below them: behind a cut it is another."""
    tops = above(site)
    below = [name for name in dict.fromkeys(names) if name not in tops and any(within(name, top) for top in tops)]
    if site.dns.authoritative:
        return await _configured(wire, site.dns.authoritative, [*tops, *below])
    walk = _Walk(wire, resolvers(site))
    found = dict(zip(tops, await asyncio.gather(*map(walk.from_the_top, tops)), strict=True))
    deeper = await asyncio.gather(*(walk.from_holder(name, found[_nearest(name, tops)]) for name in below))
    return found | dict(zip(below, deeper, strict=True))


def holder_of(name: str, holders: Mapping[str, Holder]) -> Holder:
    """The holder of the longest known name that is this one or stands above it."""
    known = _nearest(name, holders)
    return holders[known] if known else Holder("")


def _nearest(name: str, tops: Iterable[str]) -> str:
    return max((top for top in tops if within(name, top)), key=len, default="")


def within(name: str, zone: str) -> bool:
    """Whether a name is the zone's apex or below it."""
    return bool(zone) and (name == zone or name.endswith(f".{zone}"))


def above(site: Site) -> tuple[str, ...]:
    """The names whose holders a site's records need: each mail domain, the host, and silent names of others."""
    domains = tuple(d.name for d in site.domains)
    host = site.server.hostname
    others = [] if _inside(host, domains) else [host]
    others += [name for name in site.dns.sends_nothing if not _inside(name, (*domains, *others))]
    return (*domains, *others)


def _inside(name: str, domains: Iterable[str]) -> bool:
    return any(name == d or name.endswith(f".{d}") for d in domains)


# at the addresses that params name


async def _configured(wire: Wire, servers: Sequence[str], names: Sequence[str]) -> Mapping[str, Holder]:
    """The zone of each name as these servers say; one that holds only others of the zones is not asked for this."""
    claims = await asyncio.gather(*(_claims(wire, servers, name) for name in names))
    held = {server: {zones[server][0] for zones in claims} - {""} for server in servers}
    return {name: _among(claim, held) for name, claim in zip(names, claims, strict=True)}


async def _claims(wire: Wire, servers: Sequence[str], name: str) -> dict[str, tuple[str, Answer]]:
    """For each server the zone it has the name in, empty for none, with what it said."""
    question = Question(name, "SOA")
    answers = await asyncio.gather(*(ask(wire, question, server, recursive=False) for server in servers))
    return {a.server: (await _apex(wire, a) if a.heard else "", a) for a in answers}


def _among(claims: Mapping[str, tuple[str, Answer]], held: Mapping[str, Collection[str]]) -> Holder:
    zone = max((zone for zone, _ in claims.values()), key=len)
    servers = tuple(server for server, zones in held.items() if not zone or not zones or zone in zones)
    return Holder(zone, servers, None if zone else next(answer for _, answer in claims.values()))


async def _apex(wire: Wire, answer: Answer) -> str:
    """The zone of a name that a server has; an alias carries no SOA of its zone, so the name above it is asked."""
    name = answer.question.name
    above_it = name
    while not within(name, answer.zone) and (above_it := above_it.partition(".")[2]):
        answer = await ask(wire, Question(above_it, "SOA"), answer.server, recursive=False)
    return answer.zone if within(name, answer.zone) else ""


# by following the delegation


@dataclass(frozen=True)
class _Walk:
    """Down from one zone to the next, one referral after the other."""

    wire: Wire
    resolvers: Sequence[str]

    async def from_the_top(self, name: str) -> Holder:
        """From the top-level domain."""
        top = await self.resolved(Question(name.rpartition(".")[2], "NS"))
        return await self.down(name, _together(await self.addresses(top.values)), None)

    async def from_holder(self, name: str, holder: Holder) -> Holder:
        """From a zone that holds the name, or delegates what is above it; where nobody can be heard, that zone."""
        if not holder.servers:
            return holder
        found = await self.down(name, holder.servers, holder.parent, holder)
        return holder if not found.zone and found.parent == holder.parent else found

    async def down(
        self, name: str, servers: Sequence[str], parent: Referral | None, known: Holder | None = None
    ) -> Holder:
        question = Question(name, "SOA")
        for _ in range(DEEPEST):
            reply, server = await self.first(question, servers)
            if isinstance(reply, Answer):
                return Holder("", missing=reply, parent=parent)
            answer = read(question, server, reply, recursive=False)
            below = referral(reply, name)
            if answer.word is not Word.LAME or below is None:
                return await self.complete(answer, servers, parent, known)
            parent = below
            servers = _together(await self.addresses(below.names, below.glue))
        return Holder("", missing=Answer(question, "", Word.LAME, note="too many referrals"), parent=parent)

    async def complete(
        self, answer: Answer, servers: Sequence[str], parent: Referral | None, known: Holder | None
    ) -> Holder:
        """The zone's own list of nameservers, and those that only the zone above names: the world asks both."""
        zone = await _apex(self.wire, answer) if answer.heard else ""
        if known and zone == known.zone:
            return known
        if _unregistered(answer, zone):
            return Holder("", missing=answer, parent=parent)
        own = await ask(self.wire, Question(zone, "NS"), answer.server, recursive=False)
        listed = await self.addresses(own.values)
        parent = parent if parent and parent.zone == zone else None
        delegated = _together(await self.addresses(parent.names, parent.glue)) if parent else ()
        everybody = tuple(dict.fromkeys([*_together(listed), *delegated])) or tuple(servers)
        return Holder(zone, everybody, parent=parent, listed=listed)

    async def first(self, question: Question, servers: Sequence[str]) -> tuple[dns.message.Message | Answer, str]:
        """The reply of the first server that has the name or delegates it, else the last that was heard."""
        said: dns.message.Message | Answer = Answer(question, "", Word.TIMEOUT, note="no nameserver has an address")
        by = ""
        for server in servers:
            reply = await exchange(self.wire, question, server, recursive=False)
            if isinstance(reply, Answer):
                said = reply if isinstance(said, Answer) else said
                continue
            said, by = reply, server
            if read(question, server, reply, recursive=False).heard or referral(reply, question.name):
                break
        return said, by

    async def addresses(self, names: Collection[str], glue: Nameservers | None = None) -> Nameservers:
        """The nameservers' addresses, by glue where there is some."""
        known = dict(glue or {})
        questions = [Question(name, kind) for name in names if name not in known for kind in KINDS]
        for answer in await asyncio.gather(*map(self.resolved, questions)):
            known[answer.question.name] = known.get(answer.question.name, ()) + answer.values
        return known

    async def resolved(self, question: Question) -> Answer:
        """What the first resolver that is heard says."""
        answer = Answer(question, "", Word.TIMEOUT, note="no resolver")
        for resolver in self.resolvers:
            answer = await ask(self.wire, question, resolver, recursive=True)
            if answer.heard:
                break
        return answer


def _unregistered(answer: Answer, zone: str) -> bool:
    """Whether it is a top-level zone or another public suffix that says there is no such name."""
    return "." not in zone or (answer.word is Word.NXDOMAIN and not within(zone, registered(answer.question.name)))


def _together(nameservers: Nameservers) -> tuple[str, ...]:
    """All addresses, IPv4 before IPv6: the machine that asks may have only the first."""
    every = [address for addresses in nameservers.values() for address in addresses]
    return tuple(sorted(dict.fromkeys(every), key=lambda address: ":" in address))


def referral(reply: dns.message.Message, name: str) -> Referral | None:
    """The nameservers a zone names for a child that holds the name; a lame server may refer upward (RFC 1912 2.8)."""
    cuts = [r for r in reply.authority if r.rdtype == dns.rdatatype.NS and within(name, text(r.name))]
    if reply.answer or not cuts:
        return None
    glue = _glue(reply)
    names = tuple(sorted(value(rdata) for rdata in cuts[0]))
    return Referral(text(cuts[0].name), names, {n: glue[n] for n in names if glue.get(n)})


def _glue(reply: dns.message.Message) -> Nameservers:
    found: dict[str, tuple[str, ...]] = {}
    for rrset in reply.additional:
        if dns.rdatatype.to_text(rrset.rdtype) in KINDS:
            owner = text(rrset.name)
            found[owner] = found.get(owner, ()) + tuple(sorted(map(value, rrset)))
    return found
