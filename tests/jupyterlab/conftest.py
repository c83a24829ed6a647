"""One JupyterLab and one browser for all notebooks, gone before what comes after them in their lane."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from rehearsed import Rehearsed

from runbooklib.testbed import world


@pytest.fixture(scope="module")
def server(testbed: Rehearsed) -> Iterator[lab.Server]:
    with lab.served(world.folder_of(testbed.root)) as running:
        yield running


@pytest.fixture(autouse=True)
def _kernels_end(server: lab.Server) -> Iterator[None]:
    yield
    server.end_kernels()


@pytest.fixture(scope="module")
def browser(server: lab.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[lab.Browser]:
    subprocess.run([str(Path(__file__).with_name("setup.sh"))], check=True)
    folder = tmp_path_factory.mktemp("chromium")
    (folder / "shots").mkdir()
    opened = lab.Browser(server, folder / "profile", folder / "shots")
    yield opened
    opened.quit()
