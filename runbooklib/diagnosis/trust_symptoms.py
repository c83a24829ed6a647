"""Whom Postfix trusts to send without a login: the networks of mynetworks beyond the server itself."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from runbooklib.diagnosis.evidence import Evidence

Network = IPv4Network | IPv6Network

# RFC 1918, RFC 6598, RFC 4193: nobody comes from there over the internet, but whoever a gateway stands for may seem to.
PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
MAPPED = 96  # bits of an IPv6 address before the IPv4 one in it (RFC 4291 2.5.5.2)
ONE_SITE = 64  # bits: what hosters give a server of its own (RFC 6177)


def trusts_strangers(evidence: Evidence) -> Iterator[str]:
    yield from _said(text for text, network in _beyond(evidence) if not _near(evidence, network))


def trusts_neighbours(evidence: Evidence) -> Iterator[str]:
    yield from _said(text for text, network in _beyond(evidence) if _near(evidence, network))


def trusts_anybody(evidence: Evidence) -> Iterator[str]:
    yield from _said(text for text, _ in _beyond(evidence))


def _said(networks: Iterator[str]) -> Iterator[str]:
    if told := ", ".join(networks):
        yield f"mynetworks holds {told}"


def _beyond(evidence: Evidence) -> Iterator[tuple[str, Network]]:
    """What is trusted and not the server itself; tables are not looked at, nor what is left out with a !."""
    for text in re.split(r"[\s,]+", (evidence["postfix"] or {}).get("mynetworks", "")):
        network = _network(text)
        if network and not (network.is_loopback or network.is_link_local or _itself(evidence, network)):
            yield text, network


def _network(text: str) -> Network | None:
    try:
        found = ip_network(text.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None
    mapped = getattr(found.network_address, "ipv4_mapped", None)
    return ip_network(f"{mapped}/{found.prefixlen - MAPPED}") if mapped and found.prefixlen >= MAPPED else found


def _itself(evidence: Evidence, network: Network) -> bool:
    """One address: the server's, or one that it has behind NAT or in a container."""
    return network.num_addresses == 1 and (_private(network) or network.network_address in _own(evidence))


def _near(evidence: Evidence, network: Network) -> bool:
    """Where only neighbours are, or one host that somebody named on purpose."""
    hosted = network.version == ip_address("::").version and network.prefixlen >= ONE_SITE
    own_range = hosted and any(address in network for address in _own(evidence))
    return _private(network) or network.num_addresses == 1 or own_range


def _private(network: Network) -> bool:
    return any(network.network_address in net and network.prefixlen >= net.prefixlen for net in PRIVATE)


def _own(evidence: Evidence) -> list[object]:
    return [ip_address(told) for told in (evidence.site["ipv4"], evidence.site["ipv6"]) if told]
