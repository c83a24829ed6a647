"""Observing: every authoritative server one by one, then the resolvers, and waiting for what was published."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dns.rdatatype

from runbooklib import spf
from runbooklib.answers import Answer, Lookup, Question, Word
from runbooklib.params import Site
from runbooklib.records import Desired, Observed, Wanted, changed, compare, misplaced, noted, parents, repeats
from runbooklib.records.agreement import differences, stands
from runbooklib.records.changes import merged
from runbooklib.records.clock import visibility
from runbooklib.results import Outcome
from runbooklib.spf import Tree
from runbooklib.zone.authorities import Holder, holder_of, locate, within
from runbooklib.zone.questions import INTERNET, Wire, abreast, ask, exchange, together
from runbooklib.zone.reading import text, value
from runbooklib.zone.resolvers import resolvers
from runbooklib.zone.stub import Stub

SHORTEST, TRANSFER, LONGEST = 0.5, 2.0, 15.0  # seconds between two looks; a zone transfer takes about the second


def observe(
    site: Site, want: Desired, after: Outcome | None = None, wait: float = 0, wire: Wire = INTERNET
) -> Observed:
    """What stands; with `after`, waits at most `wait` seconds until resolvers see what was published, and no longer.

    Resolvers are asked only for what the authoritative servers already answer as wanted: asked earlier, they would
    remember the old answer or the absence.
    """
    deadline = time.monotonic() + wait
    look = _Look(wire, resolvers(site), holders_of(site, wire, _names(want)))
    began, by_hand = datetime.now(UTC), site.dns.publish == "by-hand"
    (seen,) = together([look.at(Observed((), look.zones, after, by_hand, since=began), want)])
    while after and (late := [w for w in changed(want, seen) if _late(w, seen)]):
        pause = _pause(late, seen)
        if time.monotonic() + pause > deadline:
            break
        time.sleep(min(pause, LONGEST))
        (seen,) = together([look.at(seen, Desired(tuple(late)))])
    (costs,) = together([look.costs(want, seen)])
    return replace(seen, costs=costs)


def at_authorities(site: Site, want: Sequence[Wanted], wire: Wire = INTERNET) -> Observed:
    """What the authoritative servers say, and no resolver."""
    look = _Look(wire, (), holders_of(site, wire, [w.name for w in want]))
    (said,) = together([look.authorities(Question(*w.asked) for w in want)])
    return Observed(tuple(said))


def holders_of(site: Site, wire: Wire, names: Iterable[str] = ()) -> Mapping[str, Holder]:
    """The zone and servers of each name that decides where the site's records live, and of these names."""
    (found,) = together([locate(wire, site, names)])
    return found


def _names(want: Desired) -> list[str]:
    return [w.name for w in want if not w.elsewhere] + [u.name for u in want.unwanted]


@dataclass(frozen=True)
class _Look:
    """Whom to ask, and how."""

    wire: Wire
    resolvers: Sequence[str]
    holders: Mapping[str, Holder]

    @property
    def zones(self) -> tuple[str, ...]:
        return tuple(sorted({h.zone for h in self.holders.values() if h.zone}))

    async def at(self, seen: Observed, want: Desired) -> Observed:
        """The same with newer answers to what is wanted."""
        ours = [w for w in want if not w.elsewhere]
        wanted = [Question(*w.asked) for w in ours] + [Question(*u.asked) for u in want.unwanted]
        seen = seen.updated(await self.authorities(wanted))
        seen = seen.updated(await self.synthesized(ours, seen))
        astray = [*misplaced.questions(ours, seen), *noted.questions(ours)]
        seen = replace(seen.updated(await self.authorities(astray)), aside=seen.aside | set(astray))
        soas = await self.authorities(Question(zone, "SOA") for zone in self.zones)
        ready = [Question(*w.asked) for w in want if w.elsewhere or _ready(w, seen)]
        seen = seen.updated(await self.world([*ready, *(Question(n, "TXT") for w in want for n in parents(w))]))
        return await self.doubted(replace(seen, soas=_kept(seen.soas, soas)), ours)

    async def authorities(self, questions: Iterable[Question]) -> list[Answer]:
        """What each server of the zone says that holds the name."""
        held = {q: holder_of(q.name, self.holders) for q in dict.fromkeys(questions)}
        lost = [_nowhere(q, h) for q, h in held.items() if not h.servers]
        return lost + await abreast(ask(self.wire, q, s, recursive=False) for q, h in held.items() for s in h.servers)

    async def world(self, questions: Iterable[Question]) -> list[Answer]:
        """What each resolver says."""
        asked = ((q, r) for q in dict.fromkeys(questions) for r in self.resolvers)
        return await abreast(ask(self.wire, q, r, recursive=True) for q, r in asked)

    async def costs(self, want: Desired, seen: Observed) -> tuple[Tree, ...]:
        """What each SPF record to be published would cost, as if it stood; all else as DNS has it now."""
        planned = {Question(c.name, "TXT"): c.texts_after for c in merged(want, seen)}
        servers = dict.fromkeys(s for holder in self.holders.values() for s in holder.servers)
        soon = _Soon(Stub(self.wire, self.resolvers, tuple(servers)), planned)
        return tuple(await asyncio.gather(*(spf.cost(soon, question.name) for question in planned)))

    async def synthesized(self, want: Iterable[Wanted], seen: Observed) -> list[Answer]:
        """The answers that a wildcard gave, known by the wildcard's saying the same (RFC 4592 2.1.1)."""
        given = [a for w in want for a in seen.at_authority(w) if a.values or a.chain]
        stars = {a.question: list(_stars(a, seen.zone_of(a.question.name))) for a in given}
        server = {star: a.server for a in given for star in stars[a.question]}
        told = {a.question: a for a in await abreast(ask(self.wire, q, s, recursive=False) for q, s in server.items())}
        source = {a: next((s for s in stars[a.question] if _same(a, told[s])), None) for a in given}
        return [replace(a, wildcard=star.name) for a, star in source.items() if star]

    async def doubted(self, seen: Observed, want: Iterable[Wanted]) -> Observed:
        """Resolvers that differ are asked once more where no time is left, and what they find without their cache."""
        found = differences([w for w in want if stands(w, seen)], seen)
        known, now = visibility(seen), datetime.now(UTC)
        unchanged = [d.answer for d in found if known.until(d.wanted.name, d.wanted.type) is None]
        over = (a for a in unchanged if a.heard and a.until <= now)
        seen = seen.updated(await abreast(ask(self.wire, a.question, a.server, recursive=True) for a in over))
        zones = dict.fromkeys((seen.zone_of(d.answer.question.name), d.answer.server) for d in found)
        fresh = await abreast(_uncached(self.wire, zone, server) for zone, server in zones)
        return replace(seen, fresh=tuple(a for a in fresh if a.values))


