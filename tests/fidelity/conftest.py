"""One world of containers for all fidelity cases, around the image that the testbed holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from fidelity_profiles import PROFILES
from fidelity_world import World

from runbooklib.testbed import engine
from runbooklib.testbed.world import prepare

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def mail_image() -> str:
    """The image under test: the one a testbed holds here."""
    return prepare(engine.ensure(print), print).id


@pytest.fixture(scope="session")
def world(mail_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every server the cases ask, starting at once."""
    with World(mail_image, PROFILES, tmp_path_factory.mktemp("fidelity")) as made:
        yield made
