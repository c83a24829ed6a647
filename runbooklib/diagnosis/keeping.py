"""The evidence of a run, kept beside its notebooks."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooklib.diagnosis import bundle
from runbooklib.diagnosis.bundle import BundleError
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.results import Shown, Table

FOLDER = "RUNBOOK_FOLDER"  # in the environment of a run's kernels: where it is archived
NO_RUN = "not kept: no run goes on; `runbook diagnose PARAMS --save FILE` keeps it"
REDACTED = "redacted: people, subjects, message ids and strangers' addresses are pseudonyms or taken out"


@dataclass(frozen=True)
class Kept(Shown):
    """Where the evidence was put; `file` is empty where it was not."""

    file: str
    said: str

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return Table.of("evidence bundle", {self.file or "no file": self.said}).parts()

    def data(self) -> dict[str, Any]:
        return {"kind": "file", "title": "evidence", "file": self.file, "said": self.said}


def keep(evidence: Evidence) -> Kept:
    """Writes the evidence, redacted, into the folder of the run that goes on; what was kept before stays."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return Kept("", NO_RUN)
    try:
        path = bundle.write(evidence, _free(Path(folder)))
    except BundleError as error:
        return Kept("", f"not kept: {error}")
    return Kept(path.name, f"{len(evidence.facts)} facts, {path.stat().st_size / 1024:.0f} KiB, {REDACTED}")


def _free(folder: Path) -> Path:
    """evidence.jsonl, or the first evidence.N.jsonl that an earlier walk has not written."""
    names = itertools.chain(["evidence.jsonl"], (f"evidence.{n}.jsonl" for n in itertools.count(2)))
    return next(folder / name for name in names if not (folder / name).exists())
