"""What stands in DNS for a site: the answers to what it wants to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from runbooklib.answers import Answer, Question, readable
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Wanted
from runbooklib.results import Outcome, Shown, Table
from runbooklib.spf import Tree


@dataclass(frozen=True)
class Observed(Shown):
    """Answers to what a site wants to know, authoritative ones first."""

    answers: tuple[Answer, ...]
    zones: tuple[str, ...] = ()  # those that hold the names
    after: Outcome | None = None  # what was published before these answers were given
    by_hand: bool = False  # who publishes: a person
    soas: tuple[Answer, ...] = ()  # the SOA record of each zone at each of its servers
    since: datetime | None = None  # when looking began
    fresh: tuple[Answer, ...] = ()  # the SOA record as a resolver finds it that differs, its cache put aside
    aside: frozenset[Question] = frozenset()  # asked only in case something stands there that should not
    outlived: frozenset[tuple[Question, str]] = frozenset()  # what resolvers said again after its time
    costs: tuple[Tree, ...] = ()  # of each SPF record to be published, as it would be

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def at_authority(self, wanted: Wanted | Unwanted) -> tuple[Answer, ...]:
        """What each authoritative server says."""
        return self._about(wanted.asked, recursive=False)

    def at_resolvers(self, wanted: Wanted) -> tuple[Answer, ...]:
        """What each resolver says; empty when none was asked."""
        return self._about(wanted.asked, recursive=True)

    def above(self, wanted: Wanted) -> tuple[Answer, ...]:
        """What resolvers say of the names above a DMARC record, nearest first (RFC 9989 4.10)."""
        names = parents(wanted)
        return tuple(a for n in names for a in self._about((n, "TXT"), recursive=True))

    def cost_of(self, name: str) -> Tree | None:
        """What the SPF record to be published at `name` would cost; None where none is."""
        return next((tree for tree in self.costs if tree.domain == name), None)

    def zone_of(self, name: str) -> str:
        """The zone that holds `name`, empty when it was not found."""
        holders = [z for z in self.zones if name == z or name.endswith(f".{z}")]
        return max(holders, key=len, default="")

    def updated(self, answers: Iterable[Answer]) -> Observed:
        """The same with newer answers in the place of older ones."""
        newer = tuple(answers)
        replaced = {(a.question, a.server, a.recursive): a for a in newer}
        outlived = {_key(a)[:2] for a in self.answers if _outlived(a, replaced.get(_key(a)))}
        kept = tuple(a for a in self.answers if _key(a) not in replaced)
        return replace(self, answers=kept + newer, outlived=self.outlived | outlived)

    def _about(self, asked: tuple[str, str], *, recursive: bool) -> tuple[Answer, ...]:
        about = Question(*asked)
        return tuple(a for a in self.answers if a.question == about and a.recursive is recursive)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return "what is there", ("name", "type", "value", "TTL", "said by"), list(self._rows())

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """One row for each different answer, with all who gave it."""
        groups: dict[tuple[Question, str], list[Answer]] = {}
        told = (a for a in self.answers if a.values or a.chain or a.question not in self.aside)
        for answer in sorted(told, key=lambda a: (a.question.name, a.question.type, a.recursive)):
            groups.setdefault((answer.question, answer.shown), []).append(answer)
        for (question, shown), given in groups.items():
            ttl = str(given[0].ttl) if given[0].heard else ""
            wild = f" (from {given[0].wildcard})" if given[0].wildcard else ""
            yield readable(question.name), question.type, shown + wild, ttl, ", ".join(map(_speaker, given))

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def _key(answer: Answer) -> tuple[Question, str, bool]:
    return answer.question, answer.server, answer.recursive


def _outlived(old: Answer, new: Answer | None) -> bool:
    """Whether a resolver says the same although its time was over: it does not ask, or asks somebody else."""
    if new is None or not (old.recursive and old.heard and new.heard):
        return False
    return old.until <= new.at and (old.word, old.values, old.chain) == (new.word, new.values, new.chain)


def _speaker(answer: Answer) -> str:
    """Who said it, and in what office; of a resolver also until when its cache says the same."""
    if not answer.server:
        return "nobody"
    kept = f", cached until {answer.until:%H:%M:%SZ}" if answer.heard else ""
    return f"{answer.server} (resolver{kept})" if answer.recursive else f"{answer.server} (authoritative)"


def parents(wanted: Wanted) -> tuple[str, ...]:
    """Where a DMARC policy above `wanted` would stand, nearest first, a single label left out."""
    if wanted.kind != "dmarc":
        return ()
    labels = wanted.name.split(".")[1:]
    return tuple("_dmarc." + ".".join(labels[i:]) for i in range(1, len(labels) - 1))
