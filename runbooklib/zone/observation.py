"""Observing: every authoritative server one by one, then the resolvers, and waiting for what was published."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from runbooklib.params import Site
from runbooklib.records import (
    Answer,
    Desired,
    Observed,
    Question,
    Unwanted,
    Wanted,
    Word,
    changed,
    compare,
    parents,
    repeats,
)
from runbooklib.results import Outcome
from runbooklib.zone.authorities import Holder, above, hold
from runbooklib.zone.questions import INTERNET, Wire, ask, together

SHORTEST, TRANSFER, LONGEST = 0.5, 2.0, 15.0  # seconds between two looks; a zone transfer takes about the second


def observe(
    site: Site, want: Desired, after: Outcome | None = None, wait: float = 0, wire: Wire = INTERNET
) -> Observed:
    """What stands; with `after`, waits at most `wait` seconds until resolvers see what was published, and no longer.

    Resolvers are asked only for what the authoritative servers already answer as wanted: asked earlier, they would
    remember the old answer or the absence.
    """
    deadline = time.monotonic() + wait
    holders = holders_of(site, wire)
    seen = Observed(
        (), tuple(sorted({h.zone for h in holders.values() if h.zone})), after, site.dns.publish == "by-hand"
    )
    seen = _look(site, want, seen, holders, wire)
    while after and (late := [w for w in changed(want, seen) if _late(w, seen)]):
        pause = _pause(late, seen)
        if time.monotonic() + pause > deadline:
            break
        time.sleep(min(pause, LONGEST))
        seen = _look(site, Desired(tuple(late)), seen, holders, wire)
    return seen


def at_authorities(site: Site, want: Sequence[Wanted], wire: Wire = INTERNET) -> Observed:
    """What the authoritative servers say, and no resolver."""
    return Observed(tuple(_at_authorities(want, holders_of(site, wire), wire)))


def holders_of(site: Site, wire: Wire) -> Mapping[str, Holder]:
    """The zone and servers of each name that decides where the site's records live."""
    names = above(site)
    return dict(zip(names, together(hold(wire, site, n) for n in names), strict=True))


def _look(site: Site, want: Desired, seen: Observed, holders: Mapping[str, Holder], wire: Wire) -> Observed:
    published = [w for w in want if w.kind != "ptr"]
    seen = seen.updated(_at_authorities([*published, *want.unwanted], holders, wire))
    ready = [Question(*w.asked) for w in want if w.kind == "ptr" or _ready(w, seen)]
    ready += [Question(name, "TXT") for w in want for name in parents(w)]
    jobs = (ask(wire, q, r, recursive=True) for q in dict.fromkeys(ready) for r in site.dns.resolvers)
    return seen.updated(together(jobs))


def _at_authorities(want: Sequence[Wanted | Unwanted], holders: Mapping[str, Holder], wire: Wire) -> list[Answer]:
    questions = dict.fromkeys(Question(*w.asked) for w in want)
    held = {q: _holder(q.name, holders) for q in questions}
    lost = [_nowhere(q, h) for q, h in held.items() if not h.servers]
    return lost + together(ask(wire, q, s, recursive=False) for q, h in held.items() for s in h.servers)


def _holder(name: str, holders: Mapping[str, Holder]) -> Holder:
    """The holder of the longest name above."""
    known = [n for n in holders if name == n or name.endswith(f".{n}")]
    return holders[max(known, key=len)] if known else Holder("")


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
