"""Rows that say the same of many messages become one, so that what differs can be seen.

Pure: a run sends many forms of one message by several ports; of those that pass the same check one row is enough. Of
those that do not, only what is wrong in the same words stands together, under the full name of the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from runbooklib.delivery.messages import Letter
from runbooklib.results import Check, Status

Row = tuple[Letter, Check]

OWN = re.compile(r"\bqueued as \S+|\bid[ =]\S+|<[^<>\s]+@[^<>\s]+>", re.IGNORECASE)  # differs from message to message
SECONDS = re.compile(r"\bafter (\d+\.\d+) s\b")
TIMES = re.compile(r"\b\d+(?:\.\d+)? s\b")
SHOWN = 3  # of what is said differently


def fold(rows: Iterable[Row]) -> list[Check]:
    """Each group of rows that say the same as one, in the order in which they first appear."""
    groups: dict[tuple[Status, str, str], list[Row]] = {}
    for letter, check in rows:
        told = "" if check.status is Status.PASS else _plain(check.observed)
        groups.setdefault((check.status, _shared(letter, check), told), []).append((letter, check))
    taken = {check.name for group in groups.values() for _, check in group if check.status is not Status.PASS}
    return [_one(name, group, taken) if len(group) > 1 else group[0][1] for (_, name, _), group in groups.items()]


def _shared(letter: Letter, check: Check) -> str:
    """The row's name without what tells this message from its like."""
    return check.name.replace(letter.name, letter.subject, 1)


def _one(name: str, group: Sequence[Row], taken: set[str]) -> Check:
    """The plain message's row stands for all that pass; where that one does not, it has the name."""
    first = next((check for letter, check in group if letter.name == letter.subject), group[0][1])
    free = first.status is Status.PASS and name not in taken
    said = _said([check.observed for _, check in group], first.observed)
    return replace(first, name=name if free else first.name, observed=f"{len(group)} messages: {said}")


def _said(observed: Sequence[str], first: str) -> str:
    """What all say; how long the slowest took, and what some say otherwise."""
    seconds = [float(found[1]) for text in observed if (found := SECONDS.search(text))]
    slowest = f", the slowest after {max(seconds):.1f} s" if seconds and max(seconds) > min(seconds) else ""
    alike = {_plain(text): text for text in reversed(observed)}
    others = [text for plain, text in sorted(alike.items()) if plain != _plain(first)]
    also = [f"; also {text}" for text in others[: SHOWN - 1]] + ["; and others"] * (len(others) >= SHOWN)
    return first + slowest + "".join(also)


def _plain(text: str) -> str:
    """What is said without what every message has for itself."""
    return TIMES.sub("", OWN.sub("", text))
