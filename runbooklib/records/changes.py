"""From wanted and observed to a plan: one change an rrset, nothing dropped that is not replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runbooklib.records.comparison import compare, inherited
from runbooklib.records.observed import Answer, Observed
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Desired, Wanted
from runbooklib.results import Change, Plan

# A name before what points at it.
STEPS = ("address", "mx", "spf", "dkim", "dmarc", "ownership", "alias", "service", "tlsa")


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
    retired: bool = False  # nothing uses what is removed any more, so nothing has to take its place


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
    busy = {(c.name, c.type) for c in changes}
    removals = [c for u in want.unwanted if (u.name, u.type) not in busy for c in _removal(u, have)]
    return Plan("DNS", (*changes, *removals), (*refusals, *dangers(changes)))


def dangers(changes: Iterable[Change]) -> tuple[str, ...]:
    """Why these changes must not be published: something would go without a successor."""
    return tuple(
        f"{c.target}: would drop {len(c.removed)} values and add {len(c.added)}"
        for c in changes
        if isinstance(c, RecordChange) and len(c.removed) > len(c.added) and not c.retired
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


def _removal(unwanted: Unwanted, have: Observed) -> Iterator[RecordChange]:
    """The change that takes away what stands of it; one change an rrset, so it waits while another is planned."""
    answer = next((a for a in have.at_authority(unwanted) if a.heard), None)
    standing = unwanted.standing(answer) if answer else {}
    if answer and standing:
        before, after = "\n".join(standing), "\n".join(filter(None, standing.values()))
        yield RecordChange(
            order=len(STEPS),
            target=f"{unwanted.name} {unwanted.type}",
            before=before,
            after=after or "removed",
            why=unwanted.reason,
            undo=f"put back {before}",
            name=unwanted.name,
            type=unwanted.type,
            zone=have.zone_of(unwanted.name),
            ttl=answer.ttl,
            removed=tuple(standing),
            added=tuple(filter(None, standing.values())),
            stands=tuple(standing) if unwanted.type == "CNAME" else answer.raw,
            retired=True,
        )
