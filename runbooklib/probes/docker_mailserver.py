"""What docker-mailserver says of itself: container, services, listeners, settings, mailboxes, resolver, relay."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from runbooklib import host
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.probes import (
    banned,
    certificates,
    composed,
    inside,
    login,
    machine,
    mailboxes,
    mailflow,
    network,
    sending,
    signer,
)
from runbooklib.probes.asking import once
from runbooklib.probes.mailflow import UnseenError
from runbooklib.probes.roundtrip import RoundTrip
from runbooklib.servers import effective
from runbooklib.servers.docker_mailserver import state
from runbooklib.servers.engine import NOT_FOUND
from runbooklib.servers.keys import records

UNREPLIED = 9  # the status of `dig` where no server replied


def engine(told: RoundTrip) -> str:
    """Whether Docker runs on the server: running, stopped or absent."""
    said = told["container"]
    if said.status == NOT_FOUND:
        return "absent"
    if "permission denied" in said.out:
        raise UnseenError(said.out.strip())
    return "stopped" if "Cannot connect to the Docker daemon" in said.out else "running"


def containers(told: RoundTrip) -> list[dict[str, Any]]:
    """The mail server's container, as `docker inspect` tells of it; none is an empty list."""
    said = told["container"]
    if said.ok:
        return [container(_inspected(said))]
    if said.status == NOT_FOUND or "No such" in said.out:
        return []
    raise UnseenError(said.out.strip())


def _inspected(said: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said.out)[0]
    return found


def container(told: Mapping[str, Any]) -> dict[str, Any]:
    """State, health and how it came to them."""
    now = told["State"]
    health = now.get("Health") or {}
    checks = health.get("Log") or [{}]
    return {
        "state": now["Status"],
        "health": health.get("Status", "no health check"),
        "checked": str(checks[-1].get("Output", "")).strip()[-200:],
        "restarts": told.get("RestartCount", 0),
        "exit": now.get("ExitCode", 0),
        "oom": bool(now.get("OOMKilled")),
        "error": now.get("Error", ""),
        "mounts": sorted(mount["Destination"] for mount in told.get("Mounts", [])),
    }


def startup(told: RoundTrip) -> list[str]:
    """What a container that is not well said last."""
    said = told["startup"]
    if not said.ok:
        raise UnseenError(said.out.strip() or "docker logs failed")
    return re.sub(r"\x1b\[[0-9;]*m", "", said.out).splitlines()


def environment(told: RoundTrip) -> dict[str, dict[str, str]]:
    """The container's settings, as its two files have them and as it was made."""
    made, compose, file = (_there(told[name]) for name in ("container", "compose", "file"))
    in_compose = composed.in_compose(composed.service(compose))
    return composed.compared(composed.in_file(file), in_compose, composed.running(json.loads(made)[0]))


def _there(said: Answer) -> str:
    if not said.ok:
        raise UnseenError(said.out.strip())
    return said.out


def services(told: RoundTrip) -> dict[str, str]:
    """The services and their states; those never meant to start are left out."""
    said = told["services"]  # status 3 where one of them does not run
    if said.status not in {0, 3}:
        raise UnseenError(said.out.strip() or "supervisorctl gave no answer")
    lines = (line.split(maxsplit=2) for line in said.out.splitlines())
    return {words[0]: words[1] for words in lines if len(words) > 1 and "Not started" not in "".join(words[2:])}


def listeners(told: RoundTrip) -> list[int]:
    """The TCP ports that something in the container listens on."""
    return ports(_there(told["listeners"]))


def ports(told: str) -> list[int]:
    """The ports in what `ss -ltn` prints."""
    return sorted({int(port) for port in re.findall(r"[\]*.\d]:(\d+)\s", told)})


def postfix(told: RoundTrip) -> dict[str, str]:
    """The settings that rules look at, with what they name put in its place."""
    return {name: value for name, value in settings(_there(told["postfix"])).items() if name in inside.POSTFIX}


