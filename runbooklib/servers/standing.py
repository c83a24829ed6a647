"""Which way each domain's mail leaves today, as every mail server tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from runbooklib.results import Shown, Table
from runbooklib.servers.retired import Retired

S = TypeVar("S")


@dataclass(frozen=True)
class Standing(Shown, Generic[S]):
    """Which way mail leaves today, the state that says so, and what waits in the queue."""

    state: S
    current: Mapping[str, str]  # domain -> next hop; empty: directly
    null: str = ""  # the next hop of mail without a sender, direct or postmaster
    queued: tuple[Queued, ...] = ()
    there: bool = True  # whether a mail server stands at all

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        nowhere = "directly" if self.there else "nowhere: no mail server yet"
        rows: list[tuple[str, ...]] = [(domain, hop or nowhere) for domain, hop in self.current.items()]
        rows += [("mail without a sender", self.null)] if self.there else []
        rows += [(f"queued: {q.sender or '<>'}", q.reason or "on its way") for q in self.queued]
        return "routes today", ("domain", "leaves by"), rows

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


@dataclass(frozen=True)
class Queued:
    """A message that waits in the queue."""

    sender: str
    arrived: datetime
    reason: str  # why it was not delivered yet, in Postfix's words


def over(entry: Retired, queued: Iterable[Queued], now: datetime) -> bool:
    """Whether nothing needs it any more: its time has passed, and no mail of then is in the queue."""
    waits = any(q.arrived < entry.since and q.sender.endswith(f"@{entry.domain}") for q in queued)
    return entry.due(now) and not waits
