"""Mail servers behind one protocol: what notebooks and other rooms call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from runbooklib.host import Answer
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Site
from runbooklib.records import Desired, Observed, Unwanted
from runbooklib.results import Checklist, Outcome, Plan, Status
from runbooklib.servers import bounces, certificates, clients, docker_mailserver, mailcow, postfix, retired
from runbooklib.servers.clients import Arrivals
from runbooklib.servers.queues import Queue
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Standing


class Running(Protocol):
    """A mail server that can be looked into."""

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> Answer:
        """A command where Postfix runs; its status is in the answer."""

    def log(self, lines: int = 2000) -> str:
        """The end of the mail log."""

    def history(self) -> str:
        """The logs of mail of the last day, rotated files included, as far as a bounded read reaches."""

    def queue(self) -> Queue:
        """What waits in the queue."""

    def containers(self) -> list[Any]:
        """The mail server's containers, where it runs in some."""


class Kind(Protocol):
    """What each package of a mail server gives; its state is its own."""

    def of(self, site: Site) -> Running: ...

    def preflight(self, site: Site) -> Checklist: ...

    def observe(self, site: Site) -> Any: ...

    def plan(self, site: Site, have: Any) -> Plan: ...

    def apply(self, site: Site, plan: Plan, *, apply: bool) -> Outcome: ...

    def verify(self, site: Site, done: Outcome, wait: float) -> Checklist: ...

    def routes(self, site: Site) -> Standing[Any]: ...

    def plan_routes(
        self, site: Site, have: Standing[Any], null: str, waiting: Mapping[str, str], leaving: Iterable[Retired]
    ) -> Plan: ...

    def verify_routes(
        self, site: Site, done: Outcome, null: str, waiting: Mapping[str, str], wait: float
    ) -> Checklist: ...

    def expired(self, site: Site) -> tuple[Retired, ...]: ...

    def plan_keys(self, site: Site, have: Any, seen: Observed | None) -> Plan: ...

    def verify_keys(
        self, site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float
    ) -> Checklist: ...

    def records(self, site: Site) -> Desired: ...


KINDS: Mapping[str, Kind] = {DOCKER_MAILSERVER: docker_mailserver, MAILCOW: mailcow, POSTFIX: postfix}


def _kind(site: Site) -> Kind:
    return KINDS[site.mail.server]


def of(site: Site) -> Running:
    """The site's mail server."""
    return _kind(site).of(site)


def preflight(site: Site) -> Checklist:
    """Whether we get in at all: by SSH, or by the server's API."""
    return _kind(site).preflight(site)


def observe(site: Site) -> Any:
    """What stands on the server."""
    return _kind(site).observe(site)


def plan(site: Site, have: Any) -> Plan:
    """Stage 01: from what stands to what the params say."""
    return _kind(site).plan(site, have)


def apply(site: Site, plan: Plan, *, apply: bool) -> Outcome:
    """Does what the plan says, step by step; with `apply` false, held, or nothing to do, touches nothing.

    Raises UnsafePlanError before anything is touched, GateError with the row of the step that broke.
    """
    return _kind(site).apply(site, plan, apply=apply)


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """Stage 01: whether the mail server is up and answers as the params say."""
    return _kind(site).verify(site, done, wait)


def routes(site: Site) -> Standing[Any]:
    """Stage 02: the server's own answer to where each domain's mail leaves, and what waits in its queue."""
    return _kind(site).routes(site)


def plan_routes(site: Site, have: Standing[Any], proofs: Checklist, null: str, leaving: Iterable[Retired] = ()) -> Plan:
    """Stage 02: the switch to the relays; a domain that a proof still waits for keeps its route."""
    return _kind(site).plan_routes(site, have, null, _waiting(site, proofs), leaving)


def verify_routes(site: Site, done: Outcome, proofs: Checklist, null: str, wait: float) -> Checklist:
    """Stage 02: which way mail will really take."""
    return _kind(site).verify_routes(site, done, null, _waiting(site, proofs), wait)


def _waiting(site: Site, proofs: Checklist) -> dict[str, str]:
    """For each domain that may not switch yet the stage it waits for."""
    pending = {c.name.partition(" ")[2]: c.waits_for for c in proofs if c.status is Status.PENDING and c.waits_for}
    return {d.name: pending[d.name] for d in site.domains if d.name in pending}


def expired(site: Site) -> tuple[Retired, ...]:
    """The relays and keys that were left and that nothing needs any more."""
    return _kind(site).expired(site)


def unwanted(site: Site) -> tuple[Unwanted, ...]:
    """What they left in DNS, for stage 04 to take away."""
    return tuple(retired.unwanted(expired(site)))


def plan_keys(site: Site, have: Any, seen: Observed | None = None) -> Plan:
    """Stage 03: keys to make, the change to a new one once DNS shows it (`seen`), the end of an old one."""
    return _kind(site).plan_keys(site, have, seen)


def verify_keys(site: Site, done: Outcome, seen: Observed | None = None, *, apply: bool, wait: float) -> Checklist:
    """Stage 03: each key's halves, permissions and signature on a real message."""
    return _kind(site).verify_keys(site, done, seen, apply=apply, wait=wait)


def records(site: Site) -> Desired:
    """The public halves of the server's keys, as records; without values where none is made yet."""
    return _kind(site).records(site)


def arrivals(site: Site) -> Arrivals:
    """Who came to port 25, by the server's own log."""
    return clients.observe(site, of(site).log)


def shown(site: Site) -> Desired:
    """What the server shows of itself, as records.

    Whether IPv6 reaches it, its certificate's key and issuer, and whether its own name sends nothing, where params say.
    """
    reached = clients.wanted(site, arrivals(site)) if site.server.ipv6 else ()
    quiet = (bounces.wanted(site, routes(site)),) if site.server.hostname in site.dns.sends_nothing else ()
    return Desired((*reached, *certificates.records(site), *quiet))
