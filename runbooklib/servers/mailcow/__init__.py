"""mailcow behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbooklib.params import Site
from runbooklib.records import Desired
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers.mailcow import bootstrap, readiness, signer, state, writes
from runbooklib.servers.mailcow.running import Server
from runbooklib.servers.mailcow.state import State
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing

preflight, apply = readiness.preflight, writes.apply
observe, plan, verify = state.observe, bootstrap.plan, bootstrap.verify
plan_keys, verify_keys = signer.plan, signer.verify


def of(site: Site) -> Server:
    """The running server."""
    return Server(site)


def routes(site: Site) -> Standing[Any]:
    raise NotImplementedError


def plan_routes(
    site: Site, have: Standing[Any], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]
) -> Plan:
    raise NotImplementedError


def verify_routes(site: Site, done: Outcome, null: str, waiting: Mapping[str, str], wait: float) -> Checklist:
    raise NotImplementedError


def expired(site: Site) -> tuple[Retired, ...]:
    raise NotImplementedError


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
