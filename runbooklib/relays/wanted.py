"""The records a relay needs in the zones of the domains it sends for: as its provider tells, else as params do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib import spf
from runbooklib.params import Domain, Relay, Site
from runbooklib.records import TTL, Wanted
from runbooklib.relays.accounts import ABSENT, Account, Accounts
from runbooklib.relays.told import KEY_WHY, PATH_WHY, STAGE

SELECTORS = {"resend": "resend", "mxroute": "x"}  # where the provider's key stands; its value is one per domain
ADDED_BY = {"resend": STAGE, "mxroute": "04-dns"}  # the stage that adds a domain there; then its key is known
POOLS = {"resend": "include:amazonses.com"}  # Resend sends through Amazon SES


def records(site: Site, accounts: Accounts | None = None) -> tuple[Wanted, ...]:
    """DKIM of each domain's relay, its return path or its SPF, and what proves the domain to it."""
    found: dict[Wanted, None] = {}
    for domain in site.domains:
        relay = site.relay_of(domain)
        account = accounts.of(domain.name) if accounts else None
        if relay is not None:
            found |= dict.fromkeys(_of(domain, relay, account))
    return tuple(found)


def _of(domain: Domain, relay: Relay, account: Account | None) -> Iterator[Wanted]:
    """What the provider told wins; what it will tell is not guessed; where it is not asked, params know."""
    told = account.records if account else ()
    asked = account is not None and (account.managed or account.problem is not None)
    after = ADDED_BY.get(relay.provider, "") if account and account.status == ABSENT else ""
    yield from (_with_own(relay, w) if w.kind == "spf" and w.name == domain.name else w for w in told)
    if not any(w.kind == "dkim" for w in told):
        yield from _keys(domain, relay, after)
    if not asked:
        yield from _return_path(domain, relay)
    elif not any(w.kind in {"mx", "alias"} for w in told):
        yield from (replace(w, values=(), known_after=after) for w in _return_path(domain, relay))


def _with_own(relay: Relay, told: Wanted) -> Wanted:
    """The SPF record a provider told, with what params name beside the pool: own addresses, `a`, `mx`."""
    own = [t.text for t in spf.of([relay.spf]).tested if t.name != "include"] if relay.spf else []
    return replace(told, values=(str(spf.of(own).merged(spf.parse(told.values[0]))),))


def _keys(domain: Domain, relay: Relay, after: str) -> Iterator[Wanted]:
    why = KEY_WHY.format(relay=domain.relay, domain=domain.name)
    keys = relay.keys_for(domain.name)
    for dkim in keys:
        name = f"{dkim.selector}._domainkey.{domain.name}"
        kind, value = ("CNAME", dkim.cname) if dkim.cname else ("TXT", dkim.value or "")
        yield Wanted(name, kind, (value,), TTL, why, "RFC 6376 3.6.2", STAGE)
    if not keys and relay.provider in SELECTORS:
        name = f"{SELECTORS[relay.provider]}._domainkey.{domain.name}"
        yield Wanted(name, "TXT", (), TTL, why, "RFC 6376 3.6.2", STAGE, known_after=after)


def _return_path(domain: Domain, relay: Relay) -> Iterator[Wanted]:
    """The relay puts MAIL FROM under a name of its own: SPF is judged there, and bounces go there."""
    if not relay.return_path:
        return
    name = f"{relay.return_path}.{domain.name}"
    pool = relay.spf or POOLS.get(relay.provider)
    why = PATH_WHY.format(relay=domain.relay, name=name, domain=domain.name)
    yield Wanted(
        name, "TXT", (str(spf.of(pool.split())),) if pool else (), TTL, why, "RFC 7208 2.4", STAGE, returns=True
    )
    if relay.provider == "resend":
        target = f"10 feedback-smtp.{relay.region}.amazonses.com"
        why = f"bounces of {domain.relay} return to it"
        yield Wanted(name, "MX", (target,), TTL, why, "RFC 5321 4.4", STAGE, returns=True)
