"""What all tests share: the marker of those that need containers, and a small project to run notebooks in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from books import Project

from runbooklib import credentials, kernel

CONTAINERS = {"testbed", "fidelity", "jupyterlab"}  # folders whose tests need Docker
CANARIES = {
    "HI_PASSWORD": "ca$na\"ry one's %41 sécret",
    "OFFICE_SMTP": "p@ss word/with+every=%thing'\"$HOME\\n",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are marked by the folder they stand in."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in CONTAINERS:
            item.add_marker(pytest.mark.testbed)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A folder like the project's own, current, with one site, its secrets in the environment, and no notebooks yet."""
    from sites import given  # noqa: PLC0415 - the folders of container tests have their own

    made = Project(tmp_path)
    made.params.write_text(yaml.safe_dump({"site": given()}))
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(made.temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    yield made
    kernel.dismiss()
    credentials.forget()
