"""The report of a run: one self-contained page made from checks.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from runbooklib.results import COLOURS, MARKS, Status


def render(run: Mapping[str, Any]) -> str:
    """The page for what checks.json holds; nothing in it is loaded from elsewhere."""
    pages = Environment(
        loader=PackageLoader("runbooklib", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template("report.html.j2").render(
        run=run,
        walks=[{**walk, "checks": _worst_first(walk["checks"])} for walk in run["stages"]],
        marks=MARKS,
        colours=COLOURS,
        statuses=list(Status),
    )


def _worst_first(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = list(Status)
    return sorted(checks, key=lambda row: order.index(Status(row["status"])))
