"""The shape of the committed notebooks: an argument in prose, one idea a cell, nothing left over from a run."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import nbformat
import papermill
import pytest
from nbformat import NotebookNode
from test_layers import LAYERS

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
STAGES = [p for p in NOTEBOOKS if not p.name.startswith("00-")]
NAMES = ["00-start", "01-bootstrap", "02-relay", "03-dkim", "04-dns", "05-send", "06-troubleshoot"]
WALK = {"site", "observed", "verify", "done"}
CHANGES = {"before", "plan", "apply"}
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.If, ast.For, ast.While, ast.Try)
TABLE = {"site": "Union[dict, str]", "apply": "bool", "wait": "int"}
MORE = {"06-troubleshoot": {"symptom": "str", "pasted": "str"}}  # what people say is asked there alone

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
each_stage = pytest.mark.parametrize("path", STAGES, ids=lambda p: p.stem)


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, 4)


def code(path: Path) -> dict[str, str]:
    return {c.id: c.source for c in read(path).cells if c.cell_type == "code"}


def test_the_notebooks_have_their_fixed_names() -> None:
    assert [p.stem for p in NOTEBOOKS] == NAMES


@each
def test_nothing_is_left_over_from_a_run(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "runbook"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in (c for c in notebook.cells if c.cell_type == "code"):
        assert (cell.outputs, cell.execution_count) == ([], None)
        assert set(cell.metadata) <= {"tags", "jupyter"}


@each
def test_cells_have_names_of_their_own(path: Path) -> None:
    ids = [c.id for c in read(path).cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in ids)
    assert not [name for name in ids if re.fullmatch(r"[0-9a-f]{8}", name)]


@each
def test_metadata_says_which_stage_it_is(path: Path) -> None:
    meta = read(path).metadata.runbook
    assert meta.stage == path.stem.partition("-")[2]
    shorts = [name.partition("-")[2] for name in NAMES[: NAMES.index(path.stem)]]
    assert set(meta.after) <= set(shorts)
    assert isinstance(meta.changes, bool)
    assert meta.get("interactive", False) == (path.stem == "00-start")


@each_stage
def test_each_stage_is_the_same_walk(path: Path) -> None:
    wanted = WALK | (CHANGES if read(path).metadata.runbook.changes else set())
    assert wanted <= set(code(path))


@each
def test_cells_hold_no_logic(path: Path) -> None:
    for name, source in code(path).items():
        assert 1 <= len(source.splitlines()) <= (len(TABLE | MORE.get(path.stem, {})) if name == "parameters" else 3), (
            name
        )
        assert not re.search(r"^\s*[%!]|pip install", source, re.MULTILINE), name
        for node in ast.walk(ast.parse(source)):
            assert not isinstance(node, FORBIDDEN), f"{name}: {type(node).__name__}"
            assert not (isinstance(node, ast.Name) and node.id in {"print", "exec", "eval"}), name


@each
def test_the_last_line_of_a_cell_is_its_answer(path: Path) -> None:
    for name, source in code(path).items():
        if name not in {"parameters", "imports"}:
            assert isinstance(ast.parse(source).body[-1], ast.Expr), name


@each
def test_prose_stands_before_code(path: Path) -> None:
    cells = read(path).cells
    assert cells[0].cell_type == cells[-1].cell_type == "markdown"
    assert cells[0].source.startswith(f"# {path.stem[:2]} - ")
    for before, cell in itertools.pairwise(cells):
        if cell.cell_type == "code" and cell.id not in {"parameters", "imports", "done"}:
            assert before.cell_type == "markdown", cell.id
            assert len(before.source.split()) > 8, before.id


@each
def test_imports_come_from_the_layers_for_notebooks(path: Path) -> None:
    allowed = {name for layer in (0, 1, 2) for name in LAYERS[layer]}
    tree = ast.parse("\n".join(code(path).values()))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Import)
        if isinstance(node, ast.ImportFrom):
            module = str(node.module)
            assert module.startswith("runbooklib")
            names = {a.name for a in node.names} if module == "runbooklib" else {module.split(".")[1]}
            assert names <= allowed


@each_stage
def test_papermill_explains_the_parameters(path: Path) -> None:
    [cell] = [c for c in read(path).cells if "parameters" in c.metadata.get("tags", [])]
    assert cell.id == "parameters"
    explained = papermill.inspect_notebook(path)
    assert {name: p["inferred_type_name"] for name, p in explained.items()} == TABLE | MORE.get(path.stem, {})
    assert explained["apply"]["default"] == "False"
    assert explained["site"]["default"] == '"params/rehearsal.yaml"'
    assert all(p["help"] for p in explained.values())
