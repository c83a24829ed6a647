"""The README's tables and commands hold what is really there."""

from __future__ import annotations

import json
import operator
import re
from pathlib import Path

import nbformat
import pytest

from runbooklib.cli import _parser
from runbooklib.testbed.faults import every
from runbooklib.testbed.faults.exam import HEALTHY

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_the_table_lists_every_notebook_with_its_title(path: Path) -> None:
    title = nbformat.read(path, 4).cells[0].source.splitlines()[0].partition(" - ")[2]
    [row] = [line for line in README.splitlines() if line.startswith("|") and f"notebooks/{path.name}" in line]
    assert title in row


def commands() -> list[str]:
    """What stands in the README's code as a command of ours."""
    blocks = re.findall(r"```[^\n]*\n(.*?)```", README, re.DOTALL) + re.findall(r"`([^`\n]+)`", README)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()]
    return [line for line in lines if re.match(r"(make|runbook|papermill) \w", line)]


def test_commands_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {line.split()[1] for line in commands() if line.startswith("make ")}
    assert {"rehearse", "test"} <= told <= targets
    known = _parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert {line.split()[1] for line in commands() if line.startswith("runbook ")} <= set(known or ())


def test_paths_in_commands_exist() -> None:
    for path in re.findall(r"(?:notebooks|params)/[\w.-]+\.(?:ipynb|yaml)", "\n".join(commands())):
        assert (ROOT / path).is_file(), path


def test_nothing_of_one_machine_stands_in_it() -> None:
    assert not re.search(r"/(root|home|work)/", README)


def test_the_benchmark_table_is_the_last_one_measured() -> None:
    for figure in json.loads((ROOT / "tests" / "bench" / "latest.json").read_text()):
        cells = (figure["name"], figure["ours"], figure["peer"], figure["peer_name"], figure["ratio"])
        name, ours, peer, peer_name, ratio = map(str, cells)
        unit = figure["unit"]
        assert f"| {name} | {ours} {unit} | {peer} {unit} ({peer_name}) | {ratio} |" in README


AT_LEAST, AT_MOST = operator.ge, operator.le
GOALS = {  # of the ratio, by the name of what is measured and whom it is measured beside
    ("one domain of many", "checkdmarc, one after the other"): (AT_MOST, 1 / 50),
    ("a thousand domains audited", "the goal, at most"): (AT_MOST, 1),
    ("questions a domain", "the goal, at most"): (AT_MOST, 1),
    ("questions a second, audit included", "bare dnspython loop"): (AT_LEAST, 0.6),
    ("one domain, cold", "its longest chain of lookups"): (AT_MOST, 1.2),
    ("memory at ten thousand domains", "the goal, less than"): (operator.lt, 1),
    ("memory at ten thousand domains", "ours at a thousand"): (AT_MOST, 1.2),  # flat, but for what Python keeps
    ("golden set, right", "the goal"): (AT_LEAST, 1),
    ("stage 05, whole, docker-mailserver", "1.5 x its slowest message + 3 s, at most"): (AT_MOST, 1),
    ("stage 05, whole, plain Postfix", "1.5 x its slowest message + 3 s, at most"): (AT_MOST, 1),
}


def test_every_committed_figure_keeps_its_goal() -> None:
    figures = json.loads((ROOT / "tests" / "bench" / "latest.json").read_text())
    ratios = {(f["name"], f["peer_name"]): f["ratio"] for f in figures}
    assert {what: ratios[what] for what, (holds, goal) in GOALS.items() if not holds(ratios[what], goal)} == {}
    assert all(f["ours"] / f["peer"] == pytest.approx(f["ratio"], rel=0.02) for f in figures)  # three digits of each


def test_the_exam_s_table_is_the_last_one_graded() -> None:
    told = json.loads((ROOT / "tests" / "bench" / "exam.json").read_text())
    assert told["score"] in README
    assert [one["fault"] for one in told["graded"] if not one["passed"]] == []
    groups = [" + ".join(fault.id for fault in group) for group in every()]
    assert [one["fault"] for one in told["graded"]] == [HEALTHY, *groups]
    for one in told["graded"]:
        named = ", ".join(one["named"][: max(1, len(one["wanted"]))]) or "none"
        false = len([name for name in one["named"] if name not in one["wanted"]])
        by = ", ".join("its command" if way.startswith("`") else way for way in one["mended_by"]) or "-"
        cells = (one["fault"], named, "right" if one["passed"] else "wrong", f"{one['seconds']:.1f}", str(false), by)
        assert f"| {' | '.join(cells)} |" in README, one["fault"]
