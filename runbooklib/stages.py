"""The stages, read from the notebooks' own metadata: name, what each comes after, whether a run walks it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runbooklib.places import project_root
from runbooklib.results import RunbookError

IMPORTS = re.compile(r"^from runbooklib import (.+)$", re.MULTILINE)


class RunError(RunbookError):
    """A run cannot start, go on, or be read."""


class StageError(RunError):
    """The notebooks do not make a sequence of stages, or a stage was asked for that is not among them."""


@dataclass(frozen=True)
class Stage:
    """One notebook that a run walks."""

    notebook: Path
    short: str  # its name in other notebooks' `after`, e.g. dns
    after: tuple[str, ...]
    imports: tuple[str, ...] = ()  # the modules of ours it begins with

    @property
    def name(self) -> str:
        """The notebook's name, e.g. 04-dns."""
        return self.notebook.stem


def folder() -> Path:
    """Where the project keeps its notebooks."""
    return project_root() / "notebooks"


def find(notebooks: Path) -> tuple[Stage, ...]:
    """The stages in the order of their numbers; notebooks without a stage, or interactive ones, are left out.

    Raises StageError when there is none, or one stands before what it comes after.
    """
    stages = tuple(s for path in sorted(notebooks.glob("*.ipynb")) for s in _read(path))
    if not stages:
        raise StageError(f"{notebooks} holds no stage: run this inside the project's folder")
    for i, stage in enumerate(stages):
        late = set(stage.after) - {s.short for s in stages[:i]}
        if late:
            raise StageError(f"{stage.name} comes after {', '.join(sorted(late))}, which does not stand before it")
    return stages


def _read(path: Path) -> Iterable[Stage]:
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        meta = notebook["metadata"].get("runbook", {})
        code = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code")
    except (ValueError, KeyError) as error:
        raise StageError(f"{path.name} is no readable notebook: {type(error).__name__}") from None
    if "stage" in meta and not meta.get("interactive"):
        imports = ", ".join(IMPORTS.findall(code)).replace(",", " ").split()
        yield Stage(path, meta["stage"], tuple(meta.get("after", ())), tuple(imports))


def choose(stages: Sequence[Stage], only: Sequence[str] = (), start: str = "") -> tuple[Stage, ...]:
    """The stages named, or those from one on; all of them by default. `04-dns` and `dns` mean the same.

    Raises StageError for a name that is not among them.
    """
    wanted = {_named(stages, name) for name in only} or set(stages)
    first = stages.index(_named(stages, start)) if start else 0
    return tuple(s for s in stages[first:] if s in wanted)


def _named(stages: Sequence[Stage], name: str) -> Stage:
    for stage in stages:
        if name in {stage.name, stage.short}:
            return stage
    raise StageError(f"{name} is no stage; there are {', '.join(s.name for s in stages)}")
