"""Checklists told one after the other as they come: as tables, as one line each, as JSON lines, as CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from runbooklib.results import Check, Checklist, Status

CHUNK = 2000  # rows of CSV written at once
COLUMNS = ("domain", "check", "about", "status", "expected", "observed", "fix", "ref")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet computes a cell that begins so


class Teller(Protocol):
    """Takes one checklist at a time; `end` writes what is left."""

    def tell(self, found: Checklist) -> None: ...

    def end(self) -> None: ...


@dataclass
class Tables:
    """Every check, a table for each checklist, failures on top."""

    out: TextIO

    def tell(self, found: Checklist) -> None:
        self.out.write(f"{found}\n\n")
        self.out.flush()

    def end(self) -> None:
        """Nothing is left."""


@dataclass
class Lines:
    """One line a checklist: its status, its title, and the checks that did not pass."""

    out: TextIO

    def tell(self, found: Checklist) -> None:
        said = "; ".join(filter(None, (_ids(found, status) for status in Status if status is not Status.PASS)))
        self.out.write(f"{found.status:<8} {found.title:<32} {said}".rstrip() + "\n")
        self.out.flush()

    def end(self) -> None:
        """Nothing is left."""


def _ids(found: Checklist, status: Status) -> str:
    ids = dict.fromkeys(_identity(c)[0] for c in found if c.status is status)
    return f"{status}: {', '.join(ids)}" if ids else ""


@dataclass
class JsonLines:
    """One JSON object a line and checklist."""

    out: TextIO

    def tell(self, found: Checklist) -> None:
        said = {"domain": found.title, "status": found.status, "checks": found.data()["checks"]}
        self.out.write(json.dumps(said, ensure_ascii=False) + "\n")
        self.out.flush()

    def end(self) -> None:
        """Nothing is left."""


@dataclass
class Csv:
    """One row a check, written by pandas some thousands at a time."""

    out: TextIO
    chunk: int = CHUNK
    rows: list[tuple[str, ...]] = field(default_factory=list)
    begun: bool = False

    def tell(self, found: Checklist) -> None:
        self.rows += [_row(found.title, c) for c in found]
        if len(self.rows) >= self.chunk:
            self._write()

    def end(self) -> None:
        self._write()

    def _write(self) -> None:
        import pandas as pd  # noqa: PLC0415 - half a second that the other forms need not spend

        frame = pd.DataFrame(self.rows, columns=list(COLUMNS))
        frame.to_csv(self.out, index=False, header=not self.begun, lineterminator="\n")
        self.rows, self.begun = [], True


def _row(title: str, check: Check) -> tuple[str, ...]:
    said = (title, *_identity(check), str(check.status), check.expected, check.observed, check.fix, check.ref)
    return tuple(f"'{cell}" if cell.startswith(FORMULA) else cell for cell in said)  # what a stranger published


def _identity(check: Check) -> tuple[str, str]:
    """The id of the catalogue, and the name it is about."""
    id_, _, about = check.name.partition(" ")
    return id_, about


@dataclass
class Tally:
    """What came of all, counted."""

    statuses: Counter[Status] = field(default_factory=Counter)
    blocked: bool = False  # a check failed, or something that mail depends on could not be told

    def add(self, found: Checklist) -> None:
        self.statuses[found.status] += 1
        self.blocked |= any(c.blocks for c in found)

    def __str__(self) -> str:
        counted = (f"{self.statuses[status]} {status}" for status in Status if self.statuses[status])
        return f"{self.statuses.total()} audited: {', '.join(counted) or 'none'}"


async def told(looks: Iterable[AsyncIterator[Checklist]], to: Teller) -> Tally:
    """What came of all that was told."""
    tally = Tally()
    for look in looks:
        async for found in look:
            tally.add(found)
            to.tell(found)
    to.end()
    return tally


def teller(form: str, out: TextIO, *, summary: bool) -> Teller:
    """The one for a form: table, json or csv."""
    makers: dict[str, Any] = {"table": Lines if summary else Tables, "json": JsonLines, "csv": Csv}
    made: Teller = makers[form](out)
    return made
