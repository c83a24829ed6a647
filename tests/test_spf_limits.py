"""What an SPF record would cost is known before it is published: zones as literals."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from test_records import AUTHORITY, GOOD, HEAD, RELAY_ZONE, RESOLVER, REVERSE, changed, row, site, wanted

from runbooklib import records, zone
from runbooklib.answers import Word
from runbooklib.results import Checklist, Plan, Status

SPF = '@ 300 TXT "v=spf1 include:spf.example.net ~all"'
POOL = "@ 60 SOA a. h. 1 2 3 4 60\n"


def pools(inside: int) -> Iterator[str]:
    """`spf.example.net` with so many includes, each of them there."""
    names = [f"n{i}" for i in range(inside)]
    yield f'spf 60 TXT "v=spf1 {" ".join(f"include:{n}.example.net" for n in names)} -all"'
    yield from (f'{n} 60 TXT "v=spf1 ip4:192.0.2.{i} -all"' for i, n in enumerate([*names, *"abcdefghi"]))


def walked(stands: str, inside: int, lost: str = "") -> tuple[Plan, Checklist]:
    """The stage where the relay's pool costs one more than what is inside of it."""
    text = HEAD + changed(GOOD, SPF, f'@ 300 TXT "{stands}"' if stands else "").replace("p=none", "p=quarantine")
    text = text.replace("mail 300 A 203.0.113.10\n", "")
    own = {"lantern.example": text, **REVERSE, **RELAY_ZONE, "example.net": POOL + "\n".join(pools(inside))}
    outages = {(RESOLVER, lost): Word.TIMEOUT} if lost else {}
    wire = zone.Literal({AUTHORITY: {"lantern.example": text}, RESOLVER: own}, frozenset({RESOLVER}), outages)
    seen = zone.observe(site(), wanted(site()), wire=wire)
    plan = records.diff(wanted(site()), seen)
    return plan, records.verify(wanted(site()), seen, plan)


def targets(plan: Plan) -> set[str]:
    return {change.target for change in plan}


def nine() -> str:
    return f"v=spf1 {' '.join(f'include:{n}.example.net' for n in 'abcdefghi')} ~all"


def test_a_merge_over_ten_lookups_is_not_planned_and_the_tree_says_why() -> None:
    plan, checks = walked(nine(), inside=2)
    found = row(checks, "dns.spf lantern.example")
    assert found.status is Status.FAIL
    assert "12 of 10" in found.observed
    assert "include:spf.example.net 3\n  include:n0.example.net 1" in found.observed
    assert "permerror" in found.fix
    assert "include:spf.example.net costs 3" in found.fix
    assert targets(plan) == {"mail.lantern.example A"}
    assert not plan.refusals


@pytest.mark.parametrize(("inside", "lookups"), [(7, 8), (8, 9), (9, 10)])
def test_what_leaves_hardly_any_room_is_planned_with_a_warning(inside: int, lookups: int) -> None:
    plan, checks = walked("", inside)
    assert "lantern.example TXT" in targets(plan)
    told = [c.status for c in checks if c.name == "dns.spf.cost lantern.example" and f"{lookups} of 10" in c.observed]
    assert told == ([Status.WARN] if lookups >= 9 else [])


def test_a_first_record_over_the_limit_is_not_planned_either() -> None:
    plan, checks = walked("", inside=10)
    assert "lantern.example TXT" not in targets(plan)
    assert row(checks, "dns.spf lantern.example").status is Status.FAIL


def test_a_cost_that_nobody_can_tell_is_unknown_and_nothing_is_published_blindly() -> None:
    plan, checks = walked(nine().replace("include:i.example.net ", ""), inside=0, lost="c.example.net")
    found = row(checks, "dns.spf lantern.example")
    assert found.status is Status.UNKNOWN
    assert "c.example.net TXT: TIMEOUT" in found.observed
    assert targets(plan) == {"mail.lantern.example A"}


def test_over_the_limit_is_wrong_whoever_else_is_silent() -> None:
    _, checks = walked(nine(), inside=2, lost="c.example.net")
    assert row(checks, "dns.spf lantern.example").status is Status.FAIL


def test_what_stands_already_is_not_asked_about() -> None:
    plan, checks = walked("v=spf1 include:spf.example.net ~all", inside=10)
    assert "lantern.example TXT" not in targets(plan)
    assert row(checks, "dns.spf lantern.example").status is Status.PASS
