"""The tree of an SPF record: every term that asks DNS, with what it and all below it cost (RFC 7208 4.6.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from runbooklib.answers import Answer, Lookup
from runbooklib.results import Shown
from runbooklib.spf import macros
from runbooklib.spf.evaluation import select
from runbooklib.spf.outcome import EndError
from runbooklib.spf.record import Spf
from runbooklib.spf.session import LOOKUPS, NAMES, VOIDS, exchangers
from runbooklib.spf.terms import Term

FOLLOWED = 40  # terms asked in all: enough to show what is far over the limit, and an end for what has none
KNOWN = frozenset("do")  # the macros that are the same for every sender of the domain
INDENT = "\u2007\u2007"  # figure spaces: no browser folds them


@dataclass(frozen=True)
class Branch:
    """A term, or at the root the domain: what it costs itself, and what grows from it."""

    text: str
    own: int = 0
    void: bool = False
    problem: str = ""  # for which receivers answer permerror
    unheard: str = ""  # could not be asked: what it costs is not known
    note: str = ""
    branches: tuple[Branch, ...] = ()

    @property
    def lookups(self) -> int:
        """Terms that ask DNS, here and below."""
        return self.own + sum(b.lookups for b in self.branches)

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Branch]]:
        """Itself and all below, in the order of the record."""
        yield depth, self
        for branch in self.branches:
            yield from branch.walk(depth + 1)


@dataclass(frozen=True)
class Tree(Shown):
    """What evaluating the record of `domain` costs a receiver at worst: when nothing matches before its end."""

    domain: str
    root: Branch
    record: Spf | None = None

    @property
    def lookups(self) -> int:
        """Terms that ask DNS."""
        return self.root.lookups

    @property
    def voids(self) -> int:
        """Terms that find nothing, for clients of either family."""
        return sum(branch.void for _, branch in self.root.walk())

    @property
    def problems(self) -> tuple[str, ...]:
        """All for which receivers answer permerror."""
        found = [_said(branch, branch.problem) for _, branch in self.root.walk() if branch.problem]
        if self.lookups > LOOKUPS:
            found.append(f"{self.lookups} terms ask DNS, the limit is {LOOKUPS}")
        if self.voids > VOIDS:
            found.append(f"{self.voids} terms find nothing, the limit is {VOIDS}")
        return tuple(found)

    @property
    def unheard(self) -> tuple[str, ...]:
        """All that could not be asked; with it, nothing here proves that the record is sound."""
        return tuple(_said(branch, branch.unheard) for _, branch in self.root.walk() if branch.unheard)

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Term, lookups with all below, and what there is to say."""
        return tuple(
            (f"{INDENT * depth}{branch.text}", str(branch.lookups), branch.problem or branch.unheard or branch.note)
            for depth, branch in self.root.walk()
        )

    def parts(self) -> tuple[str, tuple[str, ...], tuple[tuple[str, str, str], ...]]:
        title = f"SPF of {self.domain}: {self.lookups} of {LOOKUPS} lookups, {self.voids} of {VOIDS} void"
        return title, ("term", "lookups", "note"), self.rows

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return {"kind": "table", "title": title, "columns": list(columns), "rows": [list(r) for r in rows]}


def _said(branch: Branch, what: str) -> str:
    return f"{branch.text}: {what}"


async def cost(look: Lookup, domain: str) -> Tree:
    """The tree of `domain`; what one record refers to is asked side by side, so it takes as long as it is deep.

    Never raises, and ends: a name is not followed below itself, and no more than FOLLOWED terms are asked.
    """
    name = domain.lower().rstrip(".")
    growth = _Growth(look, name)
    root, record = await growth.grown(Branch(name), name, frozenset())
    return Tree(name, root, record)


