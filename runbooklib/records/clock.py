"""The visibility clock: until when resolvers may still answer what stood before a change.

A cache keeps an rrset for its TTL (RFC 1034 3.6) and an absence for the smaller of SOA minimum and SOA TTL (RFC 2308
5), both from the moment it asked. A secondary may give the old data until it has fetched the zone, at the latest after
the SOA's refresh (RFC 1035 3.3.13); most are told at once (RFC 1996).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runbooklib.answers import Answer, readable
from runbooklib.records.observed import Observed
from runbooklib.records.planned import RecordChange, RecordOutcome
from runbooklib.results import Outcome, Shown, Table

REFRESH, MINIMUM = 3, 6  # fields of an SOA record's text
HALF = 2**31  # serials further apart than this have wrapped around (RFC 1982 3.2)


@dataclass(frozen=True)
class Span:
    """How long one server's old answer to one question may live on."""

    name: str
    type: str
    server: str
    held: int  # seconds a cache may keep it
    lag: int  # seconds until the server itself has let go of it; 0: it has
    since: datetime | None  # when it was last seen, or published over; None: the change is not made yet
    why: str

    @property
    def until(self) -> datetime | None:
        """When the last cache has forgotten it."""
        return self.since + timedelta(seconds=self.held + self.lag) if self.since else None

    @property
    def shown(self) -> str:
        """The moment, or how long after the change."""
        return stamp(self.until) if self.until else f"{duration(self.held + self.lag)} after it is published"


@dataclass(frozen=True)
class Visibility(Shown):
    """The clock of each record that changes; empty is falsy."""

    spans: tuple[Span, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def until(self, name: str, kind: str) -> datetime | None:
        """When nobody can see the old data of an rrset any more; None where it did not change."""
        moments = (s.until for s in self.spans if (s.name, s.type) == (name, kind))
        return max(filter(None, moments), default=None)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows = [(readable(s.name), s.type, s.server, s.shown, s.why) for s in self.spans]
        return (
            "how long the old data may be seen",
            ("name", "type", "server", "old data may be seen until", "why"),
            rows,
        )

    def __str__(self) -> str:
        return super().__str__() if self else "nothing changes: there is no old data"

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def visibility(seen: Observed, outcome: Outcome | None = None) -> Visibility:
    """Until when each change of an outcome, by default the one `seen` came after, may go unnoticed at each server."""
    outcome = seen.after if outcome is None else outcome  # one that was only shown is falsy
    if outcome is None:
        return Visibility()
    changes = outcome.done if outcome.applied else outcome.plan.changes
    return Visibility(tuple(s for c in changes if isinstance(c, RecordChange) for s in _spans(c, seen, outcome)))


def _spans(change: RecordChange, seen: Observed, outcome: Outcome) -> Iterator[Span]:
    soas = [a for a in seen.soas if a.question.name == change.zone and a.values]
    looked = outcome.applied and seen.after is outcome  # what was seen before tells nothing of who has the change
    for soa in soas:
        fields = soa.values[0].split()
        held, what = _held(change, soa, fields)
        behind = _behind(soa, soas, _published(change.zone, outcome)) if looked else len(soas) > 1
        lag = int(fields[REFRESH]) if behind else 0
        late = f"; up to SOA refresh {lag} until a secondary fetches the zone" if lag else ""
        since = _since(seen, outcome, soa) if behind or not looked else soa.at
        yield Span(change.name, change.type, soa.server, held, lag, since if outcome.applied else None, what + late)


def _behind(soa: Answer, soas: Sequence[Answer], published: int) -> bool:
    """Whether a server has an older copy than another one, or than what was published."""
    serial = _serial(soa)
    return serial != newest_serial(soas) or bool(published and newer(published, serial))


def _published(zone: str, outcome: Outcome) -> int:
    """The serial under which a zone was published; 0 where nobody said it."""
    return outcome.serials.get(zone, (0, 0))[1] if isinstance(outcome, RecordOutcome) else 0


def _since(seen: Observed, outcome: Outcome, soa: Answer) -> datetime:
    """When an outcome was published, at the latest."""
    return (outcome.at if isinstance(outcome, RecordOutcome) else None) or seen.since or soa.at


def _held(change: RecordChange, soa: Answer, fields: Sequence[str]) -> tuple[int, str]:
    """How long a cache may keep what the change replaces, and why."""
    if change.stands:
        ttl = change.stood_ttl or change.ttl
        return ttl, f"TTL {ttl} of what stood"
    if change.stood_ttl:
        return change.stood_ttl, f"TTL {change.stood_ttl} of what a wildcard said here"
    held = min(soa.ttl, int(fields[MINIMUM]))
    return held, f"nothing stood: an absence is kept for {held}, the smaller of SOA minimum and SOA TTL"


def lagging(name: str, seen: Observed) -> datetime | None:
    """By when the servers asked must have what was published elsewhere; None where one has it, or had to."""
    zone, after = seen.zone_of(name), seen.after
    soas = [a for a in seen.soas if a.question.name == zone and a.values]
    if not isinstance(after, RecordOutcome) or not after.done or not soas:
        return None
    serial = _published(zone, after)
    if serial and not all(newer(serial, _serial(soa)) for soa in soas):
        return None
    refresh = max(int(soa.values[0].split()[REFRESH]) for soa in soas)
    return _since(seen, after, soas[0]) + timedelta(seconds=refresh)


def newest_serial(soas: Iterable[Answer]) -> int | None:
    """The serial that comes after all others (RFC 1982 3.2); None where nobody said one."""
    newest: int | None = None
    for serial in (_serial(soa) for soa in soas if soa.values):
        newest = serial if newest is None or newer(serial, newest) else newest
    return newest


def _serial(soa: Answer) -> int:
    return int(soa.values[0].split()[2])


def newer(serial: int, other: int) -> bool:
    """Whether one serial comes after another; they wrap around (RFC 1982 3.2)."""
    return 0 < (serial - other) % 2**32 < HALF


def stamp(moment: datetime) -> str:
    """UTC, to the second; with the day where it is another than today's."""
    today = datetime.now(moment.tzinfo).date()
    return f"{moment:%H:%M:%SZ}" if moment.date() == today else f"{moment:%F %H:%M:%SZ}"


def duration(seconds: int) -> str:
    """Seconds in the largest unit that keeps them whole."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size and seconds % size == 0:
            count = seconds // size
            return f"{count} {unit if count > 1 else unit[:-1]}"
    return f"{seconds} seconds"
