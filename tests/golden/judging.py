"""What the audit says of a scenario, and where that is not the truth."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from golden.scenarios import Scenario

from runbooklib import audit
from runbooklib.results import Check, Status
from runbooklib.zone import Stub

WRONG = frozenset({Status.FAIL})
RED = frozenset({Status.FAIL, Status.WARN})


class Verdict(StrEnum):
    """How an id's row compares with the truth."""

    RIGHT = "right"
    FALSE_PASS = "false pass"
    FALSE_FAIL = "false fail"
    NEEDLESS_UNKNOWN = "unknown where known"
    WRONG_DEGREE = "warn for fail, or fail for warn"


@dataclass(frozen=True)
class Judgement:
    """What was said of an id, and what may be said."""

    id: str
    said: str  # the worst of its rows; empty for none
    allowed: frozenset[str]

    @property
    def verdict(self) -> Verdict:
        if self.said in self.allowed:
            return Verdict.RIGHT
        if self.said in {"", Status.PASS}:
            return Verdict.FALSE_PASS
        if self.said == Status.UNKNOWN:
            return Verdict.NEEDLESS_UNKNOWN
        return Verdict.WRONG_DEGREE if self.allowed & RED else Verdict.FALSE_FAIL


async def rows(scenario: Scenario) -> tuple[Check, ...]:
    """The whole audit of a scenario's subject and machine."""
    stub = Stub(scenario.wire, scenario.resolvers, scenario.authoritative)
    found: tuple[Check, ...] = ()
    if scenario.subject:
        fetch = scenario.fetch if scenario.policy is not None else None
        found += tuple(await audit.domain(stub, scenario.subject, fetch))
    if scenario.machine:
        found += tuple(await audit.host(stub, scenario.machine))
    return found


def said(found: tuple[Check, ...]) -> dict[str, Status]:
    """The worst row of each id."""
    statuses: dict[str, list[Status]] = {}
    for row in found:
        statuses.setdefault(row.name.split()[0], []).append(row.status)
    return {id_: Status.worst(of) for id_, of in statuses.items()}


def judge(scenario: Scenario, found: tuple[Check, ...]) -> Iterator[Judgement]:
    """Each truth of the scenario, then each id that it does not name and that fails all the same."""
    worst = said(found)
    named = {id_ for truth in scenario.truth for id_ in truth.ids}
    for truth in scenario.truth:
        if truth.pattern:
            others = [id_ for id_ in worst if fnmatch.fnmatch(id_, truth.ids[0]) and id_ not in named]
            yield from (Judgement(id_, worst[id_], truth.allowed) for id_ in others)
            named.update(others)
        else:
            yield Judgement(" + ".join(truth.ids), _worst(worst, truth.ids), truth.allowed)
    rest = frozenset({Status.PASS, Status.WARN, Status.UNKNOWN})
    yield from (Judgement(id_, status, rest) for id_, status in worst.items() if id_ not in named and status in WRONG)
    if scenario.green:
        yield from (Judgement(row.name, row.status, frozenset({Status.PASS})) for row in found if _red(row))


def _worst(worst: Mapping[str, Status], ids: tuple[str, ...]) -> str:
    there = [worst[id_] for id_ in ids if id_ in worst]
    return Status.worst(there) if there else ""


def _red(row: Check) -> bool:
    return row.status in RED or row.blocks
