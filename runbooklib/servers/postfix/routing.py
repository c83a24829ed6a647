"""Stage 02 on plain Postfix: which way it really sends each domain's mail, in its own words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed
from runbooklib.servers import effective as asked
from runbooklib.servers import nexthops
from runbooklib.servers.doors import planned
from runbooklib.servers.nexthops import NULL, Routes
from runbooklib.servers.postfix import layout, overruling, relaying, sending
from runbooklib.servers.postfix.running import Server
from runbooklib.servers.postfix.sending import Sending
from runbooklib.servers.standing import Queued, Standing

TITLE = "routes"


def routes(site: Site) -> Standing[Sending]:
    """Postfix's own answer to where each domain's mail leaves, and what waits in its queue."""
    have = sending.observe(site)
    seen = sending.effective(site, have)
    current = {d.name: seen.hop(d.name) for d in site.domains}
    there = have.host.there
    return Standing(have, current, seen.way(NULL) if there else "", queued(site) if there else (), there)


def queued(site: Site) -> tuple[Queued, ...]:
    """The messages that wait in the queue."""
    return asked.queued(Server(site).queue().read)


def verify(site: Site, done: Outcome, null: str, waiting: Mapping[str, str], wait: float) -> Checklist:
    """What Postfix will really do with each domain's mail: next hop, TLS policy, login, and who may read it."""
    if done.plan.held:
        return Checklist(TITLE, tuple(asked.held(waiting or {"": done.plan.held.removeprefix("known after ")})))
    if done.plan and not done.applied:
        return Checklist(TITLE, (planned("relay.route", "each domain leaves by its relay"),))
    settled = _settled(site, null, waiting, min(wait, 30) if done.applied else 0)
    right = all(c.status is Status.PASS for c in settled)
    late = asked.late(queued(site)) if right else ()  # only asked where the routes hold
    return Checklist(TITLE, (*settled, *asked.held(waiting), *late))


def _settled(site: Site, null: str, waiting: Mapping[str, str], wait: float) -> list[Check]:
    """The rows, asked again for a while where a change was made just now."""
    deadline = time.monotonic() + wait
    while True:
        checks = [*rows(site, sending.observe(site), null, waiting)]
        if all(c.status is Status.PASS for c in checks) or time.monotonic() > deadline:
            return checks
        time.sleep(1)


def rows(site: Site, have: Sending, null: str, waiting: Mapping[str, str]) -> Iterable[Check]:
    """The verdicts on one observation."""
    staying = dict.fromkeys(waiting, "")
    want, seen = relaying.wanted(site, have, null, staying), sending.effective(site, have)
    yield from asked.rows(site, seen, want, waiting)
    yield from asked.sealed(site, seen)
    yield from _anchors(site, have)
    yield from overruling.rows(site, want, have, staying)
    yield from _left_alone(want, have, seen.way(NULL))


def _anchors(site: Site, have: Sending) -> Iterable[Check]:
    """A policy's CA file is opened while mail is sent, inside of the chroot where the service has one."""
    if any(relay.ca for relay in site.used_relays.values()):
        stands = have.host.files.get(layout.RELAY_CA)
        same = stands is not None and stands.digest == have.jailed
        said = "the same" if same else "another one" if have.jailed and stands else "not there"
        expected, fix = f"{have.jail} as {have.directory}/{layout.RELAY_CA}", "run 02-relay with apply"
        yield judged("relay.private-ca", same, expected, said, fix, "TLS_README, tafile")


def _left_alone(want: Routes, have: Sending, null: str) -> Iterable[Check]:
    """What a host that serves others keeps for everybody."""
    if have.ours:
        return
    expected, rest = "as this host has it for all it serves", have.value(sending.RELAYHOST)
    if not any(route.sender == NULL for route in want.each):
        yield passed("relay.route null-sender", expected, null)
    yield passed("relay.route others", expected, rest or nexthops.DIRECT)
