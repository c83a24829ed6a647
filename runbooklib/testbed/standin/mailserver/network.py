"""PERMIT_DOCKER: which of the container's neighbours may relay without a login."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from typing import TYPE_CHECKING

from . import postfix, shutdown

if TYPE_CHECKING:
    from .journal import Journal
    from .settings import Settings

MISCONFIGURED = "Network Setup [docker_permit] | NETWORK_INTERFACE appears to be misconfigured, please verify."


def permit_neighbours(settings: Settings, journal: Journal) -> None:
    """Set mynetworks; an interface that is not there ends the container."""
    found = subprocess.run(
        ["ip", "-json", "-4", "address", "show", settings["NETWORK_INTERFACE"]],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    addresses = _addresses(found.stdout) if found.returncode == 0 else []
    if not addresses:
        shutdown.now(journal, "Detecting the container IP address failed", MISCONFIGURED)
    postfix.set_parameters({"mynetworks": " ".join(_networks(settings["PERMIT_DOCKER"], addresses))})


def _addresses(shown: str) -> list[ipaddress.IPv4Interface]:
    links = json.loads(shown)
    return [
        ipaddress.IPv4Interface(f"{entry['local']}/{entry['prefixlen']}")
        for link in links
        for entry in link.get("addr_info", [])
    ]


def _networks(permit: str, addresses: list[ipaddress.IPv4Interface]) -> list[str]:
    own = str(addresses[0].ip)
    return {
        "none": [],
        "container": [f"{own}/32"],
        "host": ["127.0.0.0/8", "[::1]/128", str(ipaddress.ip_network(f"{own}/16", strict=False))],
        "network": ["127.0.0.0/8", "[::1]/128", "172.16.0.0/12"],
        "connected-networks": ["127.0.0.0/8", "[::1]/128", *(str(address.network) for address in addresses)],
    }[permit]
