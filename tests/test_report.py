"""The report's page: pictures that only draw, and what older runs archived."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runbooklib import archive, credentials, report, runs
from runbooklib.eml.picture import Lane, Station, draw
from runbooklib.results import MIME, Check, Status

LANE = Lane("outbound lantern.example", Status.PASS, (Station("our server", "mail.lantern.example"),), ())


def run(*pictures: dict[str, str], checks: tuple[Check, ...] = ()) -> dict[str, Any]:
    """What checks.json holds of a run of one stage."""
    walk = runs.Walk("05-send", 1, "05-send.ipynb", checks=checks, pictures=pictures)
    told: dict[str, Any] = json.loads(json.dumps(runs.Run("r", "s", True, "i", "b", "e", (walk,)).data()))  # noqa: FBT003
    return told


def test_a_picture_stands_in_the_page_as_it_was_drawn() -> None:
    page = report.render(run({"title": "the way", "svg": draw("the way", [LANE])}))
    assert "<figure><svg " in page
    assert "mail.lantern.example" in page
    assert "ns0:" not in page


HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink">'


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<SCRIPT>alert(1)</SCRIPT>",
        '<rect onclick="alert(1)"/>',
        '<rect ONLOAD="alert(1)"/>',
        '<a href="javascript:alert(1)"><text>x</text></a>',
        '<text x:href="//elsewhere.example">x</text>',
        '<image href="//elsewhere.example/x.png"/>',
        '<rect style="fill:url(//elsewhere.example/x)"/>',
        '<rect style="fill:u\\72l(//elsewhere.example/x)"/>',
        "<style>@import '//elsewhere.example'</style>",
        '<foreignObject><b xmlns="http://www.w3.org/1999/xhtml">x</b></foreignObject>',
        "<unclosed>",
    ],
)
def test_what_runs_or_loads_is_left_out(inside: str) -> None:
    good = draw("the way", [LANE])
    page = report.render(run({"title": "x", "svg": f"{HEAD}{inside}</svg>"}, {"title": "y", "svg": good}))
    assert page.count("<figure>") == 1
    assert "alert(1)" not in page
    assert "elsewhere" not in page


def test_text_that_xml_and_html_read_differently_stays_text() -> None:
    page = report.render(
        run({"title": "x", "svg": f"{HEAD}<title><![CDATA[<script>alert(1)</script>]]></title></svg>"})
    )
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in page


def test_entities_are_no_picture() -> None:
    bomb = '<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + f"{HEAD}<text>&b;</text></svg>"
    assert "<figure>" not in report.render(run({"title": "x", "svg": bomb}))


def test_a_run_archived_before_there_were_pictures_is_read_and_shown(tmp_path: Path) -> None:
    told = run(checks=(Check("a.b", Status.WARN, "x", "y"),))
    del told["stages"][0]["pictures"]
    (tmp_path / "checks.json").write_text(json.dumps(told))
    (walk,) = runs.read(tmp_path).walks
    assert (walk.pictures, walk.checks[0].name) == ((), "a.b")
    assert "a.b" in report.render(told)


def test_a_run_goes_through_checks_json_and_back(tmp_path: Path) -> None:
    told = run({"title": "t", "svg": draw("t", [LANE])}, checks=(Check("a.b", Status.WARN, "x", "y"),))
    (tmp_path / "checks.json").write_text(json.dumps(told))
    again = runs.read(tmp_path)
    assert json.loads(json.dumps(again.data())) == told
    assert set(told) == {"run", "site", "apply", "image", "started", "ended", "status", "stages", "interrupted"}
    assert {"stage", "status", "seconds", "checks", "changes"} <= set(told["stages"][0])


def test_a_notebook_gives_its_pictures_the_last_of_a_title_and_none_that_is_empty(tmp_path: Path) -> None:
    shown = [("t", "<svg>1</svg>"), ("t", "<svg>2</svg>"), ("u", "")]
    outputs = [
        {"output_type": "display_data", "data": {MIME: {"kind": "picture", "title": title, "svg": svg}}}
        for title, svg in shown
    ]
    cell = {"cell_type": "code", "id": "picture", "outputs": outputs}
    (tmp_path / "05-send.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert archive.read(tmp_path / "05-send.ipynb").pictures == ({"title": "t", "svg": "<svg>2</svg>"},)


def test_the_last_walk_keeps_what_it_showed() -> None:
    walk = runs.Walk("05-send", 2, "05-send.2.ipynb", pictures=({"title": "t", "svg": "<svg/>"},))
    assert runs._read_back(json.loads(json.dumps(asdict(walk)))) == walk


def rows(*names: str) -> list[dict[str, str]]:
    return [{"name": name, "status": "pass"} for name in names]


@pytest.mark.parametrize(
    ("names", "headings", "abouts"),
    [
        (("a.b", "a.c", "a.d"), ["", "", ""], ["", "", ""]),
        (("a.b x y", "a.c x y"), [""], ["x y", "x y"]),
        (("a.b x y", "a.c x y", "a.d x y mail"), ["x y"], ["", "", "mail"]),
        (("a.b x y", "a.c x y", "a.d x yz"), ["", ""], ["x y", "x y", "x yz"]),
        (("a.b x", "a.c x", "a.d", "a.e x"), ["", "", ""], ["x", "x", "", "x"]),
    ],
)
def test_rows_about_the_same_get_a_heading(names: tuple[str, ...], headings: list[str], abouts: list[str]) -> None:
    groups = list(report.grouped(rows(*names)))
    assert [group["heading"] for group in groups] == headings
    assert [row["about"] for group in groups for row in group["rows"]] == abouts
    assert [row["id"] for group in groups for row in group["rows"]] == [name.split()[0] for name in names]


def test_every_row_stands_in_the_page_with_its_whole_name() -> None:
    names = [f"delivery.{what} outbound lantern.example" for what in ("accepted", "relayed", "arrived", "once")]
    statuses = [Status.PASS, Status.PASS, Status.WARN, Status.PASS]
    checks = [Check(n, s, "so", "thus", "mend" * (s is Status.WARN)) for n, s in zip(names, statuses, strict=True)]
    page = report.render(run(checks=tuple(checks)))
    assert all(f'title="{name}"' in page for name in names)
    assert page.count('<th colspan="5">outbound lantern.example</th>') == 1
    assert "3 passed" in page
    assert page.count("<th>fix</th>") == 1


@pytest.fixture
def secret() -> Iterator[str]:
    credentials.learn("hunter2-hunter2", "env:P")
    yield "hunter2-hunter2"
    credentials.forget()


def test_the_archive_sweeps_pictures_too_also_where_they_are_encoded(tmp_path: Path, secret: str) -> None:
    svg = f"<svg><text>{secret}</text></svg>"
    image = f'<img src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}">'
    shown = {MIME: {"kind": "picture", "title": "t", "svg": svg}, "image/svg+xml": svg, "text/html": image}
    cell = {"cell_type": "code", "id": "picture", "outputs": [{"output_type": "display_data", "data": shown}]}
    (tmp_path / "05-send.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert archive.sweep(tmp_path) == ["env:P"]
    assert archive.read(tmp_path / "05-send.ipynb").pictures[0]["svg"] == "<svg><text>‹env:P›</text></svg>"
    assert not credentials.leaks((tmp_path / "05-send.ipynb").read_bytes())