def settings(told: str) -> dict[str, str]:
    """The parameters in what `postconf` prints."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in told.splitlines())}


def diverted(told: RoundTrip) -> dict[str, dict[str, Any]]:
    """The mailboxes whose mail others get."""
    return mailboxes.diverted(_there(told["mailboxes"]).split(), _there(told["aliases"]))


def quotas(told: RoundTrip) -> dict[str, dict[str, int]]:
    """How full the mailboxes are that have a limit."""
    said = told["quotas"]
    return mailboxes.quotas(_there(told["mailboxes"]).split(), said.out, ok=said.ok)


def bans(told: RoundTrip) -> dict[str, list[str]]:
    """The addresses that are kept out."""
    return banned.bans(told["bans"])


def resolver(told: RoundTrip) -> str:
    """What the container's resolver answers when asked for the root's name servers: NOERROR, or another word."""
    return _word(told["resolver"])


def _word(said: Answer) -> str:
    """The word for the outcome in what `dig` prints."""
    if said.status not in {0, UNREPLIED}:
        raise UnseenError(said.out.strip())
    status = re.search(r"status: (\w+)", said.out)
    return status[1] if status else "nothing"


def queue(site: Site, told: RoundTrip) -> dict[str, Any]:
    """What waits, where there is a container to ask."""
    waiting = mailflow.queue(site)
    if not waiting["count"] and not containers(told):
        raise UnseenError("no container")
    return waiting


def relay(site: Site, name: str, told: RoundTrip) -> dict[str, Any]:
    """Whether the relay takes our login and senders, from the server itself, under the address the container finds."""
    wanted, said = site.relays[name], told[f"relay {name}"]
    word = _word(said)
    addresses = re.findall(r"\sIN\s+A\s+([\d.]+)$", said.out, re.MULTILINE)
    if addresses:
        return login.told(site, name, addresses[0], host.connect(site).dial)
    if word in {"NOERROR", "NXDOMAIN"}:
        return login.nameless(wanted, "the container")
    return login.unanswered(wanted, "the container's resolver", word)


def keys(site: Site, about: RoundTrip, within: RoundTrip) -> dict[str, str]:
    """The public halves of the server's DKIM keys by record name."""
    told = {**about.all(), **within.all(), "container": about["container"]}  # it must be known, to tell what signs
    return mailflow.halves(records(site, state.parse(told), datetime.now(UTC)))


def disk(site: Site, told: RoundTrip) -> dict[str, dict[str, int]]:
    """How full the disks are, those that only the container has too."""
    within = told.all().get("disk")
    return machine.disk(site, within.out if within else "")


def mtu(about: RoundTrip, within: RoundTrip) -> dict[str, int]:
    """The largest packet of the interface that leads out, and of the container's where it runs."""
    inner = within.all().get("mtu")
    return network.mtu(outer=about["mtu"].out, inner=inner.out if inner else "")


def published(told: RoundTrip) -> dict[str, Any]:
    """What the engine was told of the container's network; nothing where there is no container."""
    said = told["container"]
    return network.published(_inspected(said)) if said.ok else {}


def clients(site: Site, told: RoundTrip) -> dict[str, Any]:
    """Whom the log names as we come, beside the gateways of the container."""
    said = told["container"]
    return network.clients(site, network.gateways(_inspected(said)) if said.ok else [])


def outgoing(site: Site, told: RoundTrip) -> dict[str, Any]:
    """Which way mail leaves, by Postfix's own tables."""
    return sending.told(site, effective.effective(site, told.all(), {}))


ABOUT: Mapping[str, Callable[[RoundTrip], Any]] = {
    "containers": containers,
    "engine": engine,
    "startup": startup,
    "environment": environment,
    "published": published,
}
LAID: Mapping[str, Callable[[RoundTrip], Any]] = {"listeners": listeners, "postfix": postfix}
SAID: Mapping[str, Callable[[RoundTrip], Any]] = {
    "services": services,
    "diverted": diverted,
    "quotas": quotas,
    "bans": bans,
}
PROBES: Mapping[str, Callable[[Site], Any]] = {
    "log": mailflow.log,
    "certificates": certificates.in_container,
    "memory": machine.memory,
    "clock": machine.clock,
}


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Everything that is asked of the server, by the fact's name; what waits for a round trip does so at the end."""
    about, laid = inside.around(site), inside.lying(site)
    said, names = inside.asked(site), inside.resolved(site)
    ways = once(partial(outgoing, site, said))
    told: dict[str, Callable[[], Any]] = {
        **{name: partial(probe, about) for name, probe in ABOUT.items()},
        **{name: partial(probe, laid) for name, probe in LAID.items()},
        **{name: partial(probe, said) for name, probe in SAID.items()},
        **{f"relay {name}": partial(relay, site, name, names) for name in site.used_relays},
        "resolver": partial(resolver, names),
        "signer": partial(signer.in_container, site, laid),
        "keys": partial(keys, site, about, laid),
        "mtu": partial(mtu, about, laid),
        "clients": partial(clients, site, about),
        "sending": ways,
        "routes": lambda: sending.hops(ways()),
        "disk": partial(disk, site, said),
    }
    first = ("services", "resolver", "listeners", "containers")  # the one of each round trip that makes it
    yield from ((name, told[name]) for name in first)
    yield "queue", partial(queue, site, about)
    yield from ((name, partial(probe, site)) for name, probe in PROBES.items())
    yield from (pair for pair in told.items() if pair[0] not in first)
