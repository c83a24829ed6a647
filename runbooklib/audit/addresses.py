"""What an address is, and what a name says of it: reachable at all, a CDN's, a provider's numbered name."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from runbooklib.answers import Answer, Lookup

# RFC 6890's registry: what no packet from the world reaches.
UNROUTED = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4"),
    *("240.0.0.0/4", "::/127", "::ffff:0:0/96", "100::/64", "2001:db8::/32", "3fff::/20", "fc00::/7", "fe80::/10"),
    *("fec0::/10", "ff00::/8"),
)
REHEARSED = ("198.18.0.0/15", "2001:db8::/32")  # the testbed's, which stand for public ones there
# Where web proxies answer; nobody reaches port 25 through them. Published by Cloudflare and Fastly.
PROXIES = (
    *("173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "103.31.4.0/22", "141.101.64.0/18", "108.162.192.0/18"),
    *("190.93.240.0/20", "188.114.96.0/20", "197.234.240.0/22", "198.41.128.0/17", "162.158.0.0/15", "104.16.0.0/13"),
    *("104.24.0.0/14", "172.64.0.0/13", "131.0.72.0/22", "2400:cb00::/32", "2606:4700::/32", "2803:f800::/32"),
    *("2405:b500::/32", "2405:8100::/32", "2a06:98c0::/29", "2c0f:f248::/32", "151.101.0.0/16", "199.232.0.0/16"),
    *("146.75.0.0/17", "2a04:4e40::/32", "2a04:4e42::/32"),
)
REMEMBERED = 5000  # what was found out of addresses: those of providers come again with every domain
NUMBERED = re.compile(r"(?:^|[.-])(?:dyn|dynamic|dhcp|pool|dialup|[avx]?dsl|pppoe?|cable|unassigned)\d*(?=[.-])")


@dataclass(frozen=True)
class Addresses:
    """What a name's A and AAAA questions brought."""

    a: Answer
    aaaa: Answer

    @property
    def all(self) -> tuple[str, ...]:
        """Every address, IPv4 first, each in its usual form."""
        return tuple(map(_usual, (*self.a.values, *self.aaaa.values)))

    @property
    def heard(self) -> bool:
        return self.a.heard and self.aaaa.heard

    @property
    def alias(self) -> str:
        """Where the name leads as an alias."""
        return next(iter(self.a.chain or self.aaaa.chain), "")

    @property
    def shown(self) -> str:
        found = ", ".join(self.all)
        return found or (self.a.word if self.a.word == self.aaaa.word else f"A {self.a.word}, AAAA {self.aaaa.word}")


@lru_cache(maxsize=REMEMBERED)
def _usual(address: str) -> str:
    return str(ipaddress.ip_address(address))


async def resolve(look: Lookup, name: str) -> Addresses:
    """Both families, asked side by side."""
    return Addresses(*await asyncio.gather(look(name, "A"), look(name, "AAAA")))


async def resolve_all(look: Lookup, names: Iterable[str]) -> dict[str, Addresses]:
    """The addresses of each name."""
    asked = tuple(dict.fromkeys(names))
    return dict(zip(asked, await asyncio.gather(*(resolve(look, n) for n in asked)), strict=True))


def unreachable(address: str, *, rehearsed: bool = False) -> bool:
    """Whether no packet from the world gets there."""
    return _within(address, UNROUTED) and not (rehearsed and _within(address, REHEARSED))


def loopback(address: str) -> bool:
    """Whether it means the machine itself, as /etc/hosts of Debian says of its own name."""
    return ipaddress.ip_address(address).is_loopback


def proxied(address: str) -> bool:
    """Whether it is a CDN's, which answers for the web and knows no mail."""
    return _within(address, PROXIES)


def numbered(name: str, address: str) -> bool:
    """Whether a reverse name is made from the address, as providers name what they did not sell to mail servers."""
    if NUMBERED.search(name):
        return True
    found = ipaddress.ip_address(address)
    squeezed = re.sub(r"[^0-9a-f]", "", name)
    if found.version == 6:  # noqa: PLR2004 - the protocol's number
        return found.exploded.replace(":", "") in squeezed or address.replace(":", "") in squeezed
    octets, numbers = address.split("."), [str(int(n)) for n in re.findall(r"\d+", name)]
    return (
        set(octets) <= set(numbers)
        or found.packed.hex() in squeezed
        or "".join(f"{int(o):03d}" for o in octets) in squeezed
    )


@lru_cache(maxsize=REMEMBERED)
def _within(address: str, networks: tuple[str, ...]) -> bool:
    found = ipaddress.ip_address(address)
    return any(found in network for network in _parsed(networks) if network.version == found.version)


@cache
def _parsed(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(map(ipaddress.ip_network, networks))
