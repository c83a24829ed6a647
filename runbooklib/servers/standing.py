"""Which way each domain's mail leaves today, as every mail server tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from runbooklib.params import Relay, Site
from runbooklib.results import Shown, Table
from runbooklib.servers.nexthops import Routes
from runbooklib.servers.retired import RELAY, Retired

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


def remembered(
    site: Site, before: Iterable[Retired], staying: Mapping[str, str], leaving: Iterable[Retired]
) -> tuple[Retired, ...]:
    """What was retired before and is not in use again, and what is being left now."""
    in_use = {(d.name, d.relay) for d in site.domains if d.name not in staying}
    entries = {e.key: e for e in leaving if e.domain not in staying}
    entries |= {e.key: e for e in before}
    return tuple(e for e in entries.values() if e.kind != RELAY or (e.domain, e.relay) not in in_use)


def in_play(site: Site, queued: Iterable[Queued], routes: Routes, entries: Iterable[Retired]) -> dict[str, Relay]:
    """The relays that need a policy and a login: those of a route, and those retired that something may still need.

    By name: in another order they would be another text, and a change for nothing.
    """
    named, waiting = {route.by for route in (*routes.each, routes.rest)}, [*queued]
    now = datetime.now(UTC)
    named |= {e.relay for e in entries if e.kind == RELAY and not over(e, waiting, now)}
    return {name: relay for name, relay in sorted(site.relays.items()) if name in named}
