"""What stands against what is wanted, by meaning: one rule a kind of record, and the words they answer in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runbooklib.answers import Answer
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status


@dataclass(frozen=True)
class Comparison:
    """What a rule says of an rrset; `values` is the whole rrset as it should be, None: leave it alone."""

    status: Status
    said: str
    values: tuple[str, ...] | None = None
    fix: str = ""
    refusal: str = ""  # why no plan may touch it
    whole: bool = False  # what comes takes the place of all that goes, be it fewer values

    @property
    def good(self) -> bool:
        """Whether it stands as wanted, be it with a warning."""
        return self.status in {Status.PASS, Status.WARN}


def right(said: str) -> Comparison:
    """It stands as wanted."""
    return Comparison(Status.PASS, said)


def missing(wanted: Wanted, answer: Answer) -> Comparison:
    """Nothing of it stands: it is added beside whatever else does."""
    return Comparison(Status.FAIL, str(answer.word), answer.values + wanted.values)


def bare(value: str) -> str:
    """A TXT value without the quotation marks that a panel took for a part of it."""
    return "".join(value.replace("\\", "").replace('"', "").split("\n")).strip()


def quoted(answer: Answer, claims: Callable[[str], bool]) -> Comparison | None:
    """What to do about a record that a panel wrapped in quotation marks of its own; `claims` knows one of the kind."""
    wrapped = next((v for v in answer.values if not claims(v) and claims(bare(v))), "")
    if not wrapped:
        return None
    fix = f"enter it without quotation marks, the panel adds them by itself: {bare(wrapped)}"
    return Comparison(Status.FAIL, f"quotation marks stand inside the record: {wrapped}", fix=fix)
