"""The testbed's network: an address range of its own, no way out, and no way to this machine's own listeners."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

import docker
from docker.errors import APIError, ContainerError, NotFound
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from runbooklib.testbed.engine import TestbedError

BENCHMARKING = IPv4Network("198.18.0.0/15")  # RFC 2544: neither private nor anybody's, so that peers are strangers
DOCUMENTATION = IPv6Network("2001:db8::/32")  # RFC 3849
TRIES, REST = 4, 0.5  # to remove a network, and the seconds between two
NUMBERS = {
    "dns": 2,
    "resolver": 3,
    "registry": 4,
    "relay": 5,
    "mx": 6,
    "resend": 7,
    "mxroute": 8,
    "mailcow": 9,
    "server": 10,
}


class NetworkError(TestbedError):
    """No network could be made for the testbed, or this machine does not reach it."""


@dataclass(frozen=True)
class Range:
    """One testbed's addresses: a /24 and the /64 of the same number."""

    subnet4: IPv4Network
    subnet6: IPv6Network

    @classmethod
    def number(cls, index: int) -> Range:
        """The range with that index, of 512."""
        four = BENCHMARKING.network_address + index * 256
        return cls(IPv4Network(f"{four}/24"), IPv6Network(f"2001:db8:0:{index:x}::/64"))

    def ipv4(self, host: str) -> str:
        """A host's IPv4 address."""
        return str(self.subnet4.network_address + NUMBERS[host])

    def ipv6(self, host: str) -> str:
        """A host's IPv6 address, which ends in the same digits."""
        return str(self.subnet6.network_address + int(str(NUMBERS[host]), 16))


def create(engine: docker.DockerClient, name: str, bridge: str, labels: dict[str, str]) -> Range:
    """Makes the network in the first free range.

    Raises NetworkError when there is none.
    """
    for addresses in _free(engine, name):
        pools = [IPAMPool(subnet=str(addresses.subnet4)), IPAMPool(subnet=str(addresses.subnet6))]
        try:
            engine.networks.create(
                name,
                driver="bridge",
                internal=True,
                enable_ipv6=True,
                ipam=IPAMConfig(pool_configs=pools),
                options={"com.docker.network.bridge.name": bridge},
                labels=labels,
            )
        except APIError as error:
            if "overlap" in str(error).lower():
                continue  # another testbed took it in between
            raise NetworkError(f"Docker made no network {name}: {error.explanation or error}") from None
        return addresses
    raise NetworkError(f"every /24 of {BENCHMARKING} is taken: `docker network ls` shows by whom")


def remove(network: Network, rest: float = REST) -> str:
    """Removes a network; why it stays, where the engine keeps it.

    Of containers that were removed at once the engine may keep an endpoint for a while, or until it is told by force.
    """
    said = ""
    for _ in range(TRIES):
        try:
            network.remove()
        except NotFound:
            return ""
        except APIError as error:
            said = str(error.explanation or error)
            _let_go(network)
            time.sleep(rest)
        else:
            return ""
    return said


def _let_go(network: Network) -> None:
    """Disconnects what hangs on it still, by name: of what has no container any more nothing else is known."""
    with suppress(APIError):
        network.reload()
    for endpoint in ((network.attrs or {}).get("Containers") or {}).values():
        with suppress(APIError):
            network.disconnect(endpoint["Name"], force=True)


def _free(engine: docker.DockerClient, name: str) -> Iterator[Range]:
    """The ranges no network of this engine uses, from a place that depends on the name so that two rarely race."""
    taken = [ip_network(subnet) for network in engine.networks.list() for subnet in _subnets(network)]
    start = zlib.crc32(name.encode())
    for step in range(512):
        addresses = Range.number((start + step) % 512)
        if not any(_overlap(used, addresses) for used in taken):
            yield addresses


def _subnets(network: Network) -> list[str]:
    configured = (network.attrs or {}).get("IPAM", {}).get("Config") or []
    return [pool["Subnet"] for pool in configured if "Subnet" in pool]


def _overlap(used: IPv4Network | IPv6Network, addresses: Range) -> bool:
    return used.overlaps(addresses.subnet4 if used.version == 4 else addresses.subnet6)  # noqa: PLR2004 - IP version


def close(engine: docker.DockerClient, image: str, bridge: str) -> None:
    """Closes this machine to what comes in from the bridge, and every way through it."""
    _rules(engine, image, bridge, "close")


def reopen(engine: docker.DockerClient, image: str, bridge: str) -> None:
    """Takes the rules of `close` back."""
    _rules(engine, image, bridge, "reopen")


def _rules(engine: docker.DockerClient, image: str, bridge: str, what: str) -> None:
    """Runs our firewall script in this machine's network namespace; neither root nor iptables is needed here."""
    try:
        engine.containers.run(
            image, ["/opt/testbed/firewall", what, bridge], network_mode="host", cap_add=["NET_ADMIN"], remove=True
        )
    except ContainerError as error:
        said = (error.stderr or b"").decode(errors="replace") if isinstance(error.stderr, bytes) else error.stderr
        raise NetworkError(f"the testbed's firewall rules could not be set: {said}") from None
