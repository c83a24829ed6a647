"""Notebooks: ours beside papermill alone."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import papermill
import yaml
from books import LOAD, Project
from figures import Figure, compare
from sites import given

from runbooklib import params, runs, stages

CELLS = {"site": LOAD, "imports": "from runbooklib import servers, zone", "work": "import time; time.sleep(1)"}


def figures() -> list[Figure]:
    """Every comparison, in a project of its own."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return _measured(Project(Path(folder)))


def _measured(project: Project) -> list[Figure]:
    project.params.write_text(yaml.safe_dump({"site": given()}))
    ours = [project.stage(f"0{n}-{name}", CELLS) for n, name in enumerate("abcd", 1)]
    plain = [project.book(f"plain-{name}", CELLS) for name in "abcd"]
    source = params.read(project.params)
    site = params.load(source)

    def run() -> None:
        place = runs.begin(site, project.root / "runs", apply=False)
        runs.execute(place, source, stages.find(project.root / "notebooks"), io.StringIO())

    def loop() -> None:
        for path in plain:
            one(path)()

    return [
        compare("one notebook, checked, over IPC, saved atomically", one(ours[0]), one(plain[0]), "papermill's engine"),
        compare("four notebooks in a row", run, loop, "papermill, one after the other"),
    ]


def one(path: Path) -> Callable[[], object]:
    """Executes one notebook by papermill's own call; its metadata decide about the engine."""
    return lambda: papermill.execute_notebook(str(path), "out.ipynb", progress_bar=False)
