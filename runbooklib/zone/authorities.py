"""Which zone holds a name and which servers answer for it, found from the top without asking resolvers below it.

A resolver asked for a name that does not exist yet remembers the absence for the zone's negative TTL (RFC 2308 5), so
names that a plan may create are asked only at authoritative servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import dns.message
import dns.rdatatype

from runbooklib.params import Site
from runbooklib.records import Answer, Question, Word
from runbooklib.zone.questions import Wire, ask, exchange, read, value

DEEPEST = 8  # referrals followed; no real name has so many cuts above it


@dataclass(frozen=True)
class Holder:
    """The zone that holds a name, with its servers' addresses; without servers `missing` says why."""

    zone: str
    servers: tuple[str, ...] = ()
    missing: Answer | None = None


async def hold(wire: Wire, site: Site, name: str) -> Holder:
    """The holder of `name`: at the addresses params name, else by following the delegation."""
    if site.dns.authoritative:
        return await _configured(wire, site.dns.authoritative, name)
    return await _followed(wire, site.dns.resolvers, name)


def above(site: Site) -> tuple[str, ...]:
    """The names whose holders a site's records need: each mail domain, and the host's zone when it is another."""
    domains = tuple(d.name for d in site.domains)
    host = site.server.hostname
    inside = any(host.endswith(f".{d}") for d in domains)
    return domains if inside else (*domains, host.partition(".")[2])


async def _configured(wire: Wire, servers: Sequence[str], name: str) -> Holder:
    answers = [await ask(wire, Question(name, "SOA"), s, recursive=False) for s in servers]
    zone = next((a.zone for a in answers if a.heard and a.zone), "")
    return Holder(zone, tuple(servers), None if zone else answers[0])


async def _followed(wire: Wire, resolvers: Sequence[str], name: str) -> Holder:
    """From the top-level domain down, one referral after the other."""
    question = Question(name, "SOA")
    servers = await _named(wire, resolvers, Question(name.rpartition(".")[2], "NS"))
    for _ in range(DEEPEST):
        reply = await _first(wire, question, servers)
        if isinstance(reply, Answer):
            return Holder("", missing=reply)
        answer = read(question, servers[0], reply, recursive=False)
        if answer.word is not Word.LAME:
            return await _complete(wire, resolvers, answer, servers)
        servers = await _addresses(wire, resolvers, _referral(reply))
    return Holder("", missing=Answer(question, "", Word.LAME, note="too many referrals"))


async def _complete(wire: Wire, resolvers: Sequence[str], answer: Answer, servers: Sequence[str]) -> Holder:
    """The zone's own list of nameservers: a server of the parent may have answered for the child too."""
    if not answer.heard or "." not in answer.zone:  # the top-level zone itself says so: nobody registered the name
        return Holder("", missing=answer)
    own = await ask(wire, Question(answer.zone, "NS"), servers[0], recursive=False)
    return Holder(answer.zone, tuple(await _addresses(wire, resolvers, own.values) or servers))


async def _first(wire: Wire, question: Question, servers: Sequence[str]) -> dns.message.Message | Answer:
    """The reply of the first server that gives one."""
    silent = Answer(question, "", Word.TIMEOUT, note="no nameserver has an address")
    for server in servers:
        reply = await exchange(wire, question, server, recursive=False)
        if not isinstance(reply, Answer):
            return reply
        silent = reply
    return silent


def _referral(reply: dns.message.Message) -> list[str]:
    """The nameservers a parent names for the child."""
    return [value(r) for rrset in reply.authority if rrset.rdtype == dns.rdatatype.NS for r in rrset]


async def _named(wire: Wire, resolvers: Sequence[str], question: Question) -> list[str]:
    return await _addresses(wire, resolvers, (await _resolved(wire, resolvers, question)).values)


async def _addresses(wire: Wire, resolvers: Sequence[str], names: Collection[str]) -> list[str]:
    """IPv4 before IPv6: the machine that asks may have only the first."""
    questions = [Question(name, kind) for kind in ("A", "AAAA") for name in names]
    answers = await asyncio.gather(*(_resolved(wire, resolvers, q) for q in questions))
    return [address for answer in answers for address in answer.values]


async def _resolved(wire: Wire, resolvers: Sequence[str], question: Question) -> Answer:
    """What the first resolver that is heard says."""
    answer = Answer(question, "", Word.TIMEOUT, note="no resolver")
    for resolver in resolvers:
        answer = await ask(wire, question, resolver, recursive=True)
        if answer.heard:
            return answer
    return answer
