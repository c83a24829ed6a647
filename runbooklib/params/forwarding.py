"""Mail that an alias or a catch-all sends on to addresses elsewhere: its one route, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooklib.params.site import Domain, Relay

DIRECT = "direct"


def targets(domain: Domain) -> dict[str, tuple[str, ...]]:
    """Where each alias of a domain leads; its catch-all stands as @domain."""
    return domain.aliases | ({f"@{domain.name}": (domain.catch_all,)} if domain.catch_all else {})


def outside(domains: Sequence[Domain], hostname: str) -> dict[str, tuple[str, ...]]:
    """Each alias that leads out of the site, with the targets that are elsewhere."""
    here = {hostname, *(d.name for d in domains)}
    found = {
        alias: tuple(a for a in addresses if a.rpartition("@")[2] not in here)
        for domain in domains
        for alias, addresses in targets(domain).items()
    }
    return {alias: addresses for alias, addresses in found.items() if addresses}


def route(domain: Domain) -> str:
    """What a domain's forwards leave by: direct, or the name of a relay."""
    return domain.forward or domain.relay


def forwarding(domains: Sequence[Domain], hostname: str) -> tuple[Domain, ...]:
    """The domains that send something on."""
    names = {alias.rpartition("@")[2] for alias in outside(domains, hostname)}
    return tuple(d for d in domains if d.name in names)


def problems(domains: Sequence[Domain], relays: Mapping[str, Relay], hostname: str) -> list[str]:
    """Every reason why these forwards cannot be."""
    senders = forwarding(domains, hostname)
    return [
        *_unknown(domains, relays),
        *_refused(domains, relays, hostname),
        *_strangers(senders, domains, relays),
        *_split(senders),
    ]


def _unknown(domains: Sequence[Domain], relays: Mapping[str, Relay]) -> Iterator[str]:
    known = {*relays, DIRECT}
    for i, domain in enumerate(domains):
        if domain.forward is not None and domain.forward not in known:
            yield f"domains[{i}].forward: {domain.forward!r} is not one of {', '.join(sorted(known))}"


def _refused(domains: Sequence[Domain], relays: Mapping[str, Relay], hostname: str) -> Iterator[str]:
    """A relay that checks the author address refuses what others wrote, whatever SRS makes of the envelope."""
    abroad = outside(domains, hostname)
    for i, domain in enumerate(domains):
        relay = relays.get(route(domain))
        if relay is None or relay.takes_forwards:
            continue
        for alias in targets(domain):
            if alias in abroad:
                what = "catch_all" if alias.startswith("@") else f"aliases.{alias}"
                yield (
                    f"domains[{i}].{what}: {', '.join(abroad[alias])} is outside this site, and {route(domain)} takes "
                    "mail of your own authors only (all on Amazon SES check the author address, and SRS changes only "
                    "the envelope): set forward to direct where port 25 is open, or to a relay with forwards: true, "
                    "or name a mailbox here"
                )


def _strangers(senders: Sequence[Domain], domains: Sequence[Domain], relays: Mapping[str, Relay]) -> Iterator[str]:
    """SRS needs a name for MAIL FROM that the relay knows: a domain that it sends for anyway."""
    used = {d.relay for d in domains}
    for name in dict.fromkeys(route(d) for d in senders):
        if name in relays and name not in used:
            yield (
                f"domains: forwards would leave by {name}, which sends for no domain of this site and so takes no "
                "MAIL FROM of it: name a relay that does, or direct"
            )


def _split(senders: Sequence[Domain]) -> Iterator[str]:
    routes = {d.name: route(d) for d in senders}
    if len(set(routes.values())) > 1:
        told = ", ".join(f"{name} by {by}" for name, by in routes.items())
        yield (
            f"domains: forwards would leave by several routes ({told}), but rewritten by SRS the envelope no longer "
            "tells which domain sent a message on: set the same forward for all of them"
        )
