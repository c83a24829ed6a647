"""What a fault is: how it comes about by real means, how it is taken back exactly, and what should be said of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.scene import Scene

Break = Callable[[Scene], Any]  # gives what mending needs to know, as JSON holds it
Mend = Callable[[Scene, Any], None]
Act = Callable[[Scene], object]


@dataclass(frozen=True)
class Fault:
    """One thing wrong in the testbed."""

    id: str
    what: str  # one sentence, as an administrator would tell it afterwards
    cause: str  # the id of the rule that should be named first
    symptom: Symptom
    injure: Break
    mend: Mend
    meet: Act | None = None  # mail that meets the fault, for what shows in queue and log alone; sent again once mended
