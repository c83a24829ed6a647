"""`runbook diagnose`: a site asked now, evidence saved earlier, or what somebody pasted, told in causes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooklib import diagnosis, params, places, probes
from runbooklib.diagnosis import Evidence, Fact, bundle
from runbooklib.diagnosis.hearing import FACT, head
from runbooklib.diagnosis.pasted import READ, pasted
from runbooklib.params import ParamsError
from runbooklib.results import Checklist, RunbookError

STDIN = "-"


class NothingToDiagnoseError(RunbookError):
    """Neither a site nor evidence nor anything pasted was given, or it cannot be read."""


@dataclass(frozen=True)
class Diagnosis:
    """What was found, and in what."""

    symptom: str
    evidence: Evidence
    found: Checklist
    saved: str = ""  # where the evidence was written

    @property
    def blocked(self) -> bool:
        """Whether a gate would stand closed."""
        return any(check.blocks for check in self.found)

    def __str__(self) -> str:
        """The table, and where the evidence is."""
        return f"{self.found}\n\nevidence: {self.saved}" if self.saved else str(self.found)

    def data(self) -> dict[str, Any]:
        """For scripts: which site it is about, and the checks."""
        about = {"site": self.evidence.site["name"], "taken": self.evidence.taken, "symptom": self.symptom}
        return {**about, "saved": self.saved, "status": self.found.status, "checks": self.found.data()["checks"]}


def diagnose(source: str, paste: str, symptom: str, save: str, budget: float) -> Diagnosis:
    """The causes in a site or a bundle, and in a file that was pasted; either may be left out.

    Raises NothingToDiagnoseError, ParamsError or BundleError.
    """
    if not source and not paste:
        raise NothingToDiagnoseError("name a params file or an evidence bundle, or give --pasted FILE")
    evidence = _with_paste(source, paste, budget)
    found = diagnosis.diagnose(evidence, symptom=symptom)
    return Diagnosis(symptom, evidence, found, str(bundle.write(evidence, save)) if save else "")


def _with_paste(source: str, paste: str, budget: float) -> Evidence:
    fact = Fact(pasted(_text(paste))) if paste else None  # first, so that a file that is not there costs no time
    if not source:
        return Evidence.alone(FACT, fact or Fact())
    evidence = observed(source, budget)
    return evidence.also(FACT, fact) if fact else evidence


def observed(source: str, budget: float) -> Evidence:
    """The evidence of a params file's site, gathered now, or that of a bundle; their content tells which it is."""
    path = places.locate(source)
    if bundle.is_bundle(path):
        return bundle.read(path, budget)
    try:
        site = params.load(source)
    except ParamsError as error:
        raise ParamsError(f"{source} (which is no evidence bundle either)", error.problems) from None
    return probes.gather(site, budget=budget)


def _text(paste: str) -> str:
    try:
        return sys.stdin.buffer.read(READ).decode(errors="replace") if paste == STDIN else head(Path(paste))
    except OSError as error:
        raise NothingToDiagnoseError(f"{paste}: {error.strerror}") from None
