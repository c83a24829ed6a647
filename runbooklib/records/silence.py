"""Names that send nothing, and those that receive nothing either, where params say so."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.records.wanted import NULL_MX, TTL, Held, Wanted
from runbooklib.results import Status

SILENT = "v=spf1 -all"
UNASKED = Held(
    "nobody asked the server which way bounces leave, which are judged at this name",
    "walk 04-dns, which asks it",
    lacking=Status.UNKNOWN,
    standing=Status.UNKNOWN,
    differing=Status.UNKNOWN,
)


def wanted(site: Site) -> Iterator[Wanted]:
    """`-all`, and a null MX where nobody may write to the name."""
    for name in site.dns.sends_nothing:
        yield silent(name, UNASKED if name == site.server.hostname else None)
    for name in site.dns.receives_nothing:
        why = "nobody receives mail here: senders learn it at once, and not after days in a queue"
        yield Wanted(name, "MX", (NULL_MX,), TTL, why, "RFC 7505 3", "", advisory=True)


def silent(name: str, held: Held | None = None) -> Wanted:
    """The SPF record of a name that sends nothing."""
    why = "no mail comes from this name, so whoever uses it forges it"
    return Wanted(name, "TXT", (SILENT,), TTL, why, "RFC 7208 10.1.2", "", advisory=True, held=held)
