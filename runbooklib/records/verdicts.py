"""What the observed answers prove of each wanted record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from runbooklib.records import elsewhere, limits, takeover
from runbooklib.records.agreement import agreement
from runbooklib.records.caches import cached
from runbooklib.records.clock import lagging, stamp
from runbooklib.records.comparison import compare
from runbooklib.records.holding import held
from runbooklib.records.misplaced import misplaced
from runbooklib.records.observed import Observed
from runbooklib.records.planned import RecordChange
from runbooklib.records.rules import Comparison, policies
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Desired, Wanted
from runbooklib.results import Check, Checklist, Plan, Status


def verify(want: Desired, seen: Observed, plan: Plan) -> Checklist:
    """Each wanted record at the authoritative servers first, then at the resolvers."""
    rows = {w.check: _row(w, seen, plan) for w in want if not w.elsewhere}
    behind = [row for w in want if not w.elsewhere for row in elsewhere.behind(w, seen, rows[w.check])]
    reverse = [elsewhere.reverse(w, seen, rows) for w in want if w.kind == "ptr"]
    consents = [elsewhere.consent(w, seen) for w in want if w.foreign]
    gone = [_gone(u, seen, plan) for u in want.unwanted]
    others = (
        *behind,
        *limits.close(seen),
        *consents,
        *reverse,
        *gone,
        *_unkept(want, plan),
        *want.notes,
        *agreement(want, seen),
    )
    return Checklist("DNS", (*_once(rows.values()), *others))


def _unkept(want: Desired, plan: Plan) -> Iterator[Check]:
    """What params say never changes and has: the plan mends the record, and senders were turned away until then."""
    for wanted in (w for w in want if w.kept):
        change = next((c for c in plan if c.target == f"{wanted.name} {wanted.type}"), None)
        if isinstance(change, RecordChange) and change.stands and set(wanted.values[:1]) & set(change.added):
            said = f"pinned: {', '.join(change.stands)}; shown now: {wanted.values[0]}"
            fix = "have renewals keep the key (certbot: --reuse-key), or take mail.tls.key_kept out and name next_key"
            name, expected = f"dns.tlsa.kept {wanted.name}", "the key that is pinned, as mail.tls.key_kept says"
            yield Check(name, Status.FAIL, expected, said, fix, wanted.ref)


def _once(rows: Iterable[Check]) -> Iterator[Check]:
    """One cause is explained in one row: what stands at an alias fails for each record that may not stand beside it."""
    explained: dict[tuple[str, str], str] = {}
    for row in rows:
        first = explained.setdefault((row.observed, row.fix), row.name) if row.status is Status.FAIL else row.name
        yield row if first == row.name or not row.fix else replace(row, fix=f"as for {first}")


def _row(plain: Wanted, seen: Observed, plan: Plan) -> Check:
    if plain.held or not plain.values:
        return held(plain, plain.held, seen) if plain.held else _unsaid(plain)
    wanted = policies.fitted(plain, seen)
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    if not heard:
        return _unheard(wanted, seen)
    above = _above(wanted, seen)
    if above:
        return above
    compared = [compare(wanted, a) for a in heard]
    lacking = next((c for c in compared if not c.good), None)
    if lacking:
        return _lacking(wanted, lacking, seen, plan, some=any(c.good for c in compared))
    target = next((a.chain[0] for a in heard if a.chain), "")
    if target and wanted.type != "CNAME":
        return elsewhere.led(wanted, seen, target)
    return _standing(wanted, compared, seen, plan)


def _standing(wanted: Wanted, compared: Sequence[Comparison], seen: Observed, plan: Plan) -> Check:
    """It stands at every authoritative server that was heard."""
    usual = cached(_check(wanted, max(compared, key=lambda c: c.status is Status.WARN)), wanted, seen)
    return takeover.row(wanted, seen, plan, usual, _how(seen, plan))


def _above(wanted: Wanted, seen: Observed) -> Check | None:
    """The row of a DMARC policy that the domain has from above, or that nobody could tell of."""
    stronger = policies.inherited(wanted, seen)
    if stronger:
        said, expected = f"inherits {stronger}", f"{wanted.expected}, or stricter"
        return Check(wanted.check, Status.PASS, expected, said, ref=wanted.ref)
    unheard = policies.unheard_above(wanted, seen)
    if unheard:
        said = f"no resolver could be heard about {', '.join(unheard)}"
        fix = "nothing is published, as it might weaken what is inherited: a resolver has to answer, then run again"
        return Check(wanted.check, Status.UNKNOWN, wanted.expected, said, fix, "RFC 9989 4.10.1")
    return None


def _check(wanted: Wanted, compared: Comparison) -> Check:
    return Check(wanted.check, compared.status, wanted.expected, compared.said, compared.fix, wanted.ref)


def _unsaid(wanted: Wanted) -> Check:
    """Nobody knows the value yet: a stage before this one makes it, or the provider shows it."""
    if wanted.known_after:
        said = f"known after {wanted.known_after}"
        return Check(wanted.check, Status.PENDING, wanted.expected, said, ref=wanted.ref, waits_for=wanted.known_after)
    fix = "copy the value the provider shows for this domain into params, under the relay"
    said = "params do not say the value, so it cannot be judged"
    return Check(wanted.check, Status.UNKNOWN, wanted.expected, said, fix, wanted.ref, advisory=True)


def _unheard(wanted: Wanted, seen: Observed) -> Check:
    """Neither right nor wrong: nobody who holds the zone said anything."""
    silent = ", ".join(" ".join(filter(None, [a.server, a.word, a.note])) for a in seen.at_authority(wanted))
    fix = "see the rows of the stage's beginning: an authoritative server has to answer from here"
    return Check(wanted.check, Status.UNKNOWN, wanted.expected, silent or "nobody was asked", fix, wanted.ref)


def _lacking(wanted: Wanted, compared: Comparison, seen: Observed, plan: Plan, *, some: bool) -> Check:
    """Wrong at an authoritative server: planned, on its way to the secondaries, or a fault."""
    if wanted.kind == "spf":
        compared = limits.measured(wanted.name, compared, seen)
    row = misplaced(_check(wanted, compared), wanted, seen)
    target = f"{wanted.name} {wanted.type}"
    published = seen.after is not None and any(c.target == target for c in seen.after.done)
    late = lagging(wanted.name, seen) if published else None
    if published and (some or late):
        by = f", by {stamp(late)} at the latest (SOA refresh)" if late else ""
        fix = f"the servers have yet to fetch the zone{by}: run again"
        return replace(row, status=Status.PENDING, fix=fix)
    if published:
        return replace(row, fix="the update was accepted, yet this is answered: look at the server's zone and log")
    if some:
        return replace(row, fix="one authoritative server has old data: look at its zone transfer")
    if any(c.target == target for c in plan):
        return replace(row, status=Status.PENDING, fix=_how(seen, plan))
    return row


def _how(seen: Observed, plan: Plan) -> str:
    if plan.refusals:
        return "the plan is refused as a whole: settle the rows it names, then run again"
    return "publish this record by hand, then run again" if seen.by_hand else "run with apply"


def changed(want: Desired, seen: Observed) -> Iterator[Wanted]:
    """The wanted records that were published just now."""
    targets = {c.target for c in seen.after.done} if seen.after else set()
    return (w for w in want if f"{w.name} {w.type}" in targets)


def _gone(unwanted: Unwanted, seen: Observed, plan: Plan) -> Check:
    """What a key or relay left behind, once its time is over; values that others put there are theirs."""
    heard = [a for a in seen.at_authority(unwanted) if a.heard]
    row = Check(unwanted.check, Status.UNKNOWN, unwanted.expected, "no authoritative server was heard", advisory=True)
    if not heard:
        return row
    behind = [a for a in heard if unwanted.standing(a)]
    if not behind:
        return replace(row, status=Status.PASS, observed=heard[0].shown)
    target = f"{unwanted.name} {unwanted.type}"
    row = replace(row, observed=f"{next(iter(unwanted.standing(behind[0])))} stands still")
    if seen.after is not None and any(c.target == target for c in seen.after.done):
        if len(behind) < len(heard) or lagging(unwanted.name, seen):
            return replace(
                row, status=Status.PENDING, fix="the secondary servers have yet to fetch the zone: run again"
            )
        return replace(row, status=Status.FAIL, fix="the removal was accepted: look at the server's zone and log")
    if any(c.target == target for c in plan):
        fix = "remove this record by hand, then run again" if seen.by_hand else _how(seen, plan)
        return replace(row, status=Status.PENDING, fix=fix)
    return replace(row, status=Status.WARN, fix="remove it: nothing uses it any more")
