"""Where a DNS panel puts a record by mistake: below the zone's name twice, or without its underscores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from runbooklib.answers import Answer, Question
from runbooklib.records.comparison import compare
from runbooklib.records.observed import Observed
from runbooklib.records.wanted import Wanted
from runbooklib.results import Check


def questions(want: Iterable[Wanted], seen: Observed) -> list[Question]:
    """What else to ask at authoritative servers: where records may stand that lack at their own names."""
    lacking = (w for w in want if w.values and not w.elsewhere and _lacks(w, seen))
    return list(dict.fromkeys(question for w in lacking for question, _ in _astray(w, seen)))


def _lacks(wanted: Wanted, seen: Observed) -> bool:
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    return bool(heard) and not any(compare(wanted, a).good for a in heard)


def misplaced(row: Check, wanted: Wanted, seen: Observed) -> Check:
    """The row of a record that lacks, saying where it stands instead and what to enter."""
    for question, advice in _astray(wanted, seen):
        if any(_is_it(wanted, answer) for answer in _said(question, seen)):
            return replace(row, observed=f"{row.observed}; it stands at {question.name}: {advice}")
    return row


def _astray(wanted: Wanted, seen: Observed) -> Iterator[tuple[Question, str]]:
    """The names a panel may have made of the right one, each with what to enter."""
    zone, kind = seen.zone_of(wanted.name), wanted.asked[1]
    if zone:
        relative = wanted.name.removesuffix(zone).rstrip(".") or "@"
        yield Question(f"{wanted.name}.{zone}", kind), f"the panel appends the zone by itself, enter {relative}"
    if "_" in wanted.name:
        stripped = wanted.name.replace("_", "")
        yield Question(stripped, kind), "the panel dropped the underscore, which belongs to the name (RFC 8552)"


def _said(question: Question, seen: Observed) -> list[Answer]:
    return [a for a in seen if a.question == question and not a.recursive and a.heard]


def _is_it(wanted: Wanted, answer: Answer) -> bool:
    return bool(answer.values or answer.chain) and compare(wanted, answer).good
