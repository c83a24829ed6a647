"""Before a route moves: whether the records its relay looks for stand at the authoritative servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from runbooklib.params import Domain, Site
from runbooklib.records import Observed, Wanted, compare, desired
from runbooklib.results import Check, Checklist, Status
from runbooklib.zone.observation import at_authorities
from runbooklib.zone.questions import INTERNET, Wire

STAGE, PUBLISHED_BY = "02-relay", "04-dns"


def groundwork(site: Site, asked: Iterable[Wanted], current: Mapping[str, str], wire: Wire = INTERNET) -> Checklist:
    """One row a relayed domain; `asked` is what its relay wants, `current` the next hop it leaves by today.

    A relay's mail is only believed where its records stand, and a switch before that loses mail at strict receivers.
    """
    needed = [w for w in desired(site, asked) if w.stage == STAGE and w.values]
    seen = at_authorities(site, needed, wire)
    rows = [
        _row(domain, [w for w in needed if _owner(site, w.name) == domain.name], seen, current.get(domain.name, ""))
        for domain in site.domains
        if domain.relay != "direct"
    ]
    return Checklist("what the relays look for in DNS", tuple(rows))


def _owner(site: Site, name: str) -> str:
    """The mail domain a name belongs to: the longest one it ends in."""
    above = [d.name for d in site.domains if name == d.name or name.endswith(f".{d.name}")]
    return max(above, key=len, default="")


def _row(domain: Domain, needed: list[Wanted], seen: Observed, hop: str) -> Check:
    name, expected = (
        f"relay.records {domain.name}",
        f"what {domain.relay} looks for stands at the authoritative servers",
    )
    if not needed:
        said = "nothing named by params or provider"
        fix = f"name relays.{domain.relay}.spf and .dkim if it wants records; its panel shows them"
        return Check(name, Status.PASS if hop else Status.WARN, expected, said, "" if hop else fix, "RFC 7208 3")
    silent = _silent(needed, seen)
    if silent:
        fix = "04-dns says more: are the name servers up, and is port 53 open from here?"
        return Check(name, Status.UNKNOWN, expected, silent, fix, "RFC 1034 4.2.1", advisory=bool(hop))
    missing = [w for w in needed if not _stands(w, seen)]
    if missing:
        said = "not yet: " + ", ".join(f"{w.name} {w.type}" for w in missing)
        fix = "04-dns publishes them; then this stage is walked again"
        return Check(name, Status.PENDING, expected, said, fix, "RFC 6376 3.6.2", waits_for=PUBLISHED_BY)
    return Check(name, Status.PASS, expected, ", ".join(f"{w.name} {w.type}" for w in needed), ref="RFC 6376 3.6.2")


def _silent(needed: Iterable[Wanted], seen: Observed) -> str:
    """What was heard where nobody could be heard; empty where somebody was, for every name."""
    for wanted in needed:
        answers = seen.at_authority(wanted)
        if not any(a.heard for a in answers):
            said = ", ".join(f"{a.server} {a.word}".strip() for a in answers)
            return f"{wanted.name}: {said or 'nobody could be asked'}"
    return ""


def _stands(wanted: Wanted, seen: Observed) -> bool:
    return all(compare(wanted, a).good for a in seen.at_authority(wanted) if a.heard)
