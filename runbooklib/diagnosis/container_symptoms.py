"""How the causes of trouble in docker-mailserver's container show in evidence."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runbooklib.diagnosis import symptoms, trust_symptoms
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match, Sign

RESTARTS = 3  # a container made anew counts from 0; one that was restarted by hand has one or two
RUNNING = "running"
FILE, COMPOSE = "mailserver.env", "compose.yaml"  # the places where a setting may be given
PASSING = {"RUNNING", "STARTING", symptoms.ABSENT}
UP = "is up and running"  # what a start that went well says last
SMTP = 25
# Docker's proxy and iptables in the one wording, its own list of what containers hold in the other.
PORT_TAKEN = re.compile(r":(\d{1,5})\b.*?(?:address already in use|port is already allocated)")
NO_COMMAND = re.compile(r"not found|no such file or directory", re.IGNORECASE)
LOGINS = (465, 587)
PORTS = {"postfix": (SMTP, *LOGINS), "dovecot": (143, 993)}
QUOTA_FULL, QUOTA_FILLING = 98, 90  # percent; what is left of the last two holds hardly any message

Container = Mapping[str, Any]


def _containers(evidence: Evidence) -> list[dict[str, Any]]:
    return evidence["containers"] or []


def engine_stopped(evidence: Evidence) -> Iterator[str]:
    if evidence["engine"] == "stopped":
        yield "docker cannot connect to its daemon"


def no_container(evidence: Evidence) -> Iterator[str]:
    if evidence["containers"] == []:
        yield "no container of the mail server"


def stopped(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container["state"] in {"created", "exited", "dead"} and not container.get("oom"):
            why = container.get("error") or f"its exit status was {container.get('exit', 0)}"
            yield f"the container is {container['state']}; {why}"


def port_taken(evidence: Evidence) -> Iterator[Sign]:
    for container in _containers(evidence):
        taken = PORT_TAKEN.search(container.get("error") or "") if container["state"] != RUNNING else None
        if taken:
            yield Sign(f"Docker says of port {taken[1]}: {container['error']}")


def paused(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container["state"] == "paused":
            yield "the container is paused"


def out_of_memory(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container.get("oom") and not _serves(evidence, container):
            yield f"the container is {container['state']}, and was out of memory"


def lost_a_process(evidence: Evidence) -> Iterator[str]:
    """The flag tells of any process, and stays until the container is started again."""
    for container in _containers(evidence):
        if container.get("oom") and _serves(evidence, container):
            yield "the container runs, and was out of memory since it started"


def _serves(evidence: Evidence, container: Container) -> bool:
    """Whether mail is taken, whatever the last check said."""
    listens = SMTP in (evidence["listeners"] or [])
    return _well(evidence, container) or (container["state"] == RUNNING and listens)


def restarting(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        again = container["restarts"] >= RESTARTS and not _well(evidence, container)
        if container["state"] == "restarting" or again:
            yield f"the container is {container['state']} after {container['restarts']} restarts{_error(evidence)}"


def _well(evidence: Evidence, container: Container) -> bool:
    """Whether it has come to its end of starting: one that restarts now and then counts on for ever."""
    listens = SMTP in (evidence["listeners"] or [])
    unasked = container["health"] == "no health check"
    return container["state"] == RUNNING and (container["health"] == "healthy" or (unasked and listens))


def _error(evidence: Evidence) -> str:
    errors = [line.strip() for line in evidence["startup"] or [] if "ERROR" in line]
    return f"; {errors[-1]}" if errors else ""


def unhealthy(evidence: Evidence) -> Iterator[str]:
    """Not one whose last check was of a moment that is over, such as a pause."""
    for container in _containers(evidence):
        if _unhealthy(container) and SMTP not in (evidence["listeners"] or []):
            said = container.get("checked", "")
            yield f"the container runs and is unhealthy{f': {said}' if said else ''}"


def check_broken(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if _unhealthy(container) and NO_COMMAND.search(container.get("checked", "")):
            yield f"the health check said: {container['checked']}"


def _unhealthy(container: Container) -> bool:
    return (container["state"], container["health"]) == (RUNNING, "unhealthy")


def startup(pattern: str) -> Match:
    """What the container said since it last started well; of one that is well nothing counts."""

    def match(evidence: Evidence) -> Iterator[str]:
        lines = [] if all(_well(evidence, c) for c in _containers(evidence)) else evidence["startup"] or []
        up = max((at for at, line in enumerate(lines, 1) if UP in line), default=0)
        yield from [line.strip() for line in lines[up:] if re.search(pattern, line)][-1:]

    return match


def service_down(name: str) -> Match:
    """One of those that listen to clients, about each of the ports where it should."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        state = (evidence["services"] or {}).get(name, symptoms.ABSENT)
        for port in PORTS[name] if state not in PASSING else ():
            yield Sign(f"{name} is {state}, which leaves port {port} without a listener", str(port))
        for port in LOGINS if name == "dovecot" and state not in PASSING else ():
            yield Sign(f"nobody can log in on {port}", str(port))

    return match


