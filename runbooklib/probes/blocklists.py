"""Whether lists that receivers ask hold the server's own addresses (RFC 5782)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from runbooklib import endpoint
from runbooklib.audit.blocklists import CODES, REFUSALS, TEST, reversed_name
from runbooklib.endpoint import NameMissingError
from runbooklib.params import Site
from runbooklib.probes.mailflow import UnseenError


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """For each list of `dns.blocklists` and each address of the server what the list answers."""
    for zone in site.dns.blocklists:
        for address in filter(None, (site.server.ipv4, site.server.ipv6)):
            yield f"blocklist {reversed_name(address, zone)}", partial(listing, site, address, zone)


def listing(site: Site, address: str, zone: str) -> dict[str, Any]:
    """What a list says of an address; no codes where it is not listed.

    Raises UnseenError where the list answers nothing that could be relied on.
    """
    codes = _codes(site, address, zone)
    if codes and _codes(site, TEST[4][1], zone):
        raise UnseenError(f"{zone} lists everything: take it out of dns.blocklists")
    return {"address": address, "list": zone, "codes": codes}


def _codes(site: Site, address: str, zone: str) -> list[str]:
    try:
        answer = endpoint.lookup(reversed_name(address, zone), "A", site.dns.resolvers)
    except NameMissingError:
        return []
    codes = sorted(record.to_text() for record in answer)
    if refusal := next((REFUSALS[code] for code in codes if code in REFUSALS), ""):
        raise UnseenError(f"{zone} tells nothing: {refusal}; ask through a resolver of your own")
    if any(ipaddress.ip_address(code) not in CODES for code in codes):
        raise UnseenError(f"{zone} answers {', '.join(codes)}, which is no listing (RFC 5782 2.1)")
    return codes
