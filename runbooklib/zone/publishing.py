"""Publishing a plan: dynamic updates, or a table and zone-file text for those who publish by hand."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runbooklib.params import Rfc2136, Site
from runbooklib.records import RecordChange, dangers
from runbooklib.results import Outcome, Plan, Table, UnsafePlanError, table_html
from runbooklib.zone.updates import ZoneError, rdata_text, send, zone_of


@dataclass(frozen=True)
class Published(Outcome):
    """What became of the plan, the serial of each zone before and after, and what is left for a person to type."""

    serials: Mapping[str, tuple[int, int]] = field(default_factory=dict)
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
    if site.dns.publish == "by-hand" or site.dns.rfc2136 is None:
        return Published(plan, by_hand=changes)
    if not apply or not plan:
        return Published(plan, applied=apply)
    plan.refuse_unsafe()
    if reasons := dangers(changes):
        raise UnsafePlanError("this plan is not published:\n" + "\n".join(f"  - {r}" for r in reasons))
    return _updated(site.dns.rfc2136, plan, changes)


def _updated(target: Rfc2136, plan: Plan, changes: tuple[RecordChange, ...]) -> Published:
    """One update a zone; each is whole or absent."""
    zones: dict[str, list[RecordChange]] = {}
    for change in changes:
        zones.setdefault(zone_of(target, change.name)[0], []).append(change)
    done: list[RecordChange] = []
    serials: dict[str, tuple[int, int]] = {}
    for zone, group in zones.items():
        before = zone_of(target, zone)[1]
        try:
            send(target, zone, group)
        except ZoneError as error:
            raise type(error)(error.expected, error.saw, error.fix + _partly(done)) from None
        done += group
        serials[zone] = before, zone_of(target, zone)[1]
    return Published(plan, tuple(done), applied=True, serials=serials)


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
