"""Plain Postfix on the host, with Dovecot and OpenDKIM, behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import Desired, Observed
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers import standing
from runbooklib.servers.postfix import bootstrap, doors, routing, state, switching
from runbooklib.servers.postfix.running import Server
from runbooklib.servers.postfix.sending import Sending
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

preflight, apply = host.preflight, host.apply
observe, plan, verify = state.observe, bootstrap.plan, doors.verify
routes = routing.routes


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


def plan_keys(site: Site, have: Any, seen: Observed | None) -> Plan:
    raise NotImplementedError


def verify_keys(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    raise NotImplementedError


def records(site: Site) -> Desired:
    raise NotImplementedError
