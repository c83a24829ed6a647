"""What the answers say of a record that is not to be published yet."""

from __future__ import annotations

from dataclasses import replace

from runbooklib.records.comparison import compare
from runbooklib.records.observed import Observed
from runbooklib.records.wanted import Held, Wanted
from runbooklib.results import Check, Status


def held(wanted: Wanted, hold: Held, seen: Observed) -> Check:
    """Its row: nothing is planned, whatever stands; mail passes without it, so not knowing stops nobody."""
    fix = "" if hold.lacking is Status.PASS else hold.fix
    row = Check(wanted.check, hold.lacking, wanted.expected, hold.why, fix, wanted.ref, advisory=True)
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    if not heard:
        return replace(row, status=Status.UNKNOWN, observed=f"no authoritative server was heard; {hold.why}")
    there = next((a for a in heard if a.values or a.chain), None)
    if not there or not wanted.values:
        return row
    said = f"{there.shown}; {hold.why}"
    compared = compare(wanted, there)
    if compared.status is Status.PASS:
        fix = "" if hold.standing is Status.PASS else hold.fix
        return replace(row, status=hold.standing, observed=said, fix=fix)
    return replace(row, status=hold.differing, observed=said, fix=compared.fix or hold.fix)
