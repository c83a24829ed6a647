"""Executed notebooks on disk: written whole or not at all, secrets masked, read back as values."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooklib import credentials
from runbooklib.results import MIME, Check, RunbookError, Status

MASKED: list[str] = []  # references of secrets that had come as far as this process and were masked only here


class ArchiveError(RunbookError):
    """A file of a run cannot be read as what it should be."""


def write(path: str | Path, text: str) -> None:
    """Replaces the file in one step: at any moment it holds the old text or the new one (rename(2))."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_text(text, encoding="utf-8")  # /dev/stdout and the like cannot be replaced
        return
    fresh = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def clean(notebook: str) -> str:
    """The notebook's text with every known secret masked, also one printed in pieces that only here are joined."""
    found = credentials.leaks(notebook.encode())
    if not found:
        return notebook
    MASKED.extend(found)
    return json.dumps(credentials.mask_tree(json.loads(notebook)), ensure_ascii=False, indent=1) + "\n"


def sweep(folder: Path) -> list[str]:
    """Masks whatever secret still stands in a file of the folder; the references of all that came this far."""
    found, MASKED[:] = set(MASKED), []
    for path in (p for p in folder.iterdir() if p.is_file()):
        leaked = credentials.leaks(path.read_bytes())
        if leaked:
            text = path.read_text(encoding="utf-8", errors="replace")
            write(path, clean(text) if path.suffix == ".ipynb" else credentials.mask(text))
            found.update(leaked)
    MASKED.clear()
    return sorted(found)


@dataclass(frozen=True)
class Record:
    """What an executed notebook says: its checks and changes as data, and how it ended."""

    checks: tuple[Check, ...] = ()
    changes: tuple[dict[str, Any], ...] = ()
    error: str = ""  # the name of the error that stopped it
    said: str = ""  # that error's message
    cell: str = ""  # the id of the cell it stopped in
    cells: tuple[str, ...] = ()  # the ids of its code cells, which reports link to
    pictures: tuple[dict[str, str], ...] = ()  # title and SVG of each
    files: tuple[str, ...] = ()  # what else the stage left in the run's folder


def read(path: Path) -> Record:
    """What stands in an executed notebook, from the values it shows, never from their HTML.

    Raises ArchiveError when it is no notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"{path.name} is no readable notebook: {type(error).__name__}") from None
    outputs = [(c.get("id", ""), o) for c in cells for o in c["outputs"]]
    shown = [o["data"][MIME] for _, o in outputs if MIME in o.get("data", {})]
    stopped = next(((i, o["ename"], o["evalue"]) for i, o in outputs if o["output_type"] == "error"), ("", "", ""))
    return Record(
        _checks(shown),
        _changes(shown),
        stopped[1],
        stopped[2],
        stopped[0],
        tuple(c.get("id", "") for c in cells),
        _pictures(shown),
        _files(shown),
    )


def _checks(shown: list[dict[str, Any]]) -> tuple[Check, ...]:
    """The rows by name; one shown again counts as it was last."""
    rows = [row for value in shown if value.get("kind") == "checklist" for row in value["checks"]]
    return tuple({row["name"]: check(row) for row in rows}.values())


def check(row: Mapping[str, Any]) -> Check:
    """The check that was written down as `row`."""
    return Check(**{**row, "status": Status(row["status"])})


def _pictures(shown: list[dict[str, Any]]) -> tuple[dict[str, str], ...]:
    """The pictures by title; one without anything to draw is none."""
    drawn = [value for value in shown if value.get("kind") == "picture" and value["svg"]]
    return tuple({each["title"]: {"title": each["title"], "svg": each["svg"]} for each in drawn}.values())


def _files(shown: list[dict[str, Any]]) -> tuple[str, ...]:
    """The names of files beside the notebook; a path elsewhere is none of the run's."""
    named = [str(value["file"]) for value in shown if value.get("kind") == "file"]
    return tuple(dict.fromkeys(name for name in named if name and Path(name).name == name))


def _changes(shown: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The changes of each plan by its title; what became of a plan counts instead of the plan."""
    plans: dict[str, dict[str, Any]] = {}
    for value in (v for v in shown if v.get("kind") in {"plan", "outcome"}):
        plans[value["title"]] = value
    return tuple({"applied": False, **c} for p in plans.values() for c in p["changes"])
