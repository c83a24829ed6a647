"""Measures ours against the peers on this machine, now: prints the table and writes latest.json beside this file."""

from __future__ import annotations

import io
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import papermill
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from books import LOAD, Project  # noqa: E402 - found beside the tests
from sites import given  # noqa: E402 - as above

from runbooklib import params, runs, stages  # noqa: E402 - as above

TIMES = 5  # repetitions; the median counts
CELLS = {"site": LOAD, "imports": "from runbooklib import servers, zone", "work": "import time; time.sleep(1)"}


@dataclass(frozen=True)
class Figure:
    """One line of the table; below 1 ours is the smaller."""

    name: str
    ours: float
    peer: float
    peer_name: str
    ratio: float
    unit: str


def seconds(work: Callable[[], object]) -> float:
    """How long it takes once."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(name: str, ours: Callable[[], object], peer: Callable[[], object], peer_name: str) -> Figure:
    """Both by turns, so that what else the machine does falls on both; the first turn does not count."""
    turns = [(seconds(ours), seconds(peer)) for _ in range(1 + TIMES)][1:]
    mine, other = (statistics.median(times) for times in zip(*turns, strict=True))
    return Figure(name, round(mine, 2), round(other, 2), peer_name, round(mine / other, 2), "s")


def one(path: Path) -> Callable[[], object]:
    """Executes one notebook by papermill's own call; its metadata decide about the engine."""
    return lambda: papermill.execute_notebook(str(path), "out.ipynb", progress_bar=False)


def figures(project: Project) -> list[Figure]:
    """Every comparison, in a project of its own."""
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


def main() -> None:
    """Prints the table and keeps it."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measured = figures(Project(Path(folder)))
        os.chdir(HERE)
    (HERE / "latest.json").write_text(json.dumps([asdict(f) for f in measured], indent=1) + "\n")
    sys.stdout.write("| what | ours | peer | ratio | peer's name |\n|---|---|---|---|---|\n")
    for f in measured:
        sys.stdout.write(f"| {f.name} | {f.ours} {f.unit} | {f.peer} {f.unit} | {f.ratio} | {f.peer_name} |\n")


if __name__ == "__main__":
    main()
