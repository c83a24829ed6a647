"""The way each message took, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbooklib import eml
from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.messages import alike
from runbooklib.eml.hops import Step, Timeline, timeline
from runbooklib.results import Table


def path(arrived: Arrived) -> Table:
    """The ways that messages took, hop by hop, as the receiving hosts wrote them down.

    Of messages about the same the slowest stands for all that passed the same hosts.
    """
    columns = ("message", "hop", "from", "address", "by", "with", "time", "seconds")
    ways = [_Way(parcel, copy, timed(parcel, copy)) for parcel in arrived for copy in parcel.copies]
    groups = alike(ways, lambda way: (way.parcel.letter.subject, way.copy.kind, way.hosts))
    rows = [row for group in groups for row in _steps(max(group, key=lambda way: way.seconds), len(group))]
    return Table("the way hop by hop", columns, tuple(rows))


@dataclass(frozen=True)
class _Way:
    parcel: Parcel
    copy: Copy
    timeline: Timeline

    @property
    def hosts(self) -> tuple[str, ...]:
        return tuple(step.hop.by for step in self.timeline)

    @property
    def seconds(self) -> float:
        return self.parcel.after(self.copy)


def timed(parcel: Parcel, copy: Copy) -> Timeline:
    """A copy's hops between the moment we handed it over and the moment it was there."""
    handed = parcel.answer if copy.kind == "answer" else parcel.handed
    ours = copy.kind in {"message", "answer"} and handed is not None and bool(handed.at)
    began, seen = (handed.at, parcel.came(copy)) if ours and handed else (None, None)
    return timeline(eml.read(copy.raw).hops, began, seen)


def _steps(way: _Way, number: int) -> Iterator[tuple[str, ...]]:
    name = f"{way.parcel.letter.name} ({way.copy.kind})" + f", the slowest of {number}" * (number > 1)
    for i, step in enumerate(way.timeline, 1):
        hop = step.hop
        clock = f"{hop.time:%H:%M:%S}" if hop.time else ""
        with_ = " ".join(filter(None, (hop.protocol, hop.tls)))
        yield name, str(i), hop.said, hop.address, hop.by, with_, clock, _took(step)


def _took(step: Step) -> str:
    """The seconds since the hop before, and what is wrong with its clock."""
    seconds = "" if step.seconds is None else f"{step.seconds:.0f}"
    return "; ".join(filter(None, (seconds, step.told)))
