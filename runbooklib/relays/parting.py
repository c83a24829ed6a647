"""What stays of a relay that domains leave: its records and login, until nothing on its way can need them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from runbooklib.params import Domain, Site
from runbooklib.relays.observing import observe
from runbooklib.relays.wanted import records
from runbooklib.servers import nexthops
from runbooklib.servers.retired import RELAY, Retired


def leaving(site: Site, current: Mapping[str, str]) -> tuple[Retired, ...]:
    """For each domain whose mail leaves by another relay of the params today, what that one still holds.

    `current` names the next hop each domain leaves by today.
    """
    return tuple(entry for domain in site.domains for entry in _left(site, domain, current.get(domain.name, "")))


def _left(site: Site, domain: Domain, hop: str) -> Iterator[Retired]:
    old = next((name for name, relay in site.relays.items() if nexthops.next_hop(relay) == hop), domain.relay)
    new = site.relay_of(domain)
    if old == domain.relay or (new and nexthops.next_hop(new) == hop):
        return
    relay, now = site.relays[old], datetime.now(UTC).replace(microsecond=0)
    kept = {(w.name, w.type) for w in records(_only(site, domain))}
    before = _only(site, domain.model_copy(update={"relay": old}))
    gone = [w for w in records(before, observe(before)) if (w.name, w.type) not in kept]
    standing = new.spf.split() if new and new.spf else ()
    spf = () if relay.return_path else tuple(t for t in (relay.spf or "").split() if t not in standing)
    told = tuple((w.name, w.type, *w.values) for w in gone)
    yield Retired(RELAY, domain.name, now, relay.retire_after, relay=old, next_hop=hop, spf=spf, records=told)


def _only(site: Site, domain: Domain) -> Site:
    return site.model_copy(update={"domains": (domain,)})
