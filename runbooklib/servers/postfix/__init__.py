"""Plain Postfix on the host, with Dovecot and OpenDKIM, behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import Desired, Observed
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers import keys, standing
from runbooklib.servers.postfix import bootstrap, doors, ring, rotation, routing, signer, state, switching
from runbooklib.servers.postfix.running import Server
from runbooklib.servers.postfix.sending import Sending
from runbooklib.servers.postfix.state import State
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

preflight, apply = host.preflight, host.apply
observe, plan, verify = state.observe, bootstrap.plan, doors.verify
routes, verify_keys = routing.routes, signer.verify


def of(site: Site) -> Server:
    """The running server."""
    return Server(site)


def plan_routes(
    site: Site, have: Standing[Sending], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]
) -> Plan:
    """Stage 02: the switch to the relays."""
    return switching.plan(site, have, null, waiting, leaving)


def verify_routes(site: Site, done: Outcome, null: str, waiting: Mapping[str, str], wait: float) -> Checklist:
    """Stage 02: what Postfix will really do."""
    return routing.verify(site, done, null, waiting, wait)


def expired(site: Site) -> tuple[Retired, ...]:
    """The relays and keys that were left and that nothing needs any more."""
    have, now = observe(site), datetime.now(UTC)
    queued = routing.queued(site) if have.there else ()
    return tuple(e for e in have.retired if standing.over(e, queued, now))


def plan_keys(site: Site, have: State, seen: Observed | None) -> Plan:
    """Stage 03: keys to make, the change to a new one once DNS shows it, the end of an old one."""
    return rotation.plan(site, have, ring.observe(site, have), seen)


def records(site: Site) -> Desired:
    """The public halves of the server's keys, as records; without values where no key is made yet."""
    return keys.records(site, ring.observe(site, observe(site)), datetime.now(UTC))


__all__ = [
    "State",
    "apply",
    "expired",
    "observe",
    "of",
    "plan",
    "plan_keys",
    "plan_routes",
    "preflight",
    "records",
    "routes",
    "verify",
    "verify_keys",
    "verify_routes",
]
