"""Names that send nothing, and those that receive nothing either: what forbids to say so of a name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooklib.params.site import Site


def problems(site: Site) -> Iterator[str]:
    """Every reason why these names are not silent."""
    used = dict(_senders(site))
    for name in site.dns.sends_nothing:
        if name in used:
            yield f"dns.sends_nothing: {name} {used[name]}"
    for name in site.dns.receives_nothing:
        if name == site.server.hostname:
            yield f"dns.receives_nothing: {name} stands in From of the server's own bounces (RFC 7505 4.2)"
        elif name not in site.dns.sends_nothing:
            yield f"dns.receives_nothing: {name} is not in sends_nothing: its bounces went nowhere (RFC 7505 4.2)"


def _senders(site: Site) -> Iterator[tuple[str, str]]:
    """The names that stand in MAIL FROM or HELO of this site's mail."""
    for domain in site.domains:
        yield domain.name, "is a mail domain"
        relay = site.relays.get(domain.relay)
        if relay and relay.return_path:
            yield f"{relay.return_path}.{domain.name}", f"is the return path of {domain.relay}"
    if site.sends_directly:
        yield site.server.hostname, "is the HELO name of mail that leaves directly, bounces among it (RFC 7208 2.4)"
