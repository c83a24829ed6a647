"""Where things are: the project's root, relative paths, and what a running testbed wrote down."""

from __future__ import annotations

import json
import os
from functools import reduce
from pathlib import Path
from typing import Any

from runbooklib.results import RunbookError

TESTBED_PREFIX = "testbed:"


class TestbedMissingError(RunbookError):
    """A params file asks the testbed for a value, and no testbed is up (or it does not know the key)."""

    __test__ = False  # pytest collects by name


def project_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that has pyproject.toml and params/, else the current folder."""
    here = (start or Path.cwd()).resolve()
    roots = (p for p in (here, *here.parents) if (p / "pyproject.toml").is_file() and (p / "params").is_dir())
    return next(roots, here)


def locate(path: str | Path) -> Path:
    """A path as a person means it: `~` expanded, looked up from here, then from the project's root."""
    wanted = Path(path).expanduser()
    if wanted.is_absolute() or wanted.exists():
        return wanted
    return project_root() / wanted


def testbed_folder(root: Path) -> Path:
    """The folder of a checkout's testbed; RUNBOOK_TESTBED names another place."""
    named = os.environ.get("RUNBOOK_TESTBED")
    return Path(named) if named else root / ".testbed"


def testbed_state() -> dict[str, Any]:
    """What the running testbed wrote down.

    Raises TestbedMissingError when none is up.
    """
    path = testbed_folder(project_root()) / "state.json"
    try:
        state: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise TestbedMissingError(
            f"a value testbed:… needs a running testbed, and {path} does not exist: run `runbook testbed up`"
        ) from None
    return state


def testbed_value(reference: str) -> str:
    """The value of `testbed:KEY`, KEY being a dotted path into the testbed's state."""
    key = reference.removeprefix(TESTBED_PREFIX)
    try:
        found = reduce(lambda node, part: node[part], key.split("."), testbed_state())
    except (KeyError, TypeError):
        raise TestbedMissingError(f"the running testbed has no value {key!r}: run `runbook testbed up` again") from None
    return str(found)
