"""Publishing a plan: dynamic updates, a provider's API, or a table and zone-file text for those who type."""

from __future__ import annotations

import html
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runbooklib.params import Lexicon, Rfc2136, Site
from runbooklib.records import RecordChange, dangers
from runbooklib.records.planned import RecordOutcome
from runbooklib.results import Plan, Table, UnsafePlanError, table_html
from runbooklib.zone import lexicons
from runbooklib.zone.updates import ZoneError, rdata_text, send, zone_of


@dataclass(frozen=True)
class Published(RecordOutcome):
    """What became of the plan, the serial of each zone before and after, and what is left for a person to type."""

    by_hand: tuple[RecordChange, ...] = ()

    def __str__(self) -> str:
        said = [f"zone {z}: serial {old} → {new}" for z, (old, new) in self.serials.items()]
        if self.by_hand:
            return "\n\n".join([str(panel(self.by_hand)), "as zone file text:", zone_text(self.by_hand)])
        return "\n".join([super().__str__(), *said])

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        if not self.by_hand:
            said = "; ".join(f"zone {z}: serial {old} → {new}" for z, (old, new) in self.serials.items())
            return bundle | {"text/html": bundle["text/html"] + (f"<p>{html.escape(said)}</p>" if said else "")}
        text = f"<p>as zone file text:</p><pre>{html.escape(zone_text(self.by_hand))}</pre>"
        return bundle | {"text/html": table_html(*panel(self.by_hand).parts()) + text}


def publish(site: Site, plan: Plan, apply: bool = False) -> Published:
    """Publishes the plan when `apply` is true; an empty plan touches nothing.

    Raises UnsafePlanError, and ZoneError naming what is in and what is not.
    """
    changes = tuple(c for c in plan if isinstance(c, RecordChange))
    if apply and plan:
        plan.refuse_unsafe()
    if site.dns.publish == "by-hand":
        return Published(plan, by_hand=() if plan.refusals else changes)  # nobody shall copy what would do harm
    if not apply or not plan:
        return Published(plan, applied=apply)
    if reasons := dangers(changes):
        raise UnsafePlanError("this plan is not published:\n" + "\n".join(f"  - {r}" for r in reasons))
    if site.dns.publish == "lexicon" and site.dns.lexicon:
        return _through_api(site.dns.lexicon, plan, changes)
    if site.dns.rfc2136:
        return _updated(site.dns.rfc2136, plan, changes)
    raise AssertionError(site.dns.publish)  # params require the section of the way they name


def _through_api(target: Lexicon, plan: Plan, changes: tuple[RecordChange, ...]) -> Published:
    """One rrset after the other, in the plan's order."""
    done: list[RecordChange] = []
    for change in changes:
        try:
            lexicons.write(target, change)
        except ZoneError as error:
            raise type(error)(error.expected, error.saw, error.fix + _partly(done)) from None
        done.append(change)
    return Published(plan, tuple(done), applied=True, at=datetime.now(UTC))


def _updated(target: Rfc2136, plan: Plan, changes: tuple[RecordChange, ...]) -> Published:
    """One update a zone; each is whole or absent."""
    zones: dict[str, list[RecordChange]] = {}
    for change in changes:
        zones.setdefault(zone_of(target, change.name)[0], []).append(change)
    done: list[RecordChange] = []
    serials: dict[str, tuple[int, int]] = {}
    for zone, group in zones.items():
        try:
            before = zone_of(target, zone)[1]
            send(target, zone, group)
        except ZoneError as error:
            raise type(error)(error.expected, error.saw, error.fix + _partly(done)) from None
        done += group
        with suppress(ZoneError):  # what is written is written, whether or not the server says under which serial
            serials[zone] = before, zone_of(target, zone)[1]
    return Published(plan, tuple(done), applied=True, serials=serials, at=datetime.now(UTC))


def _partly(done: list[RecordChange]) -> str:
    return f"; already published: {', '.join(c.target for c in done)}" if done else ""


def panel(changes: tuple[RecordChange, ...]) -> Table:
    """What DNS panels ask for: some want the name relative to the zone, some want TXT quoted and cut."""
    columns = ("type", "name in the zone", "whole name", "TTL", "value", "value, quoted", "instead of")
    rows = [
        (c.type, relative(c), f"{c.name}.", str(c.ttl), new, rdata_text(c.type, new), c.before)
        for c in changes
        for new in c.added
    ]
    rows += [
        (c.type, relative(c), f"{c.name}.", "", "remove it", "", "\n".join(c.removed)) for c in changes if not c.added
    ]
    return Table("publish by hand", columns, tuple(rows))


def zone_text(changes: tuple[RecordChange, ...]) -> str:
    """The same as lines of a zone file (RFC 1035 5.1); what goes stands as a comment."""
    lines = []
    for change in changes:
        lines += [f"; remove: {change.name}. {change.type} {gone}" for gone in change.removed]
        lines += [f"{change.name}. {change.ttl} IN {change.type} {rdata_text(change.type, v)}" for v in change.added]
    return "\n".join(lines)


def relative(change: RecordChange) -> str:
    """The name as a panel shows it below its zone, @ at the apex."""
    if change.name == change.zone:
        return "@"
    return change.name.removesuffix(f".{change.zone}") if change.zone else change.name
