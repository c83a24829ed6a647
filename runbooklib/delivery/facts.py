"""A fact about a relay, seen on the messages that arrived, with its verdict."""

from __future__ import annotations

from dataclasses import dataclass

from runbooklib.delivery.sightings import Sighting
from runbooklib.results import Check, Status


@dataclass(frozen=True)
class Fact:
    """One thing seen, against what DNS and params say; `where` is the record or parameter to change."""

    about: str  # relay and domain
    what: str
    seen: str
    told: str = ""
    check: Check | None = None
    where: str = ""
    old: str = ""
    new: str = ""


def judged(sighting: Sighting, what: str, status: Status, expected: str, said: str, fix: str, ref: str = "") -> Check:
    """A row about a relay and a domain."""
    name = f"relay.truth.{what} {sighting.about}"
    return Check(name, status, expected, said, "" if status is Status.PASS else fix, ref)
