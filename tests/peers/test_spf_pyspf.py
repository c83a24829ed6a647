"""2,000 random cases judged by us and by pyspf: wherever the two differ, repairing pyspf in a named way ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path
from types import ModuleType

import pyspf_peer
import pytest
import random_spf
from pyspf_peer import REASONS
from random_spf import Case
from zones import Zones

from runbooklib import spf

CASES = 2000


@pytest.fixture(scope="module")
def peer(pyspf: Path) -> ModuleType:
    return pyspf_peer.load(pyspf)


async def judged(cases: list[Case]) -> list[tuple[str, str]]:
    """Our results, a fail with its explanation."""
    return [shown(await spf.evaluate(Zones(c.zone), c.ip, c.sender, c.helo)) for c in cases]


def shown(got: spf.Evaluation) -> tuple[str, str]:
    return str(got.result), got.explanation


def agree(ours: tuple[str, str], theirs: tuple[str, str]) -> bool:
    return ours[0] == theirs[0] and (ours[0] != "fail" or ours[1] == theirs[1])


def explained(peer: ModuleType, case: Case, ours: tuple[str, str]) -> tuple[str, ...] | None:
    """The fewest reasons whose repair makes pyspf say what we say; None when nothing does."""
    tried = chain.from_iterable(combinations(REASONS, many) for many in range(1, 4))
    return next((told for told in tried if agree(ours, pyspf_peer.judge(peer, case, frozenset(told)))), None)


def differing(peer: ModuleType, cases: list[Case]) -> Iterator[tuple[Case, tuple[str, str]]]:
    for case, ours in zip(cases, asyncio.run(judged(cases)), strict=True):
        if not agree(ours, pyspf_peer.judge(peer, case)):
            yield case, ours


def test_every_difference_from_pyspf_has_a_name(peer: ModuleType) -> None:
    cases = [random_spf.case(seed) for seed in range(CASES)]
    told = [(case, ours, explained(peer, case, ours)) for case, ours in differing(peer, cases)]
    assert [(case, ours) for case, ours, reasons in told if reasons is None] == []
    assert {reason for *_, reasons in told for reason in reasons or ()} == set(REASONS)
    assert len(told) < CASES / 10


def test_the_cases_end_in_every_way() -> None:
    results = {result for result, _ in asyncio.run(judged([random_spf.case(seed) for seed in range(200)]))}
    assert results == {str(result) for result in spf.Result}


def test_a_mistake_of_ours_would_not_be_explained(peer: ModuleType) -> None:
    case = Case({"d0.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}]}, "192.0.2.1", "a@d0.example", "h.example")
    assert asyncio.run(judged([case])) == [("pass", "")]
    assert explained(peer, case, ("fail", "")) is None
