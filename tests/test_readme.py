"""The README's tables and commands hold what is really there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest

from runbooklib.cli import _parser

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
