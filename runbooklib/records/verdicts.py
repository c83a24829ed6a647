"""What the observed answers prove of each wanted record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from runbooklib.records.comparison import Comparison, compare, inherited, repeats
from runbooklib.records.observed import Answer, Observed, Word
from runbooklib.records.texts import TagError, dkim_key
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Desired, Wanted, reversed_address
from runbooklib.results import Check, Checklist, Plan, Status


def verify(want: Desired, seen: Observed, plan: Plan) -> Checklist:
    """Each wanted record at the authoritative servers first, then at the resolvers."""
    rows = {w.check: _row(w, seen, plan) for w in want if w.kind != "ptr"}
    keys = [_key_behind(w, seen, rows[w.check]) for w in want if w.kind == "dkim" and w.type == "CNAME"]
    reverse = [_reverse(w, seen, rows) for w in want if w.kind == "ptr"]
    gone = [_gone(u, seen, plan) for u in want.unwanted]
    return Checklist("DNS", (*rows.values(), *keys, *reverse, *gone))


def _row(wanted: Wanted, seen: Observed, plan: Plan) -> Check:
    if not wanted.values:
        return _unsaid(wanted)
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    if not heard:
        return _unheard(wanted, seen)
    above = inherited(wanted, seen)
    if above:
        said = f"inherits {above}"
        return Check(wanted.check, Status.PASS, f"{wanted.expected}, or stricter", said, ref=wanted.ref)
    compared = [compare(wanted, a) for a in heard]
    lacking = next((c for c in compared if not c.good), None)
    if lacking:
        return _lacking(wanted, lacking, seen, plan, some=any(c.good for c in compared))
    return _cached(_check(wanted, max(compared, key=lambda c: c.status is Status.WARN)), wanted, seen)


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
    row = _check(wanted, compared)
    target = f"{wanted.name} {wanted.type}"
    published = seen.after is not None and any(c.target == target for c in seen.after.done)
    if published and some:
        return replace(row, status=Status.PENDING, fix="the secondary servers have yet to fetch the zone: run again")
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


def _cached(row: Check, wanted: Wanted, seen: Observed) -> Check:
    """A row that holds at the authority, with what each resolver says."""
    answers = seen.at_resolvers(wanted)
    fresh = [a for a in answers if a.heard and repeats(wanted, a, seen)]
    old = [a for a in answers if a.heard and a not in fresh]
    silent = [a for a in answers if not a.heard]
    told = f"{row.observed}{_resolvers('at', fresh)}{_silent(silent)}"
    if old:
        until = max(a.until for a in old)
        told += "".join(f"; {a.server} says {a.shown}, cached until {clock(a.until)}" for a in old)
        fix = f"nothing to do: run again after {clock(until)}"
        return replace(row, status=Status.PENDING, observed=told, fix=fix)
    if silent and not fresh:
        fix = "the authoritative servers are right, but no resolver could be heard: " + _advice(silent)
        return replace(row, status=Status.UNKNOWN, observed=told, fix=fix)
    return replace(row, observed=told)


def _advice(silent: Iterable[Answer]) -> str:
    if any(a.word is Word.SERVFAIL for a in silent):
        return "SERVFAIL often means broken DNSSEC: compare the zone's DS record with its keys"
    return "check dns.resolvers in params and that port 53 is open from here"


def _resolvers(how: str, answers: list[Answer]) -> str:
    return f"; {how} {', '.join(a.server for a in answers)}" if answers else ""


def _silent(answers: Iterable[Answer]) -> str:
    return "".join(f"; {a.server} {a.word}" for a in answers)


def clock(moment: datetime) -> str:
    """UTC, to the second."""
    return f"{moment:%H:%M:%SZ}"


def _key_behind(wanted: Wanted, seen: Observed, alias: Check) -> Check:
    """The key at the end of a provider's CNAME, as a verifier finds it (RFC 6376 3.6.2)."""
    name, expected = f"dns.dkim.key {wanted.name}", "a readable key at the end of the CNAME"
    if alias.status not in {Status.PASS, Status.WARN}:
        said = f"the CNAME is {alias.status}"
        status = Status.PENDING if alias.status in {Status.PENDING, Status.FAIL} else Status.UNKNOWN
        return Check(name, status, expected, said, alias.fix, "RFC 6376 3.6.2", waits_for=alias.waits_for)
    answers = seen.at_resolvers(wanted)
    heard = [a for a in answers if a.heard]
    if not heard:
        said = _silent(answers).lstrip("; ") or "no resolver was asked"
        return Check(name, Status.UNKNOWN, expected, said, _advice(answers), "RFC 6376 3.6.2")
    without = [a for a in heard if not any(map(_signs, a.values))]
    if without:
        fix = "the provider has to publish the key behind this name: is the domain added there, the target right?"
        return Check(name, Status.FAIL, expected, without[0].shown, fix, "RFC 6376 3.6.2")
    return Check(name, Status.PASS, expected, f"key{_resolvers('at', heard)}".replace(";", ""), ref="RFC 6376 3.6.2")


def _signs(value: str) -> bool:
    try:
        key = dkim_key(value)
    except TagError:
        return False
    return key.readable


def _reverse(wanted: Wanted, seen: Observed, rows: dict[str, Check]) -> Check:
    """FCrDNS: the address has a name, and the name leads back to it."""
    address, host = reversed_address(wanted.name), wanted.values[0]
    forward = rows[f"dns.address.{'ipv6' if ':' in address else 'ipv4'} {host}"]
    answers = seen.at_resolvers(wanted)
    heard = [a for a in answers if a.heard]
    row = Check(wanted.check, Status.UNKNOWN, f"PTR {host}, and back", "", ref=wanted.ref, advisory=wanted.advisory)
    if not heard:
        return replace(row, observed=_silent(answers).lstrip("; ") or "no resolver was asked", fix=_advice(answers))
    wrong = next((a for a in heard if not compare(wanted, a).good), None)
    if wrong:
        status = Status.WARN if wanted.advisory else Status.FAIL
        return replace(row, status=status, observed=wrong.shown, fix=_request(address, host))
    said = f"PTR {heard[0].shown}, {host} {forward.observed}"
    if forward.status is Status.PASS:
        return replace(row, status=Status.PASS, observed=said)
    return replace(row, status=forward.status, observed=said, fix=forward.fix, waits_for=forward.waits_for)


def _request(address: str, host: str) -> str:
    return f"ask the provider of the server: please set the reverse DNS (PTR record) of {address} to {host}"


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
        if len(behind) < len(heard):
            return replace(
                row, status=Status.PENDING, fix="the secondary servers have yet to fetch the zone: run again"
            )
        return replace(row, status=Status.FAIL, fix="the removal was accepted: look at the server's zone and log")
    if any(c.target == target for c in plan):
        fix = "remove this record by hand, then run again" if seen.by_hand else _how(seen, plan)
        return replace(row, status=Status.PENDING, fix=fix)
    return replace(row, status=Status.WARN, fix="remove it: nothing uses it any more")
