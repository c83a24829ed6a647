"""Imports go downward: the picture of the house as a dict, compared with what the modules really import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import runbooklib

HOUSE = Path(runbooklib.__file__).parent
# Each module may import what stands before it, in a lower layer or to its left; a package's own files each other.
LAYERS = {
    0: ("results", "places", "credentials", "masking"),
    1: (
        "answers",
        "spf",
        "taglists",
        "domainkeys",
        "dmarc",
        "mtasts",
        "tlsrpt",
        "params",
        "records",
        "signing",
        "authres",
        "maillog",
        "endpoint",
        "eml",
        "https",
        "host",
        "diagnosis",
    ),
    2: ("servers", "relays", "zone", "audit", "reports", "delivery", "autoconfig", "probes", "form", "standing"),
    3: (
        "lifeline",
        "kernel",
        "signature",
        "archive",
        "engine",
        "stages",
        "report",
        "software",
        "runs",
        "diagnosing",
        "testbed",
    ),
    4: ("cli",),
}
ORDER = [module for layer in LAYERS.values() for module in layer]


@cache
def rooms() -> dict[str, list[Path]]:
    """The files of each module or package."""
    found: dict[str, list[Path]] = {}
    for path in HOUSE.rglob("*.py"):
        found.setdefault(path.relative_to(HOUSE).parts[0].removesuffix(".py"), []).append(path)
    return {name: files for name, files in found.items() if name != "__init__"}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules of ours that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "runbooklib":
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("runbooklib."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("runbooklib."))


def test_the_dict_names_every_module_once() -> None:
    assert sorted(ORDER) == sorted(rooms())


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_downward(module: str) -> None:
    below = {*ORDER[: ORDER.index(module)], module}
    for path in rooms()[module]:
        upward = set(imported(ast.parse(path.read_text()))) - below
        assert not upward, f"{path.relative_to(HOUSE)} imports {', '.join(sorted(upward))}"


def test_the_test_sees_every_way_to_import() -> None:
    text = (
        "import runbooklib.a\nfrom runbooklib import b, c\nfrom runbooklib.d import x\ndef f():\n import runbooklib.e.y"
    )
    assert sorted(imported(ast.parse(text))) == ["a", "b", "c", "d", "e"]
