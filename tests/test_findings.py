"""Findings of evidence that holds much of one kind: the work grows as the evidence does, and the rest is counted."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from test_diagnosis import names, seen

from runbooklib.diagnosis import diagnose, findings
from runbooklib.diagnosis.findings import MOST

RELAY = "mail.lantern.example[/var/run/dovecot/lmtp]"


def crowded(count: int) -> dict[str, Any]:
    """So many mailboxes are full and swallowed by the catch-all, and mail for some waits."""
    boxes = [f"m{number:x}@lantern.example" for number in range(count)]
    group = {"status": "deferred", "count": 1, "senders": ["x.example"], "relay": RELAY}
    waiting = [group | {"said": f"552 5.2.2 <{box}> Quota exceeded", "recipients": [box]} for box in boxes[::10]]
    return {
        "quotas": {box: {"used": 199, "limit": 200} for box in boxes},
        "diverted": {box: {"to": ["hi@lantern.example"], "by": "@lantern.example"} for box in boxes},
        "queue": {"count": count, "oldest": 90, "held": 0, "groups": waiting},
    }


def calls(work: Callable[[], object]) -> int:
    """How many functions are called, those written in C included."""
    made = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal made
        made += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made


def test_ten_times_the_signs_are_ten_times_the_work() -> None:
    few, many = (seen(crowded(count)) for count in (200, 2000))
    assert calls(lambda: findings(many)) < 12 * calls(lambda: findings(few))


def test_of_many_signs_some_are_told_and_the_others_counted() -> None:
    found = diagnose(seen(crowded(2000)))
    assert names(found) == ["diagnosis.catch-all-swallows", "diagnosis.quota-full"]
    row = found["diagnosis.quota-full"]
    assert f"and {2000 - MOST} more (explains: queue-limit)" in row.observed
    assert f"and {2000 - MOST} more`" in row.fix
    assert len(row.observed) + len(row.fix) < 5000


def test_every_command_is_there_for_whoever_runs_them() -> None:
    (full,) = [found for found in findings(seen(crowded(50))) if found.rule.id == "quota-full"]
    assert len(full.commands) == 50
