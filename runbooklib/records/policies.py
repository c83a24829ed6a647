"""What receivers do with mail that fails, and who is told: DMARC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from runbooklib import dmarc
from runbooklib.dmarc.ladder import Rung
from runbooklib.params import Domain, Site
from runbooklib.records.wanted import TTL, Wanted


def wanted(site: Site, rungs: Mapping[str, Rung] | None = None) -> Iterator[Wanted]:
    """The policy of each mail domain: as far up to the one params name as reports allow; without reports, none."""
    for domain in site.domains:
        rua = f"; rua=mailto:{domain.dmarc.rua}" if domain.dmarc.rua else ""
        rung = (rungs or {}).get(domain.name, Rung(domain.name))
        value = f"v=DMARC1; p={rung.limits(domain.dmarc.policy)}{rua}"
        why = "says what receivers do with mail that passes neither SPF nor DKIM in alignment"
        yield Wanted(f"_dmarc.{domain.name}", "TXT", (value,), TTL, why, "RFC 9989 4", "05-send")
        yield from _consents(site, domain, value)


def _consents(site: Site, domain: Domain, record: str) -> Iterator[Wanted]:
    """Reports go to another organization only where that one says so (RFC 9990 4, RFC 7489 7.1)."""
    for to, name in dmarc.external(domain.name, dmarc.parse(record).aggregate).items():
        ours = any(to == d.name or to.endswith(f".{d.name}") for d in site.domains)
        why = f"{to} agrees to reports about {domain.name}"
        yield Wanted(name, "TXT", ("v=DMARC1;",), TTL, why, "RFC 9990 4", "", advisory=True, foreign=not ours)
