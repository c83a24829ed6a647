"""All probes side by side within a time budget; each fact has an outcome of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from runbooklib import host
from runbooklib.diagnosis import Evidence, Fact
from runbooklib.host import HostError
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Domain, Site
from runbooklib.probes import blocklists, docker_mailserver, mailcow, names, network, outside, postfix, providers
from runbooklib.probes.asking import Probe, Source, ask
from runbooklib.servers.nexthops import next_hop

BUDGET = 20.0  # seconds; what has not answered by then was not seen
AT_ONCE = 48
SESSIONS = 8  # commands at once on one SSH connection; sshd takes ten (MaxSessions)
# The view from outside, and what only adds to others.
ADVISORY = {
    *("port", "port6", "tls", "startup", "memory", "clock", "machine", "watchdog", "provider", "blocklist"),
    *("path", "segments", "clients", "signer", "certificates", "strays", "bans"),
}


def gather(site: Site, *, budget: float = BUDGET) -> Evidence:
    """What can be seen of the site within `budget` seconds, which hold whatever hangs; changes nothing."""
    taken = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entrances = (*(["ssh"] if site.mail.over_ssh else []), *(["api"] if site.mail.server == MAILCOW else []))
    sources = [Source(_around(site), AT_ONCE), Source(_within(site), SESSIONS, entrances)]
    facts = ask(sources, budget, ADVISORY)
    return Evidence(expectations(site), facts | dict(_not_allowed(site)), taken)


def _not_allowed(site: Site) -> Iterator[tuple[str, Fact]]:
    if not site.test.smtp25:
        yield "port 25", Fact(unseen="test.smtp25 is false: this machine may not speak to port 25", advisory=True)


def expectations(site: Site) -> dict[str, Any]:
    """What the params say that rules compare with."""
    return {
        "name": site.name,
        "server": site.mail.server,
        "ports": list(outside.ports(site)),
        "hostname": site.server.hostname,
        "ipv4": site.server.ipv4,
        "ipv6": site.server.ipv6,
        "domains": [_expected(site, domain) for domain in site.domains],
        "addresses": sorted({address for domain in site.domains for address in _own(domain)}),
    }


def _own(domain: Domain) -> Iterator[str]:
    """The domain's addresses that params name; whoever mail goes on to is not among them."""
    yield from (mailbox.address for mailbox in domain.mailboxes)
    yield from domain.aliases
    yield from domain.refuse


def _expected(site: Site, domain: Domain) -> dict[str, Any]:
    relay = site.relay_of(domain)
    return {
        "name": domain.name,
        "relay": domain.relay,
        "next_hop": next_hop(relay) if relay else "",
        "implicit": bool(relay and relay.mode == "implicit"),
        "spf": (relay.spf or "") if relay else "",
        "spf_at": names.judged_at(domain, relay),
        "selector": domain.dkim.selector,
        "takes": [*(mailbox.address for mailbox in domain.mailboxes), *domain.aliases],
    }


def _around(site: Site) -> Iterator[tuple[str, Probe]]:
    yield from outside.probes(site)
    yield from names.probes(site)
    yield from blocklists.probes(site)
    yield from providers.probes(site)


def _within(site: Site) -> Iterator[tuple[str, Probe]]:
    """The server's own view; where it does not let us in, that is one thing not seen, not twenty."""
    if site.mail.over_ssh:
        try:
            host.connect(site)
        except HostError as error:
            yield "ssh", partial(_unreached, error)
            return
        yield "ssh", lambda: "ok"
        yield from network.probes(site)  # small packets are sent for a second, whoever else is asked meanwhile
    yield from KINDS[site.mail.server](site)


def _unreached(error: HostError) -> str:
    raise error


KINDS: Mapping[str, Callable[[Site], Iterator[tuple[str, Probe]]]] = {
    DOCKER_MAILSERVER: docker_mailserver.probes,
    MAILCOW: mailcow.probes,
    POSTFIX: postfix.probes,
}
