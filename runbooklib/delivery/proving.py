"""Every message that arrived, authenticated by us from its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbooklib import eml
from runbooklib.answers import Lookup
from runbooklib.delivery.arriving import Arrived, Parcel
from runbooklib.delivery.messages import Letter, alike
from runbooklib.eml import Authentication
from runbooklib.params import Site
from runbooklib.results import Shown, Table
from runbooklib.zone import Stub, together
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers


@dataclass(frozen=True)
class Proven(Shown):
    """A run's messages with what vouches for each."""

    arrived: Arrived
    proofs: Mapping[int, Authentication] = field(default_factory=dict)  # by the letter's number

    def of(self, parcel: Parcel) -> Authentication | None:
        """What vouches for the first copy that arrived."""
        return self.proofs.get(parcel.letter.number)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row for the messages about the same of which the same is proven."""
        found = [(parcel.letter, proof) for parcel in self.arrived if (proof := self.of(parcel))]
        rows = tuple(_row(group) for group in alike(found, lambda one: (one[0].subject, one[1].verdict, _told(one[1]))))
        title = "who vouches for each message" if rows else "nothing arrived, so nothing is proven"
        return Table(title, ("aligned by", "message", "client", "SPF", "DKIM", "ARC", "told"), rows)


def _row(group: Sequence[tuple[Letter, Authentication]]) -> tuple[str, ...]:
    letter, proof = group[0]
    name = letter.name if len(group) == 1 else f"{letter.subject}: {len(group)} messages"
    clients = sorted({p.border.address if p.border else "not known" for _, p in group})
    return proof.verdict, name, ", ".join(clients), *_told(proof)


def _told(proof: Authentication) -> tuple[str, ...]:
    spf = f"{proof.spf.result} ({proof.spf_domain})" if proof.spf else "not known"
    dkim = ", ".join(f"{s.result} ({s.selector}, {s.domain})" for s in proof.signatures) or "none"
    told = ", ".join(f"{m.name}={m.result}" for m in proof.told) or "nothing"
    return spf, dkim, proof.arc.result if proof.arc else "", told


def prove(site: Site, arrived: Arrived) -> Proven:
    """Authenticates every message that arrived, with what DNS says now."""
    return together([authenticated(Stub(INTERNET, resolvers(site)), site, arrived)])[0]


async def authenticated(look: Lookup, site: Site, arrived: Arrived) -> Proven:
    """The same with DNS as it is given: all of them side by side, each question asked once."""
    parcels = [parcel for parcel in arrived if parcel.of("message")]
    proofs = await asyncio.gather(*(_authenticated(look, site, parcel) for parcel in parcels))
    return Proven(arrived, {parcel.letter.number: proof for parcel, proof in zip(parcels, proofs, strict=True)})


async def _authenticated(look: Lookup, site: Site, parcel: Parcel) -> Authentication:
    mail = eml.read(parcel.of("message")[0].raw)
    return await eml.authenticate(look, mail, await receivers(look, site, parcel.letter))


async def receivers(look: Lookup, site: Site, letter: Letter) -> tuple[str, ...]:
    """The hosts that receive for the letter's recipient; without MX the domain itself (RFC 5321 5.1)."""
    if letter.inbound:
        return (site.server.hostname,)
    domain = eml.ascii_domain(letter.recipient.rpartition("@")[2])
    answer = await look(domain, "MX")
    return (*(value.split()[-1].rstrip(".").lower() for value in answer.values), domain)
