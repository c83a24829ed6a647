"""Mail servers behind one protocol: what notebooks and other rooms call."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import Desired, Observed, Unwanted
from runbooklib.results import Checklist, Outcome, Plan, Status
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import doors, nexthops, retired, rotation, routing, signer, switching
from runbooklib.servers.docker_mailserver import Server, State
from runbooklib.servers.retired import Retired
from runbooklib.servers.switching import Standing

apply = host.apply


def of(site: Site) -> Server:
    """The site's mail server."""
    return Server(site)


def observe(site: Site) -> State:
    """What stands on the server."""
    return dms.observe(site)


def plan(site: Site, have: State) -> Plan:
    """Stage 01: from what stands to what the params say."""
    return dms.plan(site, have)


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """Stage 01: whether the mail server is up and answers as the params say."""
    return doors.verify(site, done, wait)


def routes(site: Site) -> Standing:
    """Stage 02: Postfix's own answer to where each domain's mail leaves, and what waits in its queue."""
    effective, have = routing.effective(site), dms.observe(site)
    current = {d.name: effective.hop(d.name) for d in site.domains}
    queued = routing.queued(site) if have.container else ()
    return Standing(have, current, effective.way(nexthops.NULL), queued)


def plan_routes(site: Site, have: Standing, proofs: Checklist, null: str, leaving: Iterable[Retired] = ()) -> Plan:
    """Stage 02: the switch to the relays; a domain that a proof still waits for keeps its route."""
    return switching.plan(site, have, null, _waiting(site, proofs), leaving)


def verify_routes(site: Site, done: Outcome, proofs: Checklist, null: str, wait: float) -> Checklist:
    """Stage 02: what Postfix will really use."""
    waiting = _waiting(site, proofs)
    return routing.verify(site, done, nexthops.wanted(site, null, dict.fromkeys(waiting, "")), waiting, wait)


def _waiting(site: Site, proofs: Checklist) -> dict[str, str]:
    """For each domain that may not switch yet the stage it waits for."""
    pending = {c.name.partition(" ")[2]: c.waits_for for c in proofs if c.status is Status.PENDING and c.waits_for}
    return {d.name: pending[d.name] for d in site.domains if d.name in pending}


def expired(site: Site) -> tuple[Retired, ...]:
    """The relays and keys that were left and that nothing needs any more."""
    have, now = dms.observe(site), datetime.now(UTC)
    queued = routing.queued(site) if have.container else ()
    return tuple(e for e in have.retired if switching.over(e, queued, now))


def unwanted(site: Site) -> tuple[Unwanted, ...]:
    """What they left in DNS, for stage 04 to take away."""
    return tuple(retired.unwanted(expired(site)))


def plan_keys(site: Site, have: State, seen: Observed | None = None) -> Plan:
    """Stage 03: keys to make, the change to a new one once DNS shows it (`seen`), the end of an old one."""
    return rotation.plan(site, have, seen)


def verify_keys(site: Site, done: Outcome, seen: Observed | None = None, *, apply: bool, wait: float) -> Checklist:
    """Stage 03: each key's halves, permissions and signature on a real message."""
    return signer.verify(site, done, seen, apply=apply, wait=wait)


def records(site: Site) -> Desired:
    """The public halves of the server's keys, as records; without values where no key is made yet."""
    return rotation.records(site, dms.observe(site), datetime.now(UTC))
