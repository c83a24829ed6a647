"""How causes show in evidence: each function gives what was seen, in the field's words, or nothing."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match

REQUIRED = {"changedetector", "dovecot", "opendkim", "postfix", "rsyslog"}  # where there is one of that name
ABSENT = "absent"  # another cause than a service that stopped
LISTENERS = (25, 143, 465, 587, 993)
RESTARTS = 3  # a container made anew counts from 0; one that was restarted by hand has one or two
FULL, FILLING = 95, 85  # percent; Postfix refuses mail when less than 1.5 messages of the largest size fit
SKEW = 30.0  # seconds; TSIG allows 300, people notice a minute
SHORT_OF_MEMORY = 50  # MiB
SOON = 14  # days; ACME clients renew at 30


def _containers(evidence: Evidence) -> list[dict[str, Any]]:
    return evidence["containers"] or []


def no_container(evidence: Evidence) -> Iterator[str]:
    if evidence["containers"] == []:
        yield "no container of the mail server"


def stopped(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container["state"] in {"created", "exited", "paused", "dead"}:
            yield f"the container is {container['state']}"


def restarting(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container["state"] == "restarting" or container["restarts"] >= RESTARTS:
            yield f"the container is {container['state']} after {container['restarts']} restarts"


def unhealthy(evidence: Evidence) -> Iterator[str]:
    for container in _containers(evidence):
        if container["state"] == "running" and container["health"] == "unhealthy":
            yield "the container runs and is unhealthy"


def startup(pattern: str) -> Match:
    """What the container said as it started; old lines of one that runs well do not count."""

    def match(evidence: Evidence) -> Iterator[str]:
        well = all(c["state"] == "running" and c["health"] != "unhealthy" for c in _containers(evidence))
        lines = [] if well else evidence["startup"] or []
        yield from [line.strip() for line in lines if re.search(pattern, line)][-1:]

    return match


def services_down(evidence: Evidence) -> Iterator[str]:
    for name, state in sorted((evidence["services"] or {}).items()):
        if name in REQUIRED and state not in {"RUNNING", ABSENT}:
            yield f"{name} is {state}"


def not_listening(evidence: Evidence) -> Iterator[str]:
    ports = evidence["listeners"]
    missing = sorted(set(evidence.site.get("ports", LISTENERS)) - set(ports)) if ports is not None else []
    if missing:
        yield f"nothing listens on {', '.join(map(str, missing))}"


def closed_outside(evidence: Evidence) -> Iterator[str]:
    for port, seen in evidence.under("port"):
        if seen["state"] != "open":
            yield f"port {port}: {seen['state']}"


def disk(percent: int) -> Match:
    def match(evidence: Evidence) -> Iterator[str]:
        for mount, used in sorted((evidence["disk"] or {}).items()):
            if used >= percent:
                yield f"{mount} is {used} % full"

    return match


def memory_low(evidence: Evidence) -> Iterator[str]:
    memory = evidence["memory"]
    if memory and memory["available"] < SHORT_OF_MEMORY:
        yield f"{memory['available']} of {memory['total']} MiB available"


def clock_skew(evidence: Evidence) -> Iterator[str]:
    skew = evidence["clock"]
    if skew is not None and abs(skew) > SKEW:
        yield f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the one here"


def certificate(reason: str) -> Match:
    def match(evidence: Evidence) -> Iterator[str]:
        for port, seen in evidence.under("tls"):
            if seen.get("refused") == reason:
                yield f"port {port}: {seen['said']}"

    return match


def certificate_expiring(evidence: Evidence) -> Iterator[str]:
    for port, seen in evidence.under("tls"):
        if 0 <= seen.get("days", SOON) < SOON:
            yield f"port {port}: {seen['days']} days left"


def no_starttls(evidence: Evidence) -> Iterator[str]:
    for port, seen in evidence.under("tls"):
        if seen.get("refused") in {"no STARTTLS", "no TLS"}:
            yield f"port {port}: {seen['said']}"


def resolver_broken(evidence: Evidence) -> Iterator[str]:
    said = evidence["resolver"]
    if said is not None and said != "NOERROR":
        yield f"asked for the root's name servers, the server's resolver said {said}"


def relay(state: str) -> Match:
    def match(evidence: Evidence) -> Iterator[str]:
        for name, seen in evidence.under("relay"):
            if seen["state"] == state:
                yield f"{name}: {seen['said']}"

    return match


def routes_differ(evidence: Evidence) -> Iterator[str]:
    current = evidence["routes"]
    for domain in evidence.domains if current is not None else []:
        hop = current.get(domain["name"], "")
        if hop != domain["next_hop"]:
            yield f"{domain['name']} leaves by {hop or 'the recipient’s MX'}, not by {domain['next_hop'] or 'it'}"


def trusts_networks(evidence: Evidence) -> Iterator[str]:
    networks = (evidence["postfix"] or {}).get("mynetworks", "")
    wide = [n for n in re.split(r"[\s,]+", networks) if n and not re.match(r"(\[?::1\]?|127\.)", n)]
    foreign = [n for n in wide if re.search(r"/(\d|1\d|2[0-4])$", n)]
    if foreign:
        yield f"mynetworks holds {', '.join(foreign)}"


def logged(pattern: str) -> Match:
    """A line of the recent mail log."""

    def match(evidence: Evidence) -> Iterator[str]:
        lines = (evidence["log"] or {}).get("lines", [])
        yield from [line for line in lines if re.search(pattern, line)][-1:]

    return match


def submission_rests(evidence: Evidence) -> Iterator[str]:
    facts = (evidence.facts.get(f"tls {port}") for port in (465, 587))
    if any(fact and fact.unseen for fact in facts):
        yield from logged(r"no SASL authentication mechanisms")(evidence)


def waiting(pattern: str) -> Match:
    """A reason why a message waits in the queue now."""
    return lambda evidence: _reasons((evidence["queue"] or {}).get("reasons", {}), pattern)


def bounced(pattern: str) -> Match:
    """An answer that recently bounced a message."""
    return lambda evidence: _reasons((evidence["log"] or {}).get("bounced", {}), pattern)


def _reasons(reasons: dict[str, int], pattern: str) -> Iterable[str]:
    return [f"{count} × {said}" for said, count in sorted(reasons.items()) if re.search(pattern, said, re.IGNORECASE)]