@dataclass
class _Growth:
    """One tree while it is asked for."""

    look: Lookup
    domain: str
    asked: int = field(default=0)

    async def grown(self, branch: Branch, name: str, above: frozenset[str]) -> tuple[Branch, Spf | None]:
        """`branch` with what the record of `name` refers to."""
        answer = await self.look(macros.presented(name), "TXT")
        if not answer.heard:
            return replace(branch, unheard=f"{name} TXT: {answer.shown}"), None
        try:
            record = select(name, answer)
        except EndError as end:
            return replace(branch, problem=str(end)), None
        if record is None:
            said = f"{name} has no SPF record ({answer.word})"
            told = {"problem": said, "void": not answer.values} if above else {"note": said}
            return replace(branch, **told), None
        asking = [t for t in (*record.tested, *filter(None, [record.redirect])) if t.network is None]
        below = await asyncio.gather(*(self.branch(t, name, above | {name}) for t in asking[:FOLLOWED]))
        more = len(asking) - len(below)
        rest = [Branch(f"{more} more terms that ask DNS", more, note="not followed")] if more else []
        return replace(branch, branches=(*below, *rest), note=branch.note or _unreached(record)), record

    async def branch(self, term: Term, name: str, above: frozenset[str]) -> Branch:
        """What one term of the record of `name` costs."""
        own = Branch(term.text, 1 + ("p" in macros.letters(term.value)))
        if not macros.letters(term.value) <= KNOWN:
            return replace(own, note="what it asks depends on the sender: not followed")
        target = macros.name(term.value, {"d": name, "o": self.domain}) if term.value else name
        if not target:
            refers = term.name in REFERRING
            return replace(own, problem="no domain name" if refers else "", note="" if refers else "no domain name")
        self.asked += 1
        if self.asked > FOLLOWED:
            return replace(own, note=f"not followed: the {FOLLOWED} terms before it are too many already")
        if term.name not in REFERRING:
            return await self._leaf(own, term, target)
        if target in above:
            return replace(own, problem=f"a loop: {target} leads here")
        return (await self.grown(own, target, above))[0]

    async def _leaf(self, own: Branch, term: Term, target: str) -> Branch:
        """`a`, `mx`, `exists` or `ptr`: what stands there now."""
        if term.name == "ptr":
            return replace(own, note="asks for the client's names: slow, and many receivers skip it (RFC 7208 5.5)")
        kinds = ASKED[term.name]
        answers = await asyncio.gather(*(self.look(macros.presented(target), kind) for kind in kinds))
        if term.name == "mx" and len(answers[0].values) > NAMES:
            return replace(own, problem=f"{len(answers[0].values)} MX records, the limit is {NAMES}")
        found = answers if term.name != "mx" else await self._hosts(answers[0])
        silent = next((a for a in found if not a.heard), None)
        if silent and not any(a.values for a in found):
            return replace(own, unheard=f"{silent.question.name} {silent.question.type}: {silent.shown}")
        void = not any(a.values for a in found)
        return replace(own, void=void, note=_missing(found) if void else _found(answers))

    async def _hosts(self, answer: Answer) -> list[Answer]:
        """The addresses of mail exchangers; the MX answer itself where there are none."""
        asked = [(host, kind) for host in exchangers(answer) for kind in ("A", "AAAA")]
        return list(await asyncio.gather(*(self.look(*each) for each in asked))) or [replace(answer, values=())]


REFERRING = {"include", "redirect"}
ASKED = {"a": ("A", "AAAA"), "mx": ("MX",), "exists": ("A",)}


def _missing(answers: list[Answer]) -> str:
    names, kinds = dict.fromkeys(a.question.name for a in answers), dict.fromkeys(a.question.type for a in answers)
    return f"void: {', '.join(names)} has no {' or '.join(kinds)} record"


def _found(answers: list[Answer]) -> str:
    values = [v for a in answers for v in a.values]
    more = f" and {len(values) - 3} more" if len(values) > 3 else ""  # noqa: PLR2004 - what a cell shows
    return f"now {', '.join(values[:3])}{more}"


def _unreached(record: Spf) -> str:
    """Terms that no receiver looks at: what stands after `all`, and any redirect= beside it (RFC 7208 5.1, 6.1)."""
    if not record.all:
        return ""
    last = record.terms.index(record.all)
    late = [t for t in record.terms[last + 1 :] if t.qualifier]
    idle = [t for t in record.terms if t.name == "redirect" and not t.qualifier]
    return f"never looked at, as all decides: {' '.join(t.text for t in late + idle)[:200]}" if late + idle else ""
