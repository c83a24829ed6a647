"""mailcow behind the protocol that every mail server keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runbooklib.params import Site
from runbooklib.records import Desired, Observed
from runbooklib.results import Checklist, Outcome, Plan
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing


def of(site: Site) -> Any:
    raise NotImplementedError


def preflight(site: Site) -> Checklist:
    raise NotImplementedError


def observe(site: Site) -> Any:
    raise NotImplementedError


def plan(site: Site, have: Any) -> Plan:
    raise NotImplementedError


def apply(site: Site, plan: Plan, *, apply: bool) -> Outcome:
    raise NotImplementedError


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
