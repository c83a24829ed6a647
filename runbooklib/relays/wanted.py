"""The records a relay needs in the zones of the domains it sends for, as far as params can say."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib import spf
from runbooklib.params import Domain, Relay, Site
from runbooklib.records import TTL, Wanted

STAGE = "02-relay"
SELECTORS = {"resend": "resend", "mxroute": "x"}  # where the provider's key stands; its value is one per domain
POOLS = {"resend": "include:amazonses.com"}  # Resend sends through Amazon SES


def records(site: Site) -> tuple[Wanted, ...]:
    """DKIM of each domain's relay, and the return path where the relay has one of its own."""
    found: dict[Wanted, None] = {}
    for domain in site.domains:
        if domain.relay != "direct":
            relay = site.relays[domain.relay]
            found |= dict.fromkeys([*_keys(domain, relay), *_return_path(domain, relay)])
    return tuple(found)


def _keys(domain: Domain, relay: Relay) -> Iterator[Wanted]:
    why = f"the key {domain.relay} signs with for {domain.name}; it aligns, so DMARC passes by it"
    keys = relay.keys_for(domain.name)
    for dkim in keys:
        name = f"{dkim.selector}._domainkey.{domain.name}"
        kind, value = ("CNAME", dkim.cname) if dkim.cname else ("TXT", dkim.value or "")
        yield Wanted(name, kind, (value,), TTL, why, "RFC 6376 3.6.2", STAGE)
    if not keys and relay.provider in SELECTORS:
        yield Wanted(
            f"{SELECTORS[relay.provider]}._domainkey.{domain.name}", "TXT", (), TTL, why, "RFC 6376 3.6.2", STAGE
        )


def _return_path(domain: Domain, relay: Relay) -> Iterator[Wanted]:
    """The relay puts MAIL FROM under a name of its own: SPF is judged there, and bounces go there."""
    if not relay.return_path:
        return
    name = f"{relay.return_path}.{domain.name}"
    pool = relay.spf or POOLS.get(relay.provider)
    why = f"{domain.relay} sends with MAIL FROM under {name}, so SPF is judged there and not at {domain.name}"
    yield Wanted(name, "TXT", (str(spf.of([pool])),) if pool else (), TTL, why, "RFC 7208 2.4", STAGE)
    if relay.provider == "resend":
        target = f"10 feedback-smtp.{relay.region}.amazonses.com"
        yield Wanted(name, "MX", (target,), TTL, f"bounces of {domain.relay} return to it", "RFC 5321 4.4", STAGE)
