"""What resolvers still say of a record that stands at the authoritative servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

from runbooklib.answers import Answer, Word
from runbooklib.records.agreement import NAME as AGREE
from runbooklib.records.agreement import differences
from runbooklib.records.clock import stamp, visibility
from runbooklib.records.comparison import repeats
from runbooklib.records.observed import Observed
from runbooklib.records.wanted import Wanted
from runbooklib.results import Check, Status

BOGUS = (
    "validating resolvers refuse the zone's signatures: compare the DS record at the registrar with the zone's keys, "
    "renew expired signatures, or take the DS record out until the zone is signed again (RFC 4035 5)"
)


def cached(row: Check, wanted: Wanted, seen: Observed) -> Check:
    """A row that holds at the authority, with what each resolver says."""
    answers = seen.at_resolvers(wanted)
    false = [d.answer for d in differences([wanted], seen) if d.why]
    fresh = [a for a in answers if a.heard and repeats(wanted, a, seen)]
    old = [a for a in answers if a.heard and a not in fresh and a not in false]
    still = [a for a in answers if not a.heard and a not in false]
    told = f"{row.observed}{repeated(fresh)}{silent(still)}{_otherwise(false)}"
    if any(a.word is Word.BOGUS for a in still):
        return replace(row, status=Status.FAIL, observed=told, fix=BOGUS)
    if old:
        until = stamp(max(a.until for a in old))
        told += "".join(f"; {a.server} says {a.shown}, cached until {stamp(a.until)}" for a in old)
        fix = f"nothing to do: run again after {until}"
        return replace(row, status=Status.PENDING, observed=told + _unseen(wanted, seen), fix=fix)
    if still and not fresh and not false:
        fix = "the authoritative servers are right, but no resolver could be heard: " + advice(still)
        return replace(row, status=Status.UNKNOWN, observed=told, fix=fix)
    return replace(row, observed=told + _unseen(wanted, seen))


def _otherwise(false: Iterable[Answer]) -> str:
    return "".join(f"; {a.server} says {a.shown}: see {AGREE}" for a in false)


def _unseen(wanted: Wanted, seen: Observed) -> str:
    """Until when resolvers that nobody asked here may know nothing of a change made just now."""
    until = visibility(seen).until(wanted.name, wanted.type)
    if until is None or until <= datetime.now(UTC):
        return ""
    return f"; caches elsewhere may hold the old data until {stamp(until)}"


def advice(still: Iterable[Answer]) -> str:
    """What to do about resolvers that say nothing."""
    if any(a.word is Word.BOGUS for a in still):
        return BOGUS
    if any(a.word is Word.SERVFAIL for a in still):
        return "SERVFAIL often means that no server of the zone answers the resolver: is each of them up?"
    return "check dns.resolvers in params and that port 53 is open from here"


def repeated(answers: list[Answer]) -> str:
    """Who says the same, to be appended to what was observed."""
    return f"; at {', '.join(a.server for a in answers)}" if answers else ""


def silent(answers: Iterable[Answer]) -> str:
    """Who said nothing, and in which word."""
    return "".join(f"; {a.server} {a.word}" for a in answers)
