"""One look at a site's names: each zone's servers one by one, what they hold, and what each resolver makes of it.

A server that is silent costs its patience once: nobody is asked more who has answered nothing. Resolvers are asked only
for what stands: asked for what a plan will create, they would remember the absence (RFC 2308 5).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from runbooklib import spf
from runbooklib.answers import Answer, Question, Word
from runbooklib.params import Site
from runbooklib.zone import Internet, Stub, Wire, ask, together
from runbooklib.zone.authorities import Holder, above, locate
from runbooklib.zone.questions import abreast
from runbooklib.zone.resolvers import resolvers

PATIENCE = 1.0  # seconds for one of three tries: with EDNS, without, over TCP
SILENT = {Word.TIMEOUT, Word.UNREACHABLE}
ENOUGH = 2  # servers of a zone that its records are asked of; the serials tell whether others hold the same
HOSTS = ("A", "AAAA")


@dataclass(frozen=True)
class View:
    """What was seen."""

    holders: Mapping[str, Holder]  # by mail domain, and the host's zone where it is another
    heads: Mapping[str, Sequence[Answer]]  # by the same names: the zone's SOA record, of each of its servers
    answers: Mapping[Question, Answer]  # what the world should see
    resolvers: Mapping[str, Sequence[Answer]]  # the SOA record of each of those names, by resolver
    echoes: Sequence[Answer]  # what resolvers say to the questions that authoritative servers answered with records
    trees: Mapping[str, spf.Tree]  # by the name where receivers look for SPF
    hosts: Mapping[str, Mapping[str, Answer]]  # addresses of mail exchangers by name and type


def look(site: Site, questions: Collection[Question], senders: Collection[str], wire: Wire | None = None) -> View:
    """The answers to these questions, and the SPF trees of `senders`; takes as long as the slowest who answers."""
    (view,) = together([_look(site, questions, senders, wire or Internet(patience=PATIENCE))])
    return view


async def _look(site: Site, questions: Collection[Question], senders: Collection[str], wire: Wire) -> View:
    recursors = await _recursors(site, wire)
    alive = tuple(r for r, said in recursors.items() if not all(a.word in SILENT for a in said))
    holders = {top: h for top, h in (await locate(wire, _asking(site, alive))).items() if top in above(site)}
    heads = await _heads(wire, holders)
    stub = Stub(wire, alive, _speaking(heads.values()))
    answers = dict(zip(questions, await abreast(stub(q.name, q.type) for q in questions), strict=True))
    trees, hosts, echoes = await asyncio.gather(
        asyncio.gather(*(spf.cost(stub, name) for name in senders)),
        _addresses(stub, _exchangers(answers.values())),
        _echoes(wire, alive, answers.values()),
    )
    return View(holders, heads, answers, recursors, echoes, dict(zip(senders, trees, strict=True)), hosts)


def _asking(site: Site, alive: tuple[str, ...]) -> Site:
    """The site with none but resolvers that answer."""
    return site.model_copy(update={"dns": site.dns.model_copy(update={"resolvers": alive})})


async def _recursors(site: Site, wire: Wire) -> Mapping[str, Sequence[Answer]]:
    """What each resolver says of each zone."""
    every = resolvers(site)
    said = await abreast(ask(wire, Question(top, "SOA"), r, recursive=True) for r in every for top in above(site))
    return {r: [a for a in said if a.server == r] for r in every}


async def _heads(wire: Wire, holders: Mapping[str, Holder]) -> Mapping[str, Sequence[Answer]]:
    """What each server says of the zone it should hold."""
    asked = {Question(h.zone, "SOA"): h.servers for h in holders.values() if h.zone}
    pairs = [(question, server) for question, servers in asked.items() for server in servers]
    said = await abreast(ask(wire, question, server, recursive=False) for question, server in pairs)
    return {top: [a for a in said if a.question.name == h.zone] for top, h in holders.items()}


def _speaking(heads: Iterable[Sequence[Answer]]) -> tuple[str, ...]:
    """Servers that hold their zone, a few of each."""
    chosen = [[a.server for a in said if a.heard][:ENOUGH] for said in heads]
    return tuple(dict.fromkeys(server for servers in chosen for server in servers))


def _exchangers(answers: Iterable[Answer]) -> list[str]:
    found = [value.split()[-1] for a in answers if a.question.type == "MX" for value in a.values]
    return [host for host in dict.fromkeys(found) if host != "."]


async def _addresses(stub: Stub, names: Sequence[str]) -> Mapping[str, Mapping[str, Answer]]:
    asked = [(name, kind) for name in names for kind in HOSTS]
    found = dict(zip(asked, await abreast(stub(*each) for each in asked), strict=True))
    return {name: {kind: found[name, kind] for kind in HOSTS} for name in names}


async def _echoes(wire: Wire, alive: Sequence[str], answers: Iterable[Answer]) -> Sequence[Answer]:
    standing = [a.question for a in answers if a.values and not a.recursive]
    return await abreast(ask(wire, question, resolver, recursive=True) for question in standing for resolver in alive)
