"""Where a site stands: what its newest run found, stage by stage."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runbooklib.params import read
from runbooklib.places import project_root
from runbooklib.results import Status, Table

COLUMNS = ("status", "stage", "seconds", "checks", "changes", "first to look at")
NOT_RUN = "not run"


def newest(site: Mapping[str, Any] | str) -> Table:
    """The last walk of every stage in the site's newest run under runs/; stages nobody ran say so.

    Raises ParamsError when the params file cannot be read.
    """
    name = str((site if isinstance(site, Mapping) else read(site)).get("name", ""))
    root = project_root()
    run = _last_run(root / "runs" / name) if name else None
    walked = {str(s["stage"]): s for s in run["stages"]} if run else {}
    rows = [_row(notebook.stem, walked) for notebook in sorted(root.glob("notebooks/0[1-9]-*.ipynb"))]
    return Table(_title(name, run), COLUMNS, tuple(rows))


def _last_run(folder: Path) -> dict[str, Any] | None:
    """Folders are named by UTC time, so the last name is the newest; one without checks.json is no run yet."""
    found = sorted(folder.glob("*/checks.json"))
    return json.loads(found[-1].read_text(encoding="utf-8")) if found else None


def _title(name: str, run: Mapping[str, Any] | None) -> str:
    if run is None:
        return f"{name or 'this site'}: nothing has run yet"
    how = "applied" if run["apply"] else "planned only, nothing was changed"
    return f"{name}: run {run['run']} ({how}) ended {run['status']}"


def _row(notebook: str, walked: Mapping[str, Any]) -> tuple[str, ...]:
    stage = walked.get(notebook) or walked.get(notebook.partition("-")[2])
    if stage is None:
        return NOT_RUN, notebook, "", "", "", ""
    tally = Counter(str(c["status"]) for c in stage["checks"])
    counted = ", ".join(f"{tally[s]} {s}" for s in Status if tally[s])
    changes, seconds = str(len(stage["changes"])), f"{stage['seconds']:.0f}"
    return Status(stage["status"]), notebook, seconds, counted, changes, _first(stage["checks"])


def _first(checks: list[Mapping[str, Any]]) -> str:
    """The worst row that did not pass, and what to do about it."""
    order = list(Status)
    left = sorted((c for c in checks if c["status"] != Status.PASS), key=lambda c: order.index(Status(c["status"])))
    return f"{left[0]['name']}: {left[0]['fix'] or left[0]['observed']}" if left else ""
