"""Many findings as few rows: what passes is one row, each thing that does not stands alone."""

from __future__ import annotations

from collections.abc import Iterable

from runbooklib.results import Check, Status, passed


def folded(name: str, expected: str, found: Iterable[Check], ref: str = "") -> list[Check]:
    """The rows that do not pass, after one that names what does; nothing where nothing was looked at."""
    rows = list(found)
    good = [row.observed for row in rows if row.status is Status.PASS]
    rest = [row for row in rows if row.status is not Status.PASS]
    return [passed(name, expected, "; ".join(good), ref)] * bool(good) + rest
