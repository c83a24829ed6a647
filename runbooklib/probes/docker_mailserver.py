"""What docker-mailserver says of itself: container, services, listeners, settings, resolver, relay."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from runbooklib import host, servers
from runbooklib.params import Site
from runbooklib.probes import login, machine, mailflow
from runbooklib.probes.mailflow import UnseenError
from runbooklib.servers.docker_mailserver import layout


def containers(site: Site) -> list[dict[str, Any]]:
    """State, health and restarts of the mail server's container; none is an empty list."""
    return [asdict(container) for container in servers.of(site).containers()]


def startup(site: Site) -> list[str]:
    """What the container said last as it started."""
    answer = host.connect(site).run(("docker", "logs", "--tail", "60", layout.CONTAINER), check=False)
    if not answer.ok:
        raise UnseenError(answer.err.strip() or "docker logs failed")
    return re.sub(r"\x1b\[[0-9;]*m", "", answer.out + answer.err).splitlines()


def _inside(site: Site, *argv: str) -> str:
    answer = servers.of(site).inside(argv)
    if not answer.ok and not answer.out:
        raise UnseenError(f"`{argv[0]}` in the container: {answer.err.strip() or f'status {answer.status}'}")
    return answer.out


def services(site: Site) -> dict[str, str]:
    """The services and their states; those never meant to start are left out."""
    lines = (line.split(maxsplit=2) for line in _inside(site, "supervisorctl", "status").splitlines())
    return {name: state for name, state, *said in lines if "Not started" not in "".join(said)}


def listeners(site: Site) -> list[int]:
    """The TCP ports that something in the container listens on."""
    return ports(_inside(site, "ss", "-ltnH"))


def ports(told: str) -> list[int]:
    """The ports in what `ss -ltn` prints."""
    return sorted({int(port) for port in re.findall(r"[\]*.\d]:(\d+)\s", told)})


def postfix(site: Site) -> dict[str, str]:
    """The settings that rules look at."""
    return settings(_inside(site, "postconf", "mynetworks", "myhostname", "mydestination", "relayhost"))


def settings(told: str) -> dict[str, str]:
    """The parameters in what `postconf` prints."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in told.splitlines())}


def resolver(site: Site) -> str:
    """What the container's resolver answers when asked for the root's name servers: NOERROR, or another word."""
    said = _inside(site, "dig", "+time=2", "+tries=1", ".", "NS")
    status = re.search(r"status: (\w+)", said)
    return status[1] if status else "nothing"


def queue(site: Site) -> dict[str, Any]:
    """What waits, where there is a container to ask."""
    told = mailflow.queue(site)
    if not told["count"] and not containers(site):
        raise UnseenError("no container")
    return told


def relay(site: Site, name: str) -> dict[str, str]:
    """Whether the relay takes our login, from the server itself, under the address the container finds."""
    wanted = site.relays[name]
    answer = _inside(site, "dig", "+short", "+time=2", "+tries=1", wanted.host or "", "A")
    addresses = re.findall(r"^[\d.]+$", answer, re.MULTILINE)  # an alias stands on a line of its own before them
    if not addresses:
        return login.nameless(wanted, "the container")
    return login.told(wanted, addresses[0], host.connect(site).dial)


PROBES: Mapping[str, Callable[[Site], Any]] = {
    "containers": containers,
    "startup": startup,
    "services": services,
    "listeners": listeners,
    "postfix": postfix,
    "resolver": resolver,
    "queue": queue,
    "log": mailflow.log,
    "routes": mailflow.routes,
    "keys": mailflow.keys,
    **machine.PROBES,
}


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Everything that is asked of the server, by the fact's name."""
    yield from ((name, partial(probe, site)) for name, probe in PROBES.items())
    yield from ((f"relay {name}", partial(relay, site, name)) for name in site.used_relays)
