"""From a params file to the site: read, checked all at once, every problem with its path and no secret repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from runbooklib import masking
from runbooklib.credentials import Secret, learn_quietly
from runbooklib.params.site import Site
from runbooklib.places import locate
from runbooklib.results import RunbookError

UNKNOWN_KEY = "is not a known key here"


class ParamsError(RunbookError):
    """Everything wrong in a params file; `problems` holds (path, what was expected and seen) pairs."""

    def __init__(self, source: str, problems: list[tuple[str, str]]) -> None:
        self.source, self.problems = source, problems
        lines = [f"  {path}: {said}" if path else f"  {said}" for path, said in problems]
        super().__init__("\n".join([f"{source}: {len(problems)} problem{'s'[: len(problems) != 1]}", *lines]))


def load(site: Site | Mapping[str, Any] | str | Path) -> Site:
    """The site from a params file's path, from what is in one, or from itself; its secrets are masked from here on.

    Raises ParamsError with every problem.
    """
    if isinstance(site, Site):
        return site
    loaded = _checked(site, "site") if isinstance(site, Mapping) else _checked(read(site), str(site))
    learn_quietly(_secrets(loaded))
    masking.install()
    return loaded


def _secrets(node: object) -> Iterator[Secret]:
    if isinstance(node, Secret):
        yield node
    elif isinstance(node, BaseModel):
        yield from _secrets(list(node.__dict__.values()))
    elif isinstance(node, Mapping):
        yield from _secrets(list(node.values()))
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _secrets(part)


def read(path: str | Path) -> Mapping[str, Any]:
    """What stands under `site` in a params file, unchecked.

    Raises ParamsError when it cannot be read, is no YAML or has another top level.
    """
    try:
        given = yaml.safe_load(locate(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(str(path), [("", f"cannot be read: {error.strerror}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(str(path), [("", f"is not YAML: {_where(error)}")]) from None
    if not isinstance(given, Mapping) or set(given) != {"site"} or not isinstance(given["site"], Mapping):
        raise ParamsError(str(path), [("", "expected one top-level key, site, with a mapping under it")])
    found: Mapping[str, Any] = given["site"]
    return found


def _where(error: Exception) -> str:
    """The place without the text there: it may be a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _checked(given: Mapping[str, Any], source: str) -> Site:
    try:
        return Site.model_validate(given)
    except ValidationError as error:
        raise ParamsError(source, [_problem(e) for e in _causes(error.errors(include_url=False))]) from None


def _causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too few items" where the items are there and wrong: pydantic counts only the valid ones."""
    deeper = {e["loc"][: len(e["loc"]) - n] for e in errors for n in range(1, len(e["loc"]))}
    missing = {e["msg"]: e["loc"] for e in reversed(errors) if e["type"] == "testbed"}  # one testbed, one complaint
    return [
        e
        for e in errors
        if (e["type"] != "too_short" or e["loc"] not in deeper) and missing.get(e["msg"], e["loc"]) == e["loc"]
    ]


def problems(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything wrong in what stands under `site`: (path, what was expected and seen) pairs."""
    try:
        _checked(given, "site")
    except ParamsError as error:
        return error.problems
    return []


def _problem(error: ErrorDetails) -> tuple[str, str]:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    if error["type"] == "extra_forbidden":
        return path, UNKNOWN_KEY
    seen = error.get("input")
    # Only what cannot be a secret is repeated: short plain words and numbers where no secret is expected.
    shown = (
        error["type"] not in {"literal_secret", "site", "testbed"}
        and isinstance(seen, str | int | float)
        and seen != ""
    )
    message = error["msg"][0].lower() + error["msg"][1:]
    return path, f"{message}; saw {seen!r}" if shown and "saw" not in message and "read" not in message else message