@dataclass(frozen=True)
class _Soon:
    """A `Lookup` that finds what is to be published as if it stood."""

    look: Lookup
    planned: Mapping[Question, tuple[str, ...]]

    async def __call__(self, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        question = Question(name, type)
        if question in self.planned:
            return Answer(question, "", Word.NOERROR, values=self.planned[question])
        return await self.look(name, type)


async def _uncached(wire: Wire, zone: str, server: str) -> Answer:
    """The SOA record that comes with the absence of a name nobody ever asked for."""
    asked, question = Question(f"{secrets.token_hex(8)}.{zone}", "A"), Question(zone, "SOA")
    reply = await exchange(wire, asked, server, recursive=True)
    if isinstance(reply, Answer):
        return replace(reply, question=question)
    soas = [r for r in reply.authority if r.rdtype == dns.rdatatype.SOA and text(r.name) == zone]
    return Answer(question, server, Word.NOERROR, recursive=True, values=tuple(value(r[0]) for r in soas))


def _kept(before: Iterable[Answer], now: Iterable[Answer]) -> tuple[Answer, ...]:
    """Each server's SOA record with the moment when it was first seen so."""
    known = {(a.question, a.server, a.values): a for a in before}
    return tuple(known.get((a.question, a.server, a.values), a) for a in now)


def _stars(answer: Answer, zone: str) -> Iterator[Question]:
    """The wildcards that may have spoken for a name, the closest first."""
    above = answer.question.name
    while within(above, zone) and above != zone:
        above = above.partition(".")[2]
        yield Question(f"*.{above}", answer.question.type)


def _same(answer: Answer, star: Answer) -> bool:
    return bool(star.values or star.chain) and (star.values, star.chain) == (answer.values, answer.chain)


def _nowhere(question: Question, holder: Holder) -> Answer:
    if holder.missing:
        return replace(holder.missing, question=question)
    return Answer(question, "", Word.LAME, note="no zone of this site holds the name")


def _ready(wanted: Wanted, seen: Observed) -> bool:
    """Whether asking resolvers can do no harm: every authoritative server is right, or none can be heard."""
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    return bool(wanted.values) and all(compare(wanted, a).good for a in heard)


def _late(wanted: Wanted, seen: Observed) -> bool:
    """Whether someone who answers still gives the old data."""
    behind = [a for a in seen.at_authority(wanted) if a.heard and not compare(wanted, a).good]
    return bool(behind or _old(wanted, seen))


def _old(wanted: Wanted, seen: Observed) -> list[Answer]:
    return [a for a in seen.at_resolvers(wanted) if a.heard and not repeats(wanted, a, seen)]


def _pause(late: Iterable[Wanted], seen: Observed) -> float:
    """Seconds until the first old answer leaves a cache; a server that fetches the zone from another is soon done."""
    now = datetime.now(UTC)
    waits = [(a.until - now).total_seconds() + SHORTEST for w in late for a in _old(w, seen)]
    return max(min(waits, default=TRANSFER), SHORTEST)
