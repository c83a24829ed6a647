"""From wanted and observed to a plan: one change an rrset, nothing dropped that is not replaced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from runbooklib.records.comparison import compare, inherited
from runbooklib.records.observed import Answer, Observed
from runbooklib.records.wanted import Desired, Wanted
from runbooklib.results import Change, Plan

STEPS = ("address", "mx", "spf", "dkim", "dmarc", "ownership")  # a name before what points at it


@dataclass(frozen=True)
class RecordChange(Change):
    """Some values of one rrset; `stands` is all of it as it was seen, in zone file form, for the prerequisite."""

    name: str = ""
    type: str = ""
    zone: str = ""
    ttl: int = 0
    removed: tuple[str, ...] = ()  # zone file form
    added: tuple[str, ...] = ()
    stands: tuple[str, ...] = ()


def diff(want: Desired, have: Observed) -> Plan:
    """What has to be added or corrected at the authoritative servers."""
    changes, refusals = [], []
    for wanted in want:
        answer = _to_correct(wanted, have)
        compared = compare(wanted, answer) if answer else None
        if answer and compared and compared.values is not None:
            changes.append(_change(wanted, answer, compared.values, have))
        if compared and compared.refusal:
            refusals.append(compared.refusal)
    return Plan("DNS", tuple(changes), (*refusals, *dangers(changes)))


def dangers(changes: Iterable[Change]) -> tuple[str, ...]:
    """Why these changes must not be published: something would go without a successor."""
    return tuple(
        f"{c.target}: would drop {len(c.removed)} values and add {len(c.added)}"
        for c in changes
        if isinstance(c, RecordChange) and len(c.removed) > len(c.added)
    )


def _to_correct(wanted: Wanted, have: Observed) -> Answer | None:
    """The answer to start from; None where nobody was heard, or one server is right already and the rest lag."""
    heard = [a for a in have.at_authority(wanted) if a.heard]
    if not wanted.values or wanted.kind == "ptr" or not heard or inherited(wanted, have):
        return None
    return None if any(compare(wanted, a).good for a in heard) else heard[0]


def _change(wanted: Wanted, answer: Answer, values: tuple[str, ...], have: Observed) -> RecordChange:
    gone = [(v, r) for v, r in zip(answer.values, answer.raw, strict=True) if v not in values]
    new = tuple(v for v in values if v not in answer.values)
    before = "\n".join(v for v, _ in gone)
    return RecordChange(
        order=STEPS.index(wanted.kind),
        target=f"{wanted.name} {wanted.type}",
        before=before,
        after="\n".join(new),
        why=f"{wanted.reason} ({wanted.ref})",
        undo=f"put back {before}" if before else "delete it",
        name=wanted.name,
        type=wanted.type,
        zone=have.zone_of(wanted.name),
        ttl=answer.ttl if answer.values else wanted.ttl,
        removed=tuple(r for _, r in gone),
        added=new,
        stands=answer.raw,
    )
