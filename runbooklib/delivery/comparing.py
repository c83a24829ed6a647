"""What a relay really does, by the messages that arrived, beside what DNS and params say of it.

Where they disagree the record to publish, or the parameter to set, stands there old and new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runbooklib.answers import Lookup
from runbooklib.delivery.disagreements import at_author, authorised, return_path, senders, verdict
from runbooklib.delivery.facts import Fact, judged
from runbooklib.delivery.proving import Proven
from runbooklib.delivery.sightings import Sighting, rewritten, sightings
from runbooklib.delivery.signers import own_signature, relay_signature
from runbooklib.params import Site
from runbooklib.results import Check, Shown, Status, Table
from runbooklib.zone import Stub, together
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

UNSEEN = "no message of it arrived where we can look"
COLUMNS = ("status", "relay and domain", "fact", "seen on the messages", "DNS and params say", "change", "old", "new")


@dataclass(frozen=True)
class Truth(Shown):
    """Every fact about every relay and the domains it sends for."""

    facts: tuple[Fact, ...] = ()

    @property
    def checks(self) -> tuple[Check, ...]:
        """Those that are judged."""
        return tuple(fact.check for fact in self.facts if fact.check)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row a fact, in the order in which they explain each other."""
        title = "what the relays really do" if self.facts else "nothing arrived where we can look: nothing is known"
        return Table(title, COLUMNS, tuple(_row(fact) for fact in self.facts))


def _row(fact: Fact) -> tuple[str, ...]:
    status = fact.check.status if fact.check else ""
    return status, fact.about, fact.what, fact.seen, fact.told, fact.where, fact.old if fact.new else "", fact.new


def truth(site: Site, proven: Proven) -> Truth:
    """What the messages that arrived say of the relays, with what DNS says now."""
    return together([compared(Stub(INTERNET, resolvers(site)), site, proven)])[0]


async def compared(look: Lookup, site: Site, proven: Proven) -> Truth:
    """The same with DNS as it is given."""
    found = await asyncio.gather(*(facts(look, sighting) for sighting in sightings(site, proven)))
    return Truth(tuple(fact for each in found for fact in each))


async def facts(look: Lookup, sighting: Sighting) -> list[Fact]:
    """All that was seen of a domain's mail, compared."""
    if not sighting.proofs:
        check = judged(sighting, "verdict", Status.UNKNOWN, "aligned by SPF or DKIM", UNSEEN, "see delivery.arrived")
        return [Fact(sighting.about, "verdict", UNSEEN, check=replace(check, advisory=True))]
    paths, authors, keys = await asyncio.gather(
        authorised(look, sighting), at_author(look, sighting), relay_signature(look, sighting)
    )
    found = [verdict(sighting), senders(sighting), *paths, *authors, return_path(sighting)]
    return [*found, own_signature(sighting), keys, *_plain(sighting)]


def _plain(sighting: Sighting) -> Iterator[Fact]:
    """What is only told."""
    yield Fact(sighting.about, "HELO names", ", ".join(sighting.names) or "not known", "; ".join(sighting.reverse))
    way = rewritten(sighting)
    said = str(way) if way else "not known: how the messages left us is not kept"
    yield Fact(sighting.about, "changed on the way", said)
    yield Fact(sighting.about, "TLS to the recipient", ", ".join(sighting.encryption) or "not known")
