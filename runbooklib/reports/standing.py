"""The DMARC policy that a domain's own servers publish: what the ladder climbs from, whatever reports say of it."""

from __future__ import annotations

from runbooklib import dmarc
from runbooklib.dmarc import DmarcError
from runbooklib.params import Site
from runbooklib.records import Observed, policies
from runbooklib.zone import Wire
from runbooklib.zone.observation import at_authorities


def standing(site: Site, wire: Wire) -> dict[str, str]:
    """The policy of each domain that wants more than none; nobody is asked where reports can move nothing."""
    moving = [d.name for d in site.domains if d.dmarc.rua and d.dmarc.policy != dmarc.POLICIES[0]]
    want = [w for w in policies.wanted(site) if w.name in {f"_dmarc.{name}" for name in moving}]
    seen = at_authorities(site, want, wire) if want else Observed(())
    return {name: published(name, seen) for name in moving}


def published(domain: str, seen: Observed) -> str:
    """The policy that the authoritative servers answer; empty where none was heard."""
    name = f"_dmarc.{domain}"
    texts = [v for a in seen if a.question.name == name and a.heard for v in a.values if dmarc.is_dmarc(v)]
    try:
        return dmarc.parse(texts[0]).policy if texts else ""
    except DmarcError:
        return ""
