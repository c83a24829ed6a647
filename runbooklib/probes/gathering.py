"""All probes side by side within a time budget; each fact has an outcome of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from runbooklib import host
from runbooklib.credentials import mask_tree
from runbooklib.diagnosis import Evidence, Fact
from runbooklib.host import HostError
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Domain, Site
from runbooklib.probes import docker_mailserver, mailcow, names, outside, postfix
from runbooklib.results import RunbookError
from runbooklib.servers.nexthops import next_hop

BUDGET = 20.0  # seconds; what has not answered by then was not seen
AT_ONCE = 24
SESSIONS = 6  # commands at once on one SSH connection; sshd takes ten (MaxSessions)

Probe = Callable[[], Any]  # a JSON-like value; raises RunbookError when it cannot be seen


def gather(site: Site, *, budget: float = BUDGET) -> Evidence:
    """What can be seen of the site within `budget` seconds; changes nothing."""
    ends = time.monotonic() + budget
    strangers, sessions = ThreadPoolExecutor(AT_ONCE), ThreadPoolExecutor(SESSIONS)
    try:
        asked = {name: strangers.submit(probe) for name, probe in _around(site)}
        asked |= {name: sessions.submit(probe) for name, probe in _within(site)}
        facts = {name: _outcome(name, future, ends) for name, future in asked.items()}
    finally:
        for pool in (strangers, sessions):
            pool.shutdown(wait=False, cancel_futures=True)
    return Evidence(expectations(site), facts | dict(_not_allowed(site)))


def _outcome(name: str, future: Future[Any], ends: float) -> Fact:
    advisory = name.partition(" ")[0] in ADVISORY
    try:
        return Fact(mask_tree(future.result(max(0.0, ends - time.monotonic()))))
    except TimeoutError:
        return Fact(unseen="no answer within the time budget", advisory=advisory)
    except (RunbookError, OSError, ValueError, LookupError) as error:  # an answer nobody foresaw is one not understood
        return Fact(unseen=str(error) or type(error).__name__, advisory=advisory)


# The view from outside, and what only adds to others.
ADVISORY = {"port", "tls", "startup", "memory", "clock", "machine", "watchdog"}


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
    }


def _expected(site: Site, domain: Domain) -> dict[str, Any]:
    relay = site.relay_of(domain)
    return {
        "name": domain.name,
        "next_hop": next_hop(relay) if relay else "",
        "spf": (relay.spf or "") if relay else "",
        "spf_at": names.judged_at(domain, relay),
    }


def _around(site: Site) -> Iterator[tuple[str, Probe]]:
    for where in outside.endpoints(site):
        yield f"port {where.port}", partial(outside.port, where, site.server.ipv4)
        yield f"tls {where.port}", partial(outside.tls, where, site.server.ipv4)
    yield from names.probes(site)


def _within(site: Site) -> Iterator[tuple[str, Probe]]:
    """The server's own view; where it does not let us in, that is one thing not seen, not twenty."""
    if site.mail.over_ssh:
        try:
            host.connect(site)
        except HostError as error:
            yield "ssh", partial(_unreached, error)
            return
        yield "ssh", lambda: "ok"
    yield from KINDS[site.mail.server](site)


def _unreached(error: HostError) -> str:
    raise error


KINDS: Mapping[str, Callable[[Site], Iterator[tuple[str, Probe]]]] = {
    DOCKER_MAILSERVER: docker_mailserver.probes,
    MAILCOW: mailcow.probes,
    POSTFIX: postfix.probes,
}
