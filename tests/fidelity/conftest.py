"""One world of containers for all fidelity cases; MAIL_IMAGE names the image under test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import docker
import pytest
from fidelity_profiles import PROFILES
from fidelity_world import STAND_IN, World

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTED: list[str] = []


@pytest.fixture(scope="session")
def mail_image() -> str:
    """The image under test."""
    return os.environ.get("MAIL_IMAGE", STAND_IN)


@pytest.fixture(scope="session")
def world(mail_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every server the cases ask, starting at once."""
    with World(mail_image, PROFILES, tmp_path_factory.mktemp("fidelity")) as made:
        TESTED.append(f"{mail_image} {docker.from_env().images.get(mail_image).id}")
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the image that was tested."""
    for image in TESTED:
        terminalreporter.write_line(f"mail server image tested for fidelity: {image}")
