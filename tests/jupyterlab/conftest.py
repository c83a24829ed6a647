"""One JupyterLab and one browser for all notebooks."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest

from runbooklib.places import testbed_folder


@pytest.fixture(scope="session")
def server() -> Iterator[lab.Server]:
    folder = testbed_folder().resolve()
    assert (folder / "state.json").is_file(), f"no testbed in {folder}: run `runbook testbed up`"
    with lab.served(folder) as running:
        yield running


@pytest.fixture(scope="session")
def browser(server: lab.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Browser]:
    subprocess.run([str(Path(__file__).with_name("setup.sh"))], check=True)
    folder = tmp_path_factory.mktemp("chromium")
    (folder / "shots").mkdir()
    opened = lab.Browser(server, folder / "profile", folder / "shots")
    yield opened
    opened.quit()
