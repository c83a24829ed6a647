"""Taking over an MX: mail moves to this server in steps, each shown before it is done, with the way back.

First the TTL of what stands is lowered, in a run of its own, and the zone notes what it was. The next run notes since
when it is low. Once caches have let go of the old TTL, and strangers are seen to be able to deliver to the new host,
the MX is switched. The old host goes on receiving for a while; then the MX gets its old TTL back, and the note goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runbooklib.answers import Answer
from runbooklib.records import noted
from runbooklib.records.clock import duration, lagging, stamp
from runbooklib.records.noted import Memory, Note
from runbooklib.records.observed import Observed
from runbooklib.records.planned import STEPS, RecordChange, RecordPlan, zone_lines
from runbooklib.records.rules.receiving import others
from runbooklib.records.wanted import Wanted
from runbooklib.results import Check, Checklist, Outcome, Plan, Status

LOWERED = 300  # seconds: how long the world may miss a switch, or a switch back
LOW = 600  # what is as good: some panels offer nothing lower
REF = "RFC 5321 5.1"


@dataclass(frozen=True)
class Step:
    """Where a take-over stands: what comes next, or why nothing does yet."""

    changes: tuple[RecordChange, ...] = ()
    refusal: str = ""
    waits: str = ""  # whose cache may still hold the old TTL, and until when
    status: Status = Status.PENDING  # unknown where nobody could be heard


def reception_row(domain: str) -> str:
    """The name of the row that says whether strangers can deliver mail for a domain to the new host."""
    return f"dns.mx.reception {domain}"


def receivers(wanted: Wanted, have: Observed) -> tuple[Answer, ...]:
    """The authoritative answers in which others receive for a name that params want for us."""
    heard = (a for a in have.at_authority(wanted) if a.heard and not a.chain)
    return tuple(a for a in heard if wanted.take_over and others(wanted, a))


def step(wanted: Wanted, have: Observed, reception: Checklist) -> Step | None:
    """The next step; None where nothing is to be done, or the switch is on its way to the secondaries."""
    heard = [a for a in have.at_authority(wanted) if a.heard]
    standing = receivers(wanted, have)
    if not wanted.take_over or not heard or 0 < len(standing) < len(heard):
        return None
    memory = noted.memory(wanted.name, have)
    if memory is None:
        said = f"the servers of the zone do not all show the same at {noted.name(wanted.name)}"
        return Step(waits=said, status=Status.UNKNOWN) if standing else None
    return _towards(wanted, have, memory, reception) if standing else _afterwards(wanted, have, memory)


def _towards(wanted: Wanted, have: Observed, memory: Memory, reception: Checklist) -> Step:
    """What comes before mail moves."""
    standing, note = receivers(wanted, have), memory.note or Note()
    if min(a.ttl for a in standing) > LOW:
        return Step(_lowered(wanted, standing[0], have, memory))
    now = max(a.at for a in standing)
    if note.forgotten is None or any(a.ttl > LOW for a in standing):
        return Step(memory.change(replace(note, lowered=now, switched=None), SEEN_LOW))
    if now < note.forgotten:
        was = f"of {note.ttl} s" if note.ttl else f"({noted.UNKNOWN_TTL} s at most: nobody saw what it was)"
        return Step(waits=f"caches may hold the old TTL {was} until {stamp(note.forgotten)}")
    told = [a for a in have.at_resolvers(wanted) if a.heard]
    if not told:
        return Step(waits="no resolver was heard, so nobody knows what caches hold", status=Status.UNKNOWN)
    slow = [a for a in told if a.values and a.ttl > LOW]
    if slow:
        return Step(waits="; ".join(f"{a.server} holds the old TTL until {stamp(a.until)}" for a in slow))
    lacking = doubt(wanted.name, reception)
    return Step(refusal=f"{wanted.name} MX: {lacking}") if lacking else Step(_switched(wanted, standing[0], have, note))


SEEN_LOW = f"notes since when the MX is seen with a low TTL: the switch waits for the old one to run out ({REF})"


def _afterwards(wanted: Wanted, have: Observed, memory: Memory) -> Step | None:
    """What comes after: the old TTL stands again once nobody wants to go back, and nothing needs the note."""
    ours, note = [a for a in have.at_authority(wanted) if a.heard], memory.note
    if note is None or not all(a.values == wanted.values for a in ours):
        return None
    now = max(a.at for a in ours)
    if note.over is None:
        why = f"notes since when mail arrives here: the old host goes on for {_time_of_old_host(note)} ({REF})"
        return Step(memory.change(replace(note, lowered=None, switched=now), why))
    if now < note.over:
        return None
    return Step((*_raised(wanted, ours[0], have, note), *memory.change(None, "the take-over is over")))


def doubt(domain: str, reception: Checklist) -> str:
    """Why mail must not be led to the new host yet; empty where strangers were seen to be able to deliver."""
    row = next((c for c in reception if c.name == reception_row(domain)), None)
    if row is None:
        return "nobody asked the new host whether it takes the domain's mail"
    return "" if row.status is Status.PASS else f"{row.observed}: {row.fix}"


def _lowered(wanted: Wanted, answer: Answer, have: Observed, memory: Memory) -> tuple[RecordChange, ...]:
    """The same rrset with a TTL that lets go soon, and a note of what it was."""
    why = (
        f"1 of 2 of the take-over: {_list(wanted, answer)} receives; caches may hold the TTL {answer.ttl} that long "
        f"after it is lowered; a run after that switches to {wanted.values[0]} ({REF})"
    )
    change = _change(wanted, answer, have, LOWERED, (*_ttls(answer, LOWERED), why), answer.specific.raw, answer.values)
    note = Note(max(a.ttl for a in receivers(wanted, have)))
    return (*memory.change(note, "notes the TTL that the MX has, to wait for it and to put it back"), change)


def _switched(wanted: Wanted, answer: Answer, have: Observed, note: Note) -> tuple[RecordChange, ...]:
    own = answer.specific
    kept = tuple(v for v in own.values if v in wanted.values)
    gone = tuple(r for v, r in zip(own.values, own.raw, strict=True) if v not in kept)
    keep = f"keep {_list(wanted, answer)} receiving for {_time_of_old_host(note)}: caches and queues know it"
    why = f"2 of 2 of the take-over: {wanted.reason}; {keep} ({REF})"
    new = tuple(v for v in wanted.values if v not in kept)
    shown = (answer.shown, "\n".join(wanted.values), why)
    change = _change(wanted, answer, have, answer.ttl, shown, gone, new)
    return (replace(change, undo=_back(wanted, answer, note.ttl or answer.ttl)),)


def _raised(wanted: Wanted, answer: Answer, have: Observed, note: Note) -> tuple[RecordChange, ...]:
    """Our MX with the TTL that the old one had; one that somebody has raised since stays."""
    if answer.ttl > LOW or note.ttl <= answer.ttl:
        return ()
    shown = (*_ttls(answer, note.ttl), f"the take-over is over: the TTL that stood before it ({REF})")
    return (_change(wanted, answer, have, note.ttl, shown, answer.specific.raw, answer.values),)


def _ttls(answer: Answer, ttl: int) -> tuple[str, str]:
    before, after = (f"{answer.shown}\nTTL {seconds}" for seconds in (answer.ttl, ttl))
    return before, after


def _time_of_old_host(note: Note) -> str:
    """How long the old host has to go on."""
    return f"{duration(note.held)} and {duration(int(noted.QUEUED.total_seconds()))}"


def _change(
    wanted: Wanted,
    answer: Answer,
    have: Observed,
    ttl: int,
    shown: tuple[str, str, str],
    removed: tuple[str, ...],
    added: tuple[str, ...],
) -> RecordChange:
    before, after, why = shown
    return RecordChange(
        order=STEPS.index("mx"),
        target=f"{wanted.name} {wanted.type}",
        before=before,
        after=after,
        why=why,
        undo=_back(wanted, answer, answer.ttl),
        name=wanted.name,
        type=wanted.type,
        zone=have.zone_of(wanted.name),
        ttl=ttl,
        removed=removed,
        added=added,
        stands=answer.specific.raw,
        whole=True,
        stood_ttl=answer.ttl,
    )


def _back(wanted: Wanted, answer: Answer, ttl: int) -> str:
    if answer.wildcard:
        return f"delete it: {answer.wildcard} answers again"
    return f"put back:\n{zone_lines(wanted.name, wanted.type, ttl, answer.raw)}"


def _list(wanted: Wanted, answer: Answer) -> str:
    return ", ".join(others(wanted, answer))


def row(wanted: Wanted, seen: Observed, plan: Plan, usual: Check, how: str) -> Check:
    """The MX row while a take-over is under way; `how` says what makes the planned step happen."""
    reception = plan.reception if isinstance(plan, RecordPlan) else Checklist("")
    coming = step(wanted, seen, reception)
    if not receivers(wanted, seen):
        return _settling(wanted, seen, usual, coming, how)
    done = _done(wanted, seen.after)
    if done and done.stood_ttl > done.ttl:
        said = f"{usual.observed}; TTL lowered from {done.stood_ttl} to {done.ttl}"
        fix = "run again: that run notes since when it is low, and one after the old TTL switches the MX"
        return replace(usual, status=Status.PENDING, observed=said, fix=fix)
    if done and lagging(wanted.name, seen):
        return replace(usual, status=Status.PENDING, fix="the servers have yet to fetch the zone: run again")
    if done:
        fix = "the switch was accepted, yet this is answered: look at the server's zone and log"
        return replace(usual, status=Status.FAIL, fix=fix)
    return _next(wanted, usual, coming, reception, how)


def _settling(wanted: Wanted, seen: Observed, usual: Check, coming: Step | None, how: str) -> Check:
    """The row once mail arrives here: what is still to be put back, and until when the old host goes on."""
    memory = noted.memory(wanted.name, seen) if wanted.take_over else None
    if usual.status is not Status.PASS or memory is None or memory.note is None:
        return usual
    if coming and coming.changes:
        again = "run again" if _done(wanted, seen.after) else how
        return replace(usual, status=Status.PENDING, fix=f"{again}: {coming.changes[0].why}")
    over = stamp(memory.note.over) if memory.note.over else ""
    return replace(
        usual, fix=f"keep the old host, and take_over_mx here, until {over}: a run after that puts the old TTL back"
    )


def _next(wanted: Wanted, usual: Check, coming: Step | None, reception: Checklist, how: str) -> Check:
    if coming is None:
        return replace(usual, status=Status.PENDING, fix="the secondary servers have yet to fetch the zone: run again")
    if coming.refusal:
        unknown = all(c.status is Status.UNKNOWN for c in reception if c.name == reception_row(wanted.name))
        status = Status.UNKNOWN if unknown else Status.FAIL
        return replace(usual, status=status, fix=f"not taken over: {coming.refusal}")
    if coming.waits:
        return replace(usual, status=coming.status, fix=f"not switched yet: {coming.waits}; run again then")
    return replace(usual, status=Status.PENDING, fix=f"{how}: step {_why(coming.changes)}")


def _why(changes: Iterable[RecordChange]) -> str:
    """The reason of the MX's change, where there is one."""
    return max(changes, key=lambda c: c.type == "MX").why


def _done(wanted: Wanted, after: Outcome | None) -> RecordChange | None:
    """What this run did to the rrset."""
    target = f"{wanted.name} {wanted.type}"
    changes = (c for c in (after.done if after else ()) if c.target == target)
    return next((c for c in changes if isinstance(c, RecordChange)), None)