def other_service_down(evidence: Evidence) -> Iterator[Sign]:
    for name, state in sorted((evidence["services"] or {}).items()):
        if name not in PORTS and state not in PASSING:
            yield Sign(f"{name} is {state}", name)


def said_twice(evidence: Evidence) -> Iterator[Sign]:
    for name, told in _settings(evidence):
        if FILE in told and COMPOSE in told and told[FILE] != told[COMPOSE]:
            yield Sign(f"{name} is {told[FILE]} in {FILE} and {told[COMPOSE]} in {COMPOSE}, which wins", name)


def outdated(evidence: Evidence) -> Iterator[Sign]:
    for name, told in _settings(evidence):
        place = COMPOSE if COMPOSE in told else FILE
        if told[place] != told[RUNNING]:
            yield Sign(f"{name} is {told[place]} in {place}, and {told[RUNNING] or 'not set'} in the container", name)


def _settings(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Those that can be compared, with their value by place."""
    return ((name, told) for name, told in (evidence["environment"] or {}).items() if told)


def certificate_mounted_alone(evidence: Evidence) -> Iterator[str]:
    told = (evidence["environment"] or {}).get("SSL_CERT_PATH", {})
    for container in _containers(evidence):
        if told.get(RUNNING) in container.get("mounts", []):
            yield f"{told[RUNNING]} is mounted as a single file"


def permits_neighbours(evidence: Evidence) -> Iterator[Sign]:
    permit = _permit(evidence)
    if permit not in {"", "none"}:
        yield from (
            Sign(f"PERMIT_DOCKER={permit}: {wide}", "PERMIT_DOCKER") for wide in trust_symptoms.trusts_anybody(evidence)
        )


def by_hand(trusts: Match) -> Match:
    """Networks that no setting of docker-mailserver's put there."""

    def match(evidence: Evidence) -> Iterator[str | Sign]:
        if _permit(evidence) in {"", "none"}:
            yield from trusts(evidence)

    return match


def _permit(evidence: Evidence) -> str:
    permit: str = (evidence["environment"] or {}).get("PERMIT_DOCKER", {}).get(RUNNING, "")
    return permit


def swallowed(evidence: Evidence) -> Iterator[Sign]:
    for mailbox, told in sorted((evidence["diverted"] or {}).items()):
        if told["by"].startswith("@"):
            yield Sign(f"mail for {mailbox} goes to {', '.join(told['to'])}", told["by"].removeprefix("@"))


def quota(least: int, below: float = float("inf")) -> Match:
    def match(evidence: Evidence) -> Iterator[Sign]:
        for mailbox, told in sorted((evidence["quotas"] or {}).items()):
            percent = 100 * told["used"] // max(1, told["limit"])
            if least <= percent < below:
                yield Sign(f"{mailbox} holds {told['used']} of {told['limit']} KiB", mailbox)

    return match
