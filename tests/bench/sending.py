"""Stage 05 on a testbed of its own: all that it does beside the slowest of its messages, which all travel at once."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
import rehearsal
from figures import TIMES, Figure, figure
from rehearsed import Rehearsed

from runbooklib import params
from runbooklib.testbed import world

PART, REST = 1.5, 3  # of the slowest message's time, and seconds beside it
WAIT = 60
SITES = {"docker-mailserver": "rehearsal.yaml", "plain Postfix": "rehearsal-postfix.yaml"}


def figures(say: Callable[[str], None]) -> list[Figure]:
    """The whole stage against what it may take with the slowest message that it had itself; the median turn counts."""
    return [_figure(server, rehearsal.ROOT / "params" / name, say) for server, name in SITES.items()]


def _figure(server: str, site: Path, say: Callable[[str], None]) -> Figure:
    say(f"stage 05 on {server}")
    with deployed(site, say):
        turns = sorted((_turn(site, say) for _ in range(TIMES)), key=lambda turn: turn[0] / turn[1])
    took, bound = turns[len(turns) // 2]
    return figure(f"stage 05, whole, {server}", took, bound, f"{PART} x its slowest message + {REST} s, at most", "s")


@contextmanager
def deployed(site: Path, say: Callable[[str], None]) -> Iterator[None]:
    """A testbed with the stages before applied, named in the environment as the stage looks for it."""
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, RUNBOOK_TESTBED=f"{name}/.testbed"):
        root = Path(name)
        testbed = Rehearsed(root, world.up(root, say))
        try:
            ran = rehearsal.run(testbed, root / "runs", "--apply", *rehearsal.SETTING_UP, params=site)
            if ran.status:
                raise SystemExit(ran.output)
            yield
        finally:
            world.down(root, say)


def _turn(site: Path, say: Callable[[str], None]) -> tuple[float, float]:
    """How long the whole stage took, and how long it may with the slowest message it had."""
    began, cells = time.monotonic(), walked(site)
    took, slowest = time.monotonic() - began, max(parcel.seconds or 0 for parcel in cells["arrived"])
    say(f"stage 05: {took:.1f} s, its slowest message {slowest:.1f} s")
    return took, PART * slowest + REST


def walked(site: Path) -> dict[str, Any]:
    """What the cells of the stage leave, executed in their order."""
    notebook = nbformat.read(rehearsal.ROOT / "notebooks/05-send.ipynb", 4)
    left: dict[str, Any] = {"site": params.load(site), "apply": True, "wait": WAIT}
    for cell in (c for c in notebook.cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])):
        exec(cell.source, left)  # noqa: S102 - our own notebook
    return left
