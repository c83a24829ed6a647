"""What resolvers say about the site's names: each question a fact of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dns.reversename

from runbooklib import endpoint
from runbooklib.endpoint import NameMissingError
from runbooklib.params import Domain, Relay, Site


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Address and reverse names of the server; MX, SPF, DKIM and DMARC of each domain."""
    ask = partial(_ask, site)
    yield f"address {site.server.hostname}", lambda: {kind: ask(site.server.hostname, kind) for kind in ("A", "AAAA")}
    for address in filter(None, (site.server.ipv4, site.server.ipv6)):
        yield f"ptr {address}", partial(ask, dns.reversename.from_address(address).to_text(), "PTR")
    for domain in site.domains:
        yield f"mx {domain.name}", partial(_mx, site, domain.name)
        relay = site.relay_of(domain)
        yield f"spf {judged_at(domain, relay)}", partial(_texts, site, judged_at(domain, relay), "v=spf1")
        yield f"dmarc {domain.name}", partial(_texts, site, f"_dmarc.{domain.name}", "v=DMARC1")
        for selector in (domain.dkim.selector, *(d.selector for d in (relay.keys_for(domain.name) if relay else ()))):
            name = f"{selector}._domainkey.{domain.name}"
            yield f"dkim {name}", partial(_texts, site, name, "")


def judged_at(domain: Domain, relay: Relay | None) -> str:
    """Where receivers look for SPF: at MAIL FROM, which a relay may put under a name of its own (RFC 7208 2.4)."""
    return f"{relay.return_path}.{domain.name}" if relay and relay.return_path else domain.name


def _ask(site: Site, name: str, kind: str) -> list[str]:
    try:
        found = endpoint.lookup(name, kind, site.dns.resolvers)
    except NameMissingError:
        return []
    return sorted(record.to_text().rstrip(".").lower() for record in found)


def _mx(site: Site, domain: str) -> list[str]:
    return [record.split()[1] for record in _ask(site, domain, "MX")]


def _texts(site: Site, name: str, start: str) -> list[str]:
    found = endpoint.texts(name, site.dns.resolvers)
    return sorted(text for text in found if text.lower().replace(" ", "").startswith(start.lower()))
