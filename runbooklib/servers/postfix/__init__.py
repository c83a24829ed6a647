"""Plain Postfix on the host, with Dovecot and OpenDKIM, behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import Desired, Observed
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers.postfix import bootstrap, state
from runbooklib.servers.postfix.running import Server
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing


preflight, apply = host.preflight, host.apply
observe, plan = state.observe, bootstrap.plan


def of(site: Site) -> Server:
    """The running server."""
    return Server(site)


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    raise NotImplementedError


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


def plan_keys(site: Site, have: Any, seen: Observed | None) -> Plan:
    raise NotImplementedError


def verify_keys(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    raise NotImplementedError


def records(site: Site) -> Desired:
    raise NotImplementedError
