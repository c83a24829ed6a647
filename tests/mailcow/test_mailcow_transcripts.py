"""Each request that was once sent to mailcow's own code is answered now as it was then.

Against the double this shows its fidelity; against a real mailcow, that it still answers so.
"""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import sinks
from herds import Herd
from replay import CASES, Replay

NUMBERED = 139


@pytest.fixture(scope="session")  # a worker may come to this file more than once
def replayed(cow: Herd, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """All of them, once, in their order."""
    relays = sinks.running(f"relayuser-{cow.run}", tmp_path_factory.mktemp("sinks"))
    with relays if cow.double else nullcontext({}) as ports:
        return Replay(cow, ports).run()


def test_every_numbered_request_is_a_case() -> None:
    assert [case["number"] for case in CASES] == list(range(1, NUMBERED + 1))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['number']} {case['title']}")
def test_the_answer_is_as_it_was(replayed: Replay, case: dict[str, object]) -> None:
    number = case["number"]
    assert isinstance(number, int)
    if number in replayed.skipped:
        pytest.skip(replayed.skipped[number])
    if number in replayed.problems:
        pytest.fail(replayed.problems[number], pytrace=False)
