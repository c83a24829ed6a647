"""Where mail goes, and who may send it: MX and SPF."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib import spf
from runbooklib.params import Domain, Relay, Site
from runbooklib.records.wanted import TTL, Wanted


def wanted(site: Site) -> Iterator[Wanted]:
    """MX and SPF of each mail domain, and SPF of the host where it sends by itself."""
    for domain in site.domains:
        why = "receiving does not pass the relay: strangers deliver to this server"
        host = (f"10 {site.server.hostname}",)
        yield Wanted(domain.name, "MX", host, TTL, why, "RFC 5321 5.1", "05-send", take_over=domain.take_over_mx)
        yield from _spf(site, domain)
    if site.sends_directly:
        why = "bounces carry no envelope sender, so SPF is judged at the HELO name"
        why += "; SRS puts it into MAIL FROM of forwards" if site.srs_domain == site.server.hostname else ""
        record = (str(spf.of(_own_addresses(site))),)
        yield Wanted(site.server.hostname, "TXT", record, TTL, why, "RFC 7208 2.4", "05-send")


def _spf(site: Site, domain: Domain) -> Iterator[Wanted]:
    """SPF at the domain, where it stands in MAIL FROM: a relay with a return path of its own is judged there."""
    if domain.relay == "direct":
        why = "the server sends for this domain itself"
        yield Wanted(domain.name, "TXT", (str(spf.of(_own_addresses(site))),), TTL, why, "RFC 7208 3", "05-send")
    elif not site.relays[domain.relay].return_path:
        why = f"authorises the pool {domain.relay} sends from; this server sends nothing itself"
        record = _authorises(site.relays[domain.relay])
        yield Wanted(domain.name, "TXT", record, TTL, why, "RFC 7208 3", "02-relay")


def _authorises(relay: Relay) -> tuple[str, ...]:
    return (str(spf.of(relay.spf.split())),) if relay.spf else ()


def _own_addresses(site: Site) -> list[str]:
    server = site.server
    return [f"ip4:{server.ipv4}", *([f"ip6:{server.ipv6}"] if server.ipv6 else [])]
