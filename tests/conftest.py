"""What all tests share: the marker of those that need containers, and a small project to run notebooks in."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import lean  # noqa: F401 - first of all
import pytest
import yaml
from books import CANARIES, Project
from hypothesis import settings
from sites import given

from runbooklib import credentials, kernel

if TYPE_CHECKING:
    from rehearsed import Rehearsed

# A busy machine says nothing about the code; the seed is new each time, so that few examples become many with time.
settings.register_profile("noisy", deadline=None, max_examples=40)
settings.load_profile("noisy")

# By folder: what needs Docker, what starts real Jupyter kernels, what asks a mailcow; all the rest are unit tests.
MARKERS = {"testbed": "testbed", "fidelity": "testbed", "jupyterlab": "testbed"} | {
    name: name for name in ("kernels", "mailcow")
}
ASKING = "test_mailcow_"  # so begin the files of tests that ask the double only
SERVERS = (ASKING, "test_postfix_", "test_other_servers")  # those in containers of the other two mail servers
TESTED: list[str] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    """Images are made before the first test, where their progress can be seen."""
    if any(item.get_closest_marker("testbed") for item in session.items) and not session.config.option.collectonly:
        from runbooklib.testbed import engine, world  # noqa: PLC0415 - unit tests need no Docker

        say = session.config.pluginmanager.get_plugin("terminalreporter").write_line
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            found = engine.ensure(say)
            gc.collect()  # docker-py leaves the sockets of connections that failed to the collector
        TESTED.append(world.prepare(found, say).description)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which mail server image these results are about."""
    for image in TESTED:
        terminalreporter.write_line(f"mail server image tested: {image}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are marked by the folder they stand in."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in MARKERS:
            item.add_marker(MARKERS[folder])
        elif folder.startswith(ASKING):
            item.add_marker("mailcow")
        if folder == "jupyterlab":
            item.add_marker("jupyterlab")
        if folder == "testbed" and item.path.name.startswith(SERVERS):
            item.add_marker("servers")
        if "rehearsal" in getattr(item, "fixturenames", ()):
            item.add_marker("deployed")


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsed]:
    """The one testbed of the session, in a folder of its own beside whatever runs already."""
    from rehearsed import Rehearsed  # noqa: PLC0415 - unit tests need no Docker

    from runbooklib.testbed import world  # noqa: PLC0415

    root = tmp_path_factory.mktemp("testbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RUNBOOK_TESTBED", raising=False)
        state = world.up(root, print)
        try:
            yield Rehearsed(root, state)
        finally:
            world.down(root, print)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder like the project's own, current, with one site, its secrets in the environment, and no notebooks yet."""
    made = Project(tmp_path)
    made.params.write_text(yaml.safe_dump({"site": given()}))
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(made.temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    yield made
    made.stop()
    kernel.dismiss()
    credentials.forget()
