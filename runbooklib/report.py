"""The report of a run: one self-contained page made from checks.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError, register_namespace, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from jinja2 import Environment, PackageLoader, StrictUndefined

from runbooklib.results import COLOURS, MARKS, Status

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = {SVG + name for name in ("svg", "title", "desc", "g", "rect", "path", "text")}
BESIDE = re.compile(r"\w[\w.-]*")  # a file beside the page: no path, no scheme
HEADED = 3  # rows about the same

register_namespace("", SVG[1:-1])


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
        walks=[_walk(walk) for walk in run["stages"]],
        marks=MARKS,
        colours=COLOURS,
        statuses=list(Status),
    )


def _walk(walk: Mapping[str, Any]) -> dict[str, Any]:
    """A walk as the page shows it; one archived before there were pictures or files has none."""
    checks = _worst_first(walk["checks"])
    tables = [list(grouped(row for row in checks if (row["status"] == Status.PASS) is good)) for good in (False, True)]
    drawn = list(pictures(walk.get("pictures", ())))
    files = [name for name in walk.get("files", ()) if BESIDE.fullmatch(name)]
    return {**walk, "checks": checks, "told": tables[0], "good": tables[1], "pictures": drawn, "files": files}


def _worst_first(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    order = list(Status)
    return sorted(checks, key=lambda row: order.index(Status(row["status"])))


def grouped(checks: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows that follow each other and are about the same; three of them get a heading instead of saying it each.

    A row's name is its id, whom it is about, and sometimes more: `delivery.dkim outbound example.org mail`.
    """
    groups: list[tuple[str, list[Mapping[str, Any]]]] = []
    for row in checks:
        about = row["name"].partition(" ")[2]
        if not groups or not f"{about} ".startswith(f"{groups[-1][0]} ") or not about:
            groups.append((about, []))
        groups[-1][1].append(row)
    for about, rows in groups:
        heading = about if len(rows) >= HEADED else ""
        yield {"heading": heading, "rows": [_row(row, heading) for row in rows]}


def _row(row: Mapping[str, Any], heading: str) -> dict[str, Any]:
    name, _, about = row["name"].partition(" ")
    return {**row, "id": name, "about": about.removeprefix(heading).strip()}


def pictures(told: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """The pictures as they may stand in a page: checks.json can have come from anywhere, so what runs or loads is out.

    Written anew, since HTML reads some things otherwise than XML does, CDATA inside <title> among them.
    """
    for each in told:
        try:
            root = fromstring(each["svg"])
        except (ParseError, DefusedXmlException):
            continue
        if all(_inert(element) for element in root.iter()):
            yield tostring(root, encoding="unicode")


def _inert(element: Element) -> bool:
    """Whether it only draws: no script, no handler, no link, no style that fetches."""
    words = [f"{name}={value}".lower() for name, value in element.attrib.items()]
    live = any(word.startswith("on") or "href" in word or "url(" in word or "\\" in word for word in words)
    return element.tag in DRAWN and not live
