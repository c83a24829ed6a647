"""What was seen of a domain's mail where it arrived: who sent it, under which names, and what the way did to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from runbooklib import eml
from runbooklib.delivery.cases import Case
from runbooklib.delivery.proving import Proven
from runbooklib.eml import Authentication, survival
from runbooklib.eml.score import taken
from runbooklib.eml.signatures import Signature
from runbooklib.params import Domain, Relay, Site
from runbooklib.spf import Evaluation

# What servers on the way write (RFC 5321 4.4, RFC 6376, RFC 7208 9, RFC 8601, RFC 8617).
TRACE = {
    *("received", "return-path", "received-spf", "authentication-results", "dkim-signature"),
    *("arc-seal", "arc-message-signature", "arc-authentication-results"),
}


@dataclass(frozen=True)
class Sighting:
    """The messages of one domain that arrived elsewhere."""

    site: Site
    domain: Domain
    cases: tuple[Case, ...]

    @property
    def relay(self) -> Relay | None:
        return self.site.relay_of(self.domain)

    @property
    def about(self) -> str:
        """The relay, or direct, and the domain."""
        return f"{self.domain.relay} {self.domain.name}"

    @cached_property
    def proofs(self) -> tuple[Authentication, ...]:
        return tuple(proof for case in self.cases if (proof := case.proof))

    @cached_property
    def addresses(self) -> tuple[str, ...]:
        """Those that handed the messages to their recipients."""
        found = {proof.border.address for proof in self.proofs if proof.border and proof.border.address}
        return tuple(sorted(found, key=lambda a: (":" in a, ipaddress.ip_address(a))))

    @property
    def names(self) -> tuple[str, ...]:
        """The HELO names with the name their recipients found for the address."""
        hops = [proof.border for proof in self.proofs if proof.border]
        return _once(hop.said if hop.named in {"", hop.said} else f"{hop.said} ({hop.named})" for hop in hops)

    @property
    def reverse(self) -> tuple[str, ...]:
        """What DNS calls the addresses, and whether the names lead back."""
        return _once(str(proof.reverse) for proof in self.proofs if proof.reverse)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The domains in MAIL FROM as it arrived, as the recipient wrote it down; the null return path is empty."""
        return _once(_host(proof) for proof in self.proofs if proof.mail_from is not None or proof.spf_domain)

    @property
    def encryption(self) -> tuple[str, ...]:
        """TLS of the hop to the recipient, as the recipient wrote it down."""
        return _once(proof.border.tls or proof.border.protocol or "none" for proof in self.proofs if proof.border)

    @cached_property
    def evaluated(self) -> dict[str, dict[str, Evaluation]]:
        """SPF of each address, by the domain it was evaluated for."""
        found: dict[str, dict[str, Evaluation]] = {}
        for proof in self.proofs:
            if proof.spf and proof.border:
                found.setdefault(proof.spf_domain, {})[proof.border.address] = proof.spf
        return found

    @property
    def own_addresses(self) -> set[str]:
        """Those of our server."""
        return {address for address in (self.site.server.ipv4, self.site.server.ipv6) if address}

    def stray(self, address: str) -> bool:
        """Whether it should not have sent: ours where a relay should, another where we should."""
        return (address in self.own_addresses) is (self.relay is not None)

    @property
    def own_selectors(self) -> tuple[str, ...]:
        """What our server signs with: by its own log, and as params say."""
        told = (selector for case in self.cases for domain, selector in case.parcel.signers if self.owns(domain))
        return _once([*told, *filter(None, (self.domain.dkim.selector, self.domain.dkim.ed25519))])

    @property
    def signed_by_us(self) -> bool:
        """Whether the server's log says that it signed them."""
        return any(self.owns(domain) for case in self.cases for domain, _ in case.parcel.signers)

    def owns(self, name: str) -> bool:
        """Whether a name is the mail domain or below it."""
        return name == self.domain.name or name.endswith(f".{self.domain.name}")

    def ours(self, proof: Authentication) -> Signature | None:
        """Our server's signature on one message."""
        signed = (s for s in proof.signatures if s.domain == self.domain.name and s.selector in self.own_selectors)
        return next(signed, None)

    def theirs(self, proof: Authentication) -> tuple[Signature, ...]:
        """What others signed it with in the domain's name."""
        own = self.own_selectors
        return tuple(s for s in proof.signatures if self.owns(s.domain) and s.selector not in own)

    @property
    def foreign(self) -> tuple[str, ...]:
        """The signatures in other names, as d= and s=."""
        return _once(shown(s) for p in self.proofs for s in p.signatures if s.domain and not self.owns(s.domain))


def sightings(site: Site, proven: Proven) -> tuple[Sighting, ...]:
    """One for each domain that test messages left from, with those that arrived where we can look."""
    cases = [Case(site, proven, parcel) for parcel in proven.arrived if not parcel.letter.inbound]
    sent = {case.letter.domain for case in cases if case.letter.lands}
    named = [domain for domain in site.domains if domain.name in sent]
    return tuple(Sighting(site, d, tuple(c for c in cases if c.proof and c.letter.domain == d.name)) for d in named)


def _host(proof: Authentication) -> str:
    path = proof.mail_from
    return proof.spf_domain if path is None else eml.ascii_domain(path.rpartition("@")[2])


def shown(signature: Signature) -> str:
    """A signature as its tags name it."""
    return f"d={signature.domain} s={signature.selector}"


@dataclass(frozen=True)
class Rewriting:
    """What is different between a message that was handed over and the same where its recipient took it."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def __str__(self) -> str:
        named = {"changed": self.changed, "added": self.added, "removed": self.removed}
        return "; ".join(f"{what} {', '.join(names)}" for what, names in named.items() if names) or "nothing"


def rewritten(sighting: Sighting) -> Rewriting | None:
    """What is other in any of the messages; None where none is known as it left us (a resumed run)."""
    each = [_rewriting(sighting, case.parcel.handed.raw, proof) for case, proof in _pairs(sighting)]
    if not each:
        return None
    return Rewriting(
        _once(n for one in each for n in one.changed),
        _once(n for one in each for n in one.added),
        _once(n for one in each for n in one.removed),
    )


def _pairs(sighting: Sighting) -> list[tuple[Case, Authentication]]:
    return [(case, proof) for case in sighting.cases if (proof := case.proof) and case.parcel.handed.raw]


def _rewriting(sighting: Sighting, handed: bytes, proof: Authentication) -> Rewriting:
    """Header names, and the body where it is not the one our server signed."""
    before, after = eml.read(handed), eml.read(taken(proof.mail, proof.border))
    names = _once(name for name, _ in (*before.fields, *after.fields) if name not in TRACE)
    had, has = ({name: _values(mail.all(name)) for name in names} for mail in (before, after))
    ours = sighting.ours(proof)
    way = survival.compare(handed, proof.mail.raw, ours.value) if ours else None
    changed = [_title(n) for n in names if had[n] and has[n] and had[n] != has[n]]
    return Rewriting(
        (*changed, *["the body"] * bool(way and way.body)),
        tuple(_title(n) for n in names if not had[n]),
        tuple(_title(n) for n in names if not has[n]),
    )


def _values(values: Iterable[str]) -> list[str]:
    """Folding is anybody's (RFC 5322 2.2.3)."""
    return ["".join(value.split()) for value in values]


def _title(name: str) -> str:
    return "-".join({"id": "ID", "mime": "MIME"}.get(part, part.title()) for part in name.split("-"))


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
