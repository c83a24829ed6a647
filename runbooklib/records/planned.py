"""A change to one rrset, and the plan they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runbooklib.answers import Answer
from runbooklib.records.texts import unquoted
from runbooklib.results import Change, Checklist, Outcome, Plan

# A name before what points at it.
STEPS = (
    *("address", "mx", "null-mx", "spf", "dkim", "dmarc", "report", "ownership", "alias", "service", "tlsa"),
    *("caa", "mta-sts", "tls-rpt"),
)


@dataclass(frozen=True)
class RecordChange(Change):
    """Some values of one rrset; `stands` is all of it as it was seen, in zone file form, for the prerequisite."""

    name: str = ""
    type: str = ""
    zone: str = ""
    ttl: int = 0
    removed: tuple[str, ...] = ()  # zone file form
    added: tuple[str, ...] = ()
    stands: tuple[str, ...] = ()
    retired: bool = False  # nothing uses what is removed any more, so nothing has to take its place
    whole: bool = False  # what is added takes the place of all that is removed, be it fewer values
    stood_ttl: int = 0  # of what was answered, be it by a wildcard; 0 where nothing was

    def shown_by(self, answer: Answer) -> bool:
        """Whether an answer holds what is added, and nothing of what is removed."""
        there = {*answer.values, *answer.chain[:1]}
        return there >= set(self.added) and not set(answer.raw) & set(self.removed)

    @property
    def texts_before(self) -> tuple[str, ...]:
        """The TXT values that stand."""
        return tuple(map(unquoted, self.stands)) if self.type == "TXT" else ()

    @property
    def texts_after(self) -> tuple[str, ...]:
        """The TXT values that will stand."""
        if self.type != "TXT":
            return ()
        return (*(unquoted(raw) for raw in self.stands if raw not in self.removed), *self.added)


@dataclass(frozen=True)
class RecordOutcome(Outcome):
    """What became of a plan for DNS; the serial of each zone before and after, where whoever took it says so."""

    serials: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    at: datetime | None = None  # when the last of it was published


@dataclass(frozen=True)
class RecordPlan(Plan):
    """A plan for DNS, with what the new host answered where its MX takes over another's."""

    reception: Checklist = field(default=Checklist("reception"))


def zone_lines(name: str, kind: str, ttl: int, raw: Iterable[str]) -> str:
    """An rrset as a zone file writes it (RFC 1035 5.1)."""
    return "\n".join(f"{name}. {ttl} IN {kind} {text}" for text in raw)
