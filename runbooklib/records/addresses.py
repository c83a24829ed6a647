"""The addresses of the mail host, and the names that they lead back to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.records.wanted import TTL, Held, Wanted
from runbooklib.results import Status

UNSEEN = Held(
    "nobody looked into the server's log for clients over IPv6",
    "walk 04-dns, which reads the log",
    lacking=Status.UNKNOWN,
    standing=Status.PASS,
)


def wanted(site: Site) -> Iterator[Wanted]:
    """Where the MX name leads; over IPv6 only once the server's log shows that this way leads there."""
    why = "where the MX name leads: the server's own address"
    yield Wanted(site.server.hostname, "A", (site.server.ipv4,), TTL, why, "RFC 5321 5.1", "05-send")
    if site.server.ipv6:
        yield ipv6(site, site.server.ipv6, UNSEEN)


def ipv6(site: Site, address: str, held: Held | None = None) -> Wanted:
    """The AAAA record of the mail host; Docker without IPv6 hands clients over as its gateway, and their SPF fails."""
    why = "where the MX name leads over IPv6: the log shows such clients under their own addresses"
    why = "where the MX name would lead over IPv6" if held else why
    name = site.server.hostname
    return Wanted(name, "AAAA", (address,), TTL, why, "RFC 7208 4.1, RFC 5321 5.1", "05-send", held=held)


def reverse(site: Site) -> Iterator[Wanted]:
    """PTR is the address owner's to set: checked, never published; it decides only where we send directly."""
    why = "an address that sends should have a name that leads back to it; relayed mail shows the relay's"
    for address in filter(None, (site.server.ipv4, site.server.ipv6)):
        name = ipaddress.ip_address(address).reverse_pointer
        values = (site.server.hostname,)
        yield Wanted(name, "PTR", values, TTL, why, "RFC 1912 2.1", "05-send", advisory=not site.sends_directly)
