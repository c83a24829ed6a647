"""What somebody pasted, taken into the evidence: as text, or as the path of a file that holds it."""

from __future__ import annotations

from pathlib import Path

from runbooklib.diagnosis.evidence import Evidence, Fact
from runbooklib.diagnosis.pasted import READ, pasted

FACT = "pasted"
LONGEST_PATH = 400  # characters; what is longer is text


def heard(evidence: Evidence, paste: str) -> Evidence:
    """The evidence with what was pasted beside it; the same where nothing was."""
    return evidence.also(FACT, Fact(pasted(_text(paste)))) if paste.strip() else evidence


def _text(paste: str) -> str:
    """What was pasted, or what stands in the file of that name."""
    path = Path(paste.strip()).expanduser()
    named = "\n" not in paste.strip() and len(paste) < LONGEST_PATH and path.is_file()
    return head(path) if named else paste


def head(path: Path) -> str:
    """As much of a file as is read of what was pasted.

    Raises OSError.
    """
    with path.open("rb") as file:
        return file.read(READ).decode(errors="replace")
