"""One message with all that judging it takes."""

from __future__ import annotations

from dataclasses import dataclass

from runbooklib.delivery.arriving import Arrived, Parcel
from runbooklib.delivery.messages import Letter
from runbooklib.delivery.proving import Proven
from runbooklib.eml import Authentication
from runbooklib.params import Domain, Relay, Site
from runbooklib.results import Check, Status, judged


@dataclass(frozen=True)
class Case:
    """One parcel with all that judging it takes."""

    site: Site
    proven: Proven
    parcel: Parcel

    @property
    def arrived(self) -> Arrived:
        return self.proven.arrived

    @property
    def proof(self) -> Authentication | None:
        """What vouches for the first copy that arrived."""
        return self.proven.of(self.parcel)

    @property
    def letter(self) -> Letter:
        return self.parcel.letter

    @property
    def domain(self) -> Domain:
        return next(d for d in self.site.domains if d.name == self.letter.domain)

    @property
    def relay(self) -> Relay | None:
        return self.site.relays.get(self.domain.relay)

    def check(
        self, what: str, status: Status, expected: str, observed: str, fix: str = "", ref: str = "", about: str = ""
    ) -> Check:
        """A row about this message, or about one part of it."""
        name = " ".join(filter(None, [f"delivery.{what}", self.letter.name, about]))
        return Check(name, status, expected, observed, "" if status is Status.PASS else fix, ref)

    def judged(self, what: str, ok: bool, expected: str, observed: str, fix: str, ref: str = "") -> Check:
        return judged(f"delivery.{what} {self.letter.name}", ok, expected, observed, fix, ref)
