"""What a notebook takes: its parameters cell read as a signature, and what was passed held against it."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click
from nbformat import NotebookNode
from papermill.translators import PythonTranslator

from runbooklib import params
from runbooklib.results import RunbookError

TYPES: dict[str, type] = {t.__name__: t for t in (bool, int, float, str, dict, list)}
OWN = {"PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}  # what papermill's --inject-paths adds by itself


class ParameterError(RunbookError, click.UsageError):
    """A parameter is unknown or of the wrong type; papermill's command line shows the message and exits with 2."""


@dataclass(frozen=True)
class Parameter:
    """One line of the parameters cell."""

    name: str
    types: tuple[type, ...]  # empty: anything
    default: str  # as written
    help: str

    def __str__(self) -> str:
        return f"{self.name} ({' or '.join(t.__name__ for t in self.types) or 'anything'})"

    def problem(self, value: object) -> str:
        """What is wrong with a value passed for it; empty when nothing is."""
        fits = isinstance(value, self.types) if self.types else True
        if not fits or (isinstance(value, bool) and self.types and bool not in self.types):
            return f"expected {' or '.join(t.__name__ for t in self.types)}, saw {type(value).__name__}"
        if self.types == (int,) and isinstance(value, int) and value < 0:
            return f"expected 0 or more, saw {value}"
        return ""


def declared(notebook: NotebookNode) -> dict[str, Parameter]:
    """The parameters a notebook declares, by name, in order; read as papermill reads them."""
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    found = PythonTranslator.inspect(cells[0]) if cells else []
    return {p.name: Parameter(p.name, _types(p.inferred_type_name), p.default, p.help) for p in found}


def _types(annotation: str) -> tuple[type, ...]:
    return tuple(TYPES[word] for word in re.findall(r"\w+", annotation) if word in TYPES)


def check(notebook: NotebookNode) -> None:
    """Holds what papermill injected against the parameters cell, and the site against its model.

    Raises ParameterError with everything that is wrong, before a kernel starts or a byte is written.
    """
    known, passed = declared(notebook), dict(notebook.metadata.get("papermill", {}).get("parameters", {}))
    said = [line for name, value in passed.items() if name not in OWN for line in _problems(known, name, value)]
    if said:
        takes = ", ".join(str(p) for p in known.values()) or "no parameters"
        raise ParameterError("\n".join([*said, f"This notebook takes {takes}."]))
    if "site" in known:
        _check_site(passed.get("site", ast.literal_eval(known["site"].default)))


def _problems(known: Mapping[str, Parameter], name: str, value: object) -> list[str]:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        return [f"{name}: no such parameter" + (f"; did you mean {near[0]}?" if near else "")]
    problem = known[name].problem(value)
    return [f"{name}: {problem}"] if problem else []


def _check_site(site: Any) -> None:
    """Also teaches this process the site's secrets, so that what it writes is masked."""
    try:
        params.load(site)
    except RunbookError as error:
        raise ParameterError(str(error)) from None
