"""mailcow behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbooklib.params import Site
from runbooklib.records import Desired
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers.mailcow import bootstrap, readiness, routing, signer, state, switching, writes
from runbooklib.servers.mailcow.running import Server
from runbooklib.servers.mailcow.state import State
from runbooklib.servers.mailcow.transports import Outbound
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

preflight, apply = readiness.preflight, writes.apply
observe, plan, verify = state.observe, bootstrap.plan, bootstrap.verify
routes = routing.routes
plan_keys, verify_keys = signer.plan, signer.verify


def of(site: Site) -> Server:
    """The running server."""
    return Server(site)


def plan_routes(
    site: Site, have: Standing[Outbound], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]
) -> Plan:
    """Stage 02; mail without a sender leaves directly, whatever `null` says: mailcow has no transport for it."""
    del null
    return switching.plan(site, have, waiting, leaving)


def verify_routes(site: Site, done: Outcome, null: str, waiting: Mapping[str, str], wait: float) -> Checklist:
    """Stage 02, read back; mailcow's tables count at once, so there is nothing to wait for."""
    del null, wait
    return routing.verify(site, done, waiting)


def expired(site: Site) -> tuple[Retired, ...]:
    """Nothing: mailcow has no place to remember what was left; the plan that leaves a relay says what stays."""
    del site
    return ()


def records(site: Site) -> Desired:
    """The public half of each domain's key, without a value where none is made yet."""
    return signer.records(site, observe(site))


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
