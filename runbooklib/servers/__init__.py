"""Mail servers behind one protocol: what notebooks and other rooms call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import TTL, Desired, Wanted
from runbooklib.results import Checklist, Outcome, Plan, Shown, Status, Table
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import doors, routing, signer
from runbooklib.servers.docker_mailserver import Server, State

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


@dataclass(frozen=True)
class Routes(Shown):
    """Which way each domain's mail leaves today, and the files that say so."""

    state: State
    current: dict[str, str]  # domain -> next hop; empty: directly

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        nowhere = "directly" if self.state.container else "nowhere: no mail server yet"
        return "routes today", ("domain", "leaves by"), [(d, hop or nowhere) for d, hop in self.current.items()]

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


def routes(site: Site) -> Routes:
    """Stage 02: Postfix's own answer to where each domain's mail leaves."""
    effective = routing.effective(site)
    return Routes(dms.observe(site), {d.name: effective.hop(d.name) for d in site.domains})


def plan_routes(site: Site, have: Routes, proofs: Checklist) -> Plan:
    """Stage 02: the switch to the relays, held while a relay does not accept a domain yet."""
    waiting = sorted({c.waits_for for c in proofs if c.status is Status.PENDING and c.waits_for})
    return dms.plan_routes(site, have.state, f"known after {waiting[-1]}" if waiting else "")


def verify_routes(site: Site, done: Outcome, wait: float) -> Checklist:
    """Stage 02: what Postfix will really use."""
    return routing.verify(site, done, wait)


def plan_keys(site: Site, have: State) -> Plan:
    """Stage 03: keys to make, and a new container where the signer does not use them yet."""
    return dms.plan_keys(site, have)


def verify_keys(site: Site, done: Outcome, *, apply: bool, wait: float) -> Checklist:
    """Stage 03: each key's halves, permissions and signature on a real message."""
    return signer.verify(site, done, apply=apply, wait=wait)


def records(site: Site) -> Desired:
    """The public halves of the server's keys, as records; without values where no key is made yet."""
    have = dms.observe(site)
    why = "verifies what the server itself signs"
    return Desired(
        tuple(
            Wanted(
                f"{d.dkim.selector}._domainkey.{d.name}",
                "TXT",
                tuple(filter(None, [have.keys.get((d.name, d.dkim.selector), "")])),
                TTL,
                why,
                "RFC 6376 3.6.2",
                "03-dkim",
                known_after="" if (d.name, d.dkim.selector) in have.keys else "03-dkim",
            )
            for d in site.domains
        )
    )
