"""Small notebooks with our metadata, written where a test wants them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

PARAMETERS = """\
site: "Union[dict, str]" = "params/site.yaml"  # the site: a params file, or what is in one
apply: bool = False  # False shows the plan and changes nothing
wait: int = 900  # seconds to wait for resolvers to see a change"""
LOAD = "from runbooklib.params import load\nsite = load(site)"
CANARIES = {
    "HI_PASSWORD": "ca$na\"ry one's %41 sécret",
    "OFFICE_SMTP": "p@ss word/with+every=%thing'\"$HOME\\n",
}
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class Project:
    """A project's folder with params/ and notebooks/, and a temporary folder of its own."""

    root: Path
    temporary: Path = field(init=False)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "temporary", self.root / "t")
        for name in ("params", "notebooks", "t"):
            (self.root / name).mkdir()
        (self.root / "pyproject.toml").touch()

    @property
    def params(self) -> Path:
        """The site's params file."""
        return self.root / "params" / "site.yaml"

    def book(self, name: str, cells: Mapping[str, str], meta: dict[str, Any] | None = None) -> Path:
        """A notebook with the three parameters and these code cells; `meta` is its runbook metadata."""
        parameters = nbformat.v4.new_code_cell(PARAMETERS, id="parameters", metadata={"tags": ["parameters"]})
        code = [nbformat.v4.new_code_cell(source, id=name) for name, source in cells.items()]
        runbook = {} if meta is None else {"runbook": meta}
        notebook = nbformat.v4.new_notebook(cells=[parameters, *code], metadata={"kernelspec": KERNELSPEC, **runbook})
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    def stage(self, name: str, cells: Mapping[str, str], after: Sequence[str] = ()) -> Path:
        """A stage's notebook, e.g. 04-dns."""
        return self.book(name, cells, {"stage": name.partition("-")[2], "after": list(after), "changes": True})

    def command(self, *arguments: str) -> list[str]:
        """A command of the environment the tests run in."""
        return [str(Path(sys.executable).with_name(arguments[0])), *arguments[1:]]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command in the project's folder."""
        environment = {**os.environ, "TMPDIR": str(self.temporary), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        environment.pop("PYTEST_CURRENT_TEST", None)  # ipykernel would not catch what child processes print
        process = subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """Ends what a failed test left running."""
        for process in self.started:
            if process.returncode is None:
                process.kill()
                process.communicate()

    def run(self, *arguments: str) -> tuple[int, str]:
        """Runs a command to its end: exit status and what it said."""
        process = self.start(*arguments)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    def sockets(self) -> list[Path]:
        """What kernels left in the temporary folder."""
        return sorted(self.temporary.glob("runbook-*/*"))


def until(true: Callable[[], Any], seconds: float = 60) -> Any:
    """What `true` answers as soon as it answers something; fails after some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = true()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not so after {seconds} s")
