"""The resolvers whose view counts: those params name, else well-known public ones and the system's."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from runbooklib.params import Site

SYSTEM = Path("/etc/resolv.conf")


def resolvers(site: Site, system: Path = SYSTEM) -> tuple[str, ...]:
    """Whom to ask what the world sees.

    Where params name resolvers nobody else is asked: behind a firewall nobody else answers, and a rehearsal's names
    exist nowhere else.
    """
    if "resolvers" in site.dns.model_fields_set:
        return site.dns.resolvers
    return tuple(dict.fromkeys([*site.dns.resolvers, *nameservers(system)]))


def nameservers(system: Path = SYSTEM) -> tuple[str, ...]:
    """The addresses in resolv.conf (resolv.conf(5)); none where it cannot be read."""
    try:
        lines = [line.split() for line in system.read_text(errors="replace").splitlines()]
    except OSError:
        return ()
    return tuple(words[1] for words in lines if words[:1] == ["nameserver"] and _address("".join(words[1:2])))


def _address(text: str) -> bool:
    """A scoped address (fe80::1%eth0) is the router's, which asks one of the others."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text
