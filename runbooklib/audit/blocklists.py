"""DNS blocklists of addresses and of domains (RFC 5782): what they hold, and whether they are alive."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable

from runbooklib.answers import Answer, Lookup
from runbooklib.audit.claims import Claim
from runbooklib.audit.usage import absent
from runbooklib.results import Check

CODES = ipaddress.ip_network("127.0.0.0/8")  # RFC 5782 2.1: a listing is an address in here
# What Spamhaus says instead of an answer: a typing error, a public resolver, too many questions. mox, Mail-in-a-Box
# and others have taken these for listings.
REFUSALS = {
    "127.255.255.252": "a wrong list name",
    "127.255.255.254": "asked through a public resolver",
    "127.255.255.255": "too many questions",
    "127.0.1.255": "an address asked of a list of domains",
}
REF_CODES = "https://www.spamhaus.org/faqs/dnsbl-usage/"
TEST = {4: ("127.0.0.2", "127.0.0.1"), 6: ("::ffff:7f00:2", "::ffff:7f00:1")}  # RFC 5782 5: listed, and never
TEST_NAME, NEVER_NAME = "test", "invalid"


async def of_addresses(look: Lookup, lists: Iterable[str], addresses: Iterable[str], *, sends: bool) -> list[Check]:
    """The health of each list, and whether it holds one of the addresses."""
    jobs = [_addresses(look, zone, tuple(addresses), sends=sends) for zone in lists]
    return [row for rows in await asyncio.gather(*jobs) for row in rows]


async def of_domains(look: Lookup, lists: Iterable[str], domains: Iterable[str], *, sends: bool) -> list[Check]:
    """The same for lists of domains."""
    jobs = [_domains(look, zone, tuple(domains), sends=sends) for zone in lists]
    return [row for rows in await asyncio.gather(*jobs) for row in rows]


async def _addresses(look: Lookup, zone: str, addresses: tuple[str, ...], *, sends: bool) -> list[Check]:
    """A list without the IPv6 test entry takes no IPv6 questions: its silence there proves nothing."""
    named = [reversed_name(a, zone) for a in (*TEST[4], TEST[6][0], *addresses)]
    listed, never, six, *answers = await asyncio.gather(*(look(name, "A") for name in named))
    health = _health(zone, listed, never)
    alive = health.status == "pass"
    rows = [
        _listed(Claim("dns.dnsbl", f"{address} {zone}", f"not listed by {zone}"), answer, alive=alive, sends=sends)
        for address, answer in zip(addresses, answers, strict=True)
        if ":" not in address or codes(six)
    ]
    return [health, *rows]


async def _domains(look: Lookup, zone: str, domains: tuple[str, ...], *, sends: bool) -> list[Check]:
    named = (f"{name}.{zone}" for name in (TEST_NAME, NEVER_NAME, *domains))
    listed, never, *answers = await asyncio.gather(*(look(name, "A") for name in named))
    health = _health(zone, listed, never)
    alive = health.status == "pass"
    rows = [
        _listed(
            Claim("dns.dnsbl.domain", f"{domain} {zone}", f"not listed by {zone}"), answer, alive=alive, sends=sends
        )
        for domain, answer in zip(domains, answers, strict=True)
    ]
    return [health, *rows]


def reversed_name(address: str, zone: str) -> str:
    """Where a list holds an address (RFC 5782 2.1, 2.4)."""
    labels = ipaddress.ip_address(address).reverse_pointer
    return f"{labels.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def codes(answer: Answer) -> tuple[str, ...]:
    """The values that mean a listing."""
    return tuple(v for v in answer.values if ipaddress.ip_address(v) in CODES and not _refusal(v))


def _refusal(value: str) -> str:
    """Why a value is no listing; empty for one that may be."""
    if ipaddress.ip_address(value) not in CODES:
        return "an address outside 127.0.0.0/8: the list is gone, or the resolver makes answers up"
    return REFUSALS.get(value, "")


def _refusals(answer: Answer) -> str:
    return ", ".join(f"{v}: {why}" for v in answer.values if (why := _refusal(v)))


def _health(zone: str, listed: Answer, never: Answer) -> Check:
    claim = Claim("dns.dnsbl.health", zone, "its test entry listed, and nothing that must never be")
    if not (listed.heard and never.heard):
        return claim.unheard(listed, never)
    refused = _refusals(listed) or _refusals(never)
    if refused:
        return claim.unknown(refused, f"ask {zone} through a resolver of your own; see {REF_CODES}")
    fix = f"take {zone} out of dns.blocklists: it tells nothing any more"
    if codes(never):
        return claim.warned("it lists everything", fix)
    return claim.doubted(bool(codes(listed)), "alive" if codes(listed) else "its test entry is not listed", fix)


def _listed(claim: Claim, answer: Answer, *, alive: bool, sends: bool) -> Check:
    """Listed is wrong where strangers see the sender; behind a relay they see the relay's address."""
    refused = _refusals(answer)
    if refused and not codes(answer):
        return claim.unknown(refused, f"ask through a resolver of your own; see {REF_CODES}")
    if not answer.heard:
        return claim.unheard(answer)
    if not alive:
        return claim.unknown(f"{answer.shown}, from a list that cannot be relied on", "see its health row")
    if absent(answer):
        return claim.passed("not listed")
    told = f"listed: {', '.join(codes(answer))}"
    fix = "look it up at the list's own site: it says why, and how it is removed"
    return claim.failed(told, fix) if sends else claim.warned(f"{told}; mail leaves by a relay", fix)
