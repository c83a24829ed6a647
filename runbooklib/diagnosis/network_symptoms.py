"""How the way between shows its faults: ports, addresses, what gets lost or is too large."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Sign

OPEN = "open"
MUTE = {"silent": "takes connections and says nothing", "hung up": "takes connections and hangs up at once"}
EVERYWHERE = {"", "0.0.0.0", "::"}  # noqa: S104 - how Docker writes *any address*
LOST, AT_LEAST = 0.02, 4  # of all packets; below that mail only gets a little slower, and a single one proves nothing
HOST_NETWORK = "host"


def closed(evidence: Evidence) -> Iterator[Sign]:
    for port, seen in evidence.under("port"):
        if seen["state"] not in {OPEN, *MUTE}:
            yield Sign(f"port {port}: {seen['state']}", port)


def mute(evidence: Evidence) -> Iterator[Sign]:
    for port, seen in evidence.under("port"):
        if seen["state"] in MUTE:
            yield Sign(f"port {port} {MUTE[seen['state']]}", port)


def filtered(evidence: Evidence) -> Iterator[Sign]:
    """A port that something listens on, and that nothing on the server itself keeps from the outside."""
    listening = evidence["listeners"] or []
    hidden = {sign.about for sign in unpublished(evidence)}
    for port, seen in evidence.under("port"):
        if seen["state"] in {"dropped", "refused"} and int(port) in listening and port not in hidden:
            yield Sign(f"port {port}: {seen['state']} on the way here, though the server listens there", port)


def unpublished(evidence: Evidence) -> Iterator[Sign]:
    """A listener in a container that no port of the server leads to, nor anything else that would answer there."""
    told = evidence["published"]
    if not told or told["network"] == HOST_NETWORK:
        return
    for port in sorted(set(evidence.site["ports"]) & set(evidence["listeners"] or [])):
        outer = told["ports"].get(str(port), [])
        reached = (evidence[f"port {port}"] or {}).get("state") == OPEN
        if not reached and not EVERYWHERE & set(outer) and evidence.site["ipv4"] not in outer:
            where = f"only on {', '.join(outer)}" if outer else "nowhere"
            yield Sign(f"port {port} has a listener in the container and is published {where}", str(port))


def deaf_over_ipv6(evidence: Evidence) -> Iterator[Sign]:
    name = evidence.site["hostname"]
    published = (evidence[f"address {name}"] or {}).get("AAAA") or []
    states = {port: seen["state"] for port, seen in evidence.under("port6") if seen}
    over_ipv4 = {port: seen["state"] for port, seen in evidence.under("port")}
    deaf = [f"{port} ({state})" for port, state in states.items() if state != OPEN and over_ipv4.get(port) == OPEN]
    if published and deaf:
        yield Sign(
            f"{name} has AAAA {', '.join(published)}, where no connection is taken on port {', '.join(deaf)}", name
        )


def gateway_comes(evidence: Evidence) -> Iterator[str]:
    """Our own connection stands in the server's log under the address of the container's gateway."""
    told = evidence["clients"] or {"gateways": [], "came": {}}
    for kind, came in told["came"].items():
        masked = [address for address in came if address in told["gateways"]]
        ourselves = [c for c in came if c not in told["gateways"] and ip_address(c).version == _version(kind)]
        if masked and not ourselves:
            yield f"who comes over {kind} is {masked[-1]} to the server, its container's gateway"


def _version(kind: str) -> int:
    return int(kind.removeprefix("IPv"))


def losing(evidence: Evidence) -> Iterator[str]:
    told = evidence["segments"]
    if not told:
        return
    lost_there = max(0, told["resent"] - told["unanswered"] - told["needless"])
    ways = {"from": (lost_there, told["sent"]), "to": (told["early"], told["received"])}
    for way, (lost, all_) in ways.items():
        if lost >= max(AT_LEAST, LOST * all_):
            yield f"of {all_} packets {way} the server at least {lost} were missing where they should have come"


def stalling(evidence: Evidence) -> Iterator[Sign]:
    for name, seen in evidence.under("path"):
        if seen["state"] == "stalls":
            yield Sign(f"{name}: {seen['said']}", name)


def stalling_here(evidence: Evidence) -> Iterator[str]:
    """Every service greets in small packets, and none shows its certificate, which no small packet holds."""
    silent = [port for port, why in _unheard(evidence) if "no TLS answer in time" in why]
    shown = [port for port, seen in evidence.under("tls") if "days" in seen]
    if len(silent) > 1 and not shown:
        yield f"ports {', '.join(silent)} greet, and send nothing of their certificates"


def _unheard(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Why an open port showed no certificate."""
    for name, fact in evidence.facts.items():
        word, _, port = name.partition(" ")
        if word == "tls" and (evidence[f"port {port}"] or {}).get("state") == OPEN:
            yield port, fact.unseen


def too_large(evidence: Evidence) -> Iterator[str]:
    sizes: dict[str, Any] = evidence["mtu"] or {}
    if sizes.get("inner", 0) > sizes.get("outer", 0) > 0:
        yield f"the container makes packets of {sizes['inner']} octets, the way out takes {sizes['outer']}"


def resolver_overridden(evidence: Evidence) -> Iterator[str]:
    named, said = (evidence["published"] or {}).get("dns"), evidence["resolver"]
    if named and said not in {None, "NOERROR"}:
        yield f"the container is told to ask {', '.join(named)}; asked for the root's name servers that said {said}"
