"""One world of containers for all fidelity cases, around the image that the testbed holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fidelity_profiles import PROFILES
from fidelity_world import World
from rehearsed import Rehearsed

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTED: list[str] = []


@pytest.fixture(scope="session")
def mail_image(testbed: Rehearsed) -> str:
    """The image under test: the one the testbed holds."""
    TESTED.append(testbed.state.image.description)
    return testbed.state.image.id


@pytest.fixture(scope="session")
def world(mail_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every server the cases ask, starting at once."""
    with World(mail_image, PROFILES, tmp_path_factory.mktemp("fidelity")) as made:
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the image that was tested."""
    for image in TESTED:
        terminalreporter.write_line(f"mail server image tested for fidelity: {image}")
