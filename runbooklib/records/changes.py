"""From wanted and observed to a plan: one change an rrset, nothing dropped that is not replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib.answers import Answer
from runbooklib.records import limits, takeover
from runbooklib.records.comparison import compare
from runbooklib.records.observed import Observed
from runbooklib.records.planned import STEPS, RecordChange, RecordPlan
from runbooklib.records.rules import policies
from runbooklib.records.safety import refusals
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Desired, Wanted
from runbooklib.results import Checklist, Status

NOT_ASKED = Checklist("reception")


def diff(want: Desired, have: Observed, reception: Checklist = NOT_ASKED) -> RecordPlan:
    """What has to be added or corrected at the authoritative servers; refused as a whole where that would do harm.

    `reception` says whether strangers can deliver to the host that an MX is to name (probes.reception).
    """
    changes, reasons = [], []
    for rrset in _rrsets(want):
        change, refused = _correction(rrset, have, want.ttl)
        costly = rrset[0].kind == "spf" and not limits.bearable(rrset[0].name, have)
        changes += [change] if change and not costly else []
        reasons += refused + _shut_out(change, reception)
    for wanted in want:
        step = takeover.step(wanted, have, reception)
        changes += step.changes if step else ()
        reasons += [step.refusal] if step and step.refusal else []
    busy = {(c.name, c.type) for c in changes}
    changes += [c for u in want.unwanted if (u.name, u.type) not in busy for c in _removal(u, have)]
    reasons += refusals(changes, want, have)
    return RecordPlan("DNS", tuple(changes), tuple(dict.fromkeys(reasons)), reception=reception)


def _shut_out(change: RecordChange | None, reception: Checklist) -> list[str]:
    """Why a first MX must not lead mail here: senders keep a policy that does not list this host."""
    if change is None or change.type != "MX":
        return []
    rows = [c for c in reception if c.name == takeover.reception_row(change.name) and c.status is not Status.PASS]
    return [f"{change.target}: {c.observed}: {c.fix}" for c in rows]


def merged(want: Desired, have: Observed) -> Iterator[RecordChange]:
    """The changes to SPF records, whatever they cost."""
    spf = (rrset for rrset in _rrsets(want) if rrset[0].kind == "spf")
    return (change for rrset in spf if (change := _correction(rrset, have, want.ttl)[0]))


def _rrsets(want: Desired) -> list[list[Wanted]]:
    """What is wanted, by rrset."""
    rrsets: dict[tuple[str, str], list[Wanted]] = {}
    for wanted in want:
        rrsets.setdefault((wanted.name, wanted.type), []).append(wanted)
    return list(rrsets.values())


def _correction(rrset: list[Wanted], have: Observed, ttl: int | None) -> tuple[RecordChange | None, list[str]]:
    """The change that makes an rrset what all who want something of it want, and why it must not be touched."""
    begun: Answer | None = None
    changed, reasons, values, whole = [], [], None, False
    for plain in rrset:
        wanted = policies.fitted(plain, have)
        answer = _to_correct(wanted, have)
        if answer is None:
            continue
        begun = begun or answer
        compared = compare(wanted, answer if values is None else answer.holding(values))
        if compared.values is not None and compared.values != values:
            values, whole = compared.values, whole or compared.whole
            changed.append(wanted)
        reasons += [compared.refusal] if compared.refusal else []
    if begun is None or values is None:
        return None, reasons
    return _change(changed, begun, values, have, ttl, whole=whole), reasons


def _to_correct(wanted: Wanted, have: Observed) -> Answer | None:
    """The answer to start from; None where nobody was heard, or one server is right already and the rest lag."""
    heard = [a for a in have.at_authority(wanted) if a.heard]
    if not wanted.values or wanted.held or wanted.elsewhere or not heard:
        return None
    if policies.inherited(wanted, have) or policies.unheard_above(wanted, have):
        return None
    return None if any(compare(wanted, a).good for a in heard) else heard[0].specific


def _change(
    rrset: list[Wanted], answer: Answer, values: tuple[str, ...], have: Observed, ttl: int | None, *, whole: bool
) -> RecordChange:
    wanted = rrset[0]
    gone = [(v, r) for v, r in zip(answer.values, answer.raw, strict=True) if v not in values]
    new = tuple(v for v in values if v not in answer.values)
    before = "\n".join(v for v, _ in gone)
    return RecordChange(
        order=STEPS.index(wanted.kind),
        target=f"{wanted.name} {wanted.type}",
        before=before,
        after="\n".join(new),
        why="; ".join(f"{w.reason} ({w.ref})" for w in rrset),
        undo=f"put back {before}" if before else "delete it",
        name=wanted.name,
        type=wanted.type,
        zone=have.zone_of(wanted.name),
        ttl=ttl or (answer.ttl if answer.values else wanted.ttl),
        removed=tuple(r for _, r in gone),
        added=new,
        stands=answer.raw,
        whole=whole,
        stood_ttl=answer.ttl if answer.values else _synthesized_ttl(wanted, have),
    )


def _synthesized_ttl(wanted: Wanted, have: Observed) -> int:
    """How long caches keep what a wildcard said in the place of a name (RFC 4592 2.2.1); 0 where none spoke."""
    return max((a.ttl for a in have.at_authority(wanted) if a.wildcard), default=0)


def _removal(unwanted: Unwanted, have: Observed) -> Iterator[RecordChange]:
    """The change that takes away what stands of it; one change an rrset, so it waits while another is planned."""
    answer = next((a for a in have.at_authority(unwanted) if a.heard), None)
    standing = unwanted.standing(answer.specific) if answer else {}
    if answer and standing:
        before, after = "\n".join(standing), "\n".join(filter(None, standing.values()))
        change = RecordChange(
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
            stands=answer.raw,
            retired=True,
            stood_ttl=answer.ttl,
        )
        yield replace(change, stands=tuple(standing)) if unwanted.type == "CNAME" else change
