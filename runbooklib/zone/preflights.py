"""Before anything changes: resolvers that answer, a zone delegated to servers that hold it, a key that may update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbooklib.params import Rfc2136, Site
from runbooklib.records import Answer, Question, Word
from runbooklib.results import Check, Checklist, Status
from runbooklib.zone.authorities import Holder
from runbooklib.zone.observation import holders_of
from runbooklib.zone.questions import INTERNET, Wire, ask, together
from runbooklib.zone.updates import UnansweredError, ZoneError, probe, zone_of


def preflight(site: Site, wire: Wire = INTERNET) -> Checklist:
    """Whether what this stage publishes would be seen by anyone."""
    holders = holders_of(site, wire)
    zones = {h.zone: h for h in holders.values() if h.zone}
    rows = [_resolvers(site, wire)]
    rows += [_missing(name, h) for name, h in holders.items() if not h.zone]
    rows += [row for h in zones.values() for row in _zone_rows(site, h, wire)]
    if site.dns.publish == "rfc2136" and site.dns.rfc2136:
        rows += list(_updates(site.dns.rfc2136, tuple(holders)))
    return Checklist("before DNS changes", tuple(rows))


def _resolvers(site: Site, wire: Wire) -> Check:
    """Silence here is ours or theirs: nothing can be said of the zone."""
    root = Question(".", "NS")
    answers = together(ask(wire, root, r, recursive=True) for r in site.dns.resolvers)
    silent = [a for a in answers if not a.heard]
    said = ", ".join(f"{a.server} {a.word}" for a in answers)
    fix = "check dns.resolvers in params, and that port 53 is open from here"
    if len(silent) == len(answers):
        return Check("dns.resolvers", Status.UNKNOWN, "resolvers that answer", said, fix, "RFC 1034 5.3")
    status = Status.WARN if silent else Status.PASS
    return Check("dns.resolvers", status, "resolvers that answer", said, fix if silent else "", "RFC 1034 5.3")


def _missing(name: str, holder: Holder) -> Check:
    """No zone holds the name: not registered, or nobody to be asked."""
    answer = holder.missing or Answer(Question(name, "SOA"), "", Word.TIMEOUT)
    said = " ".join(filter(None, [answer.server, answer.word, answer.note]))
    expected, check = f"a zone that holds {name}", f"dns.delegation {name}"
    if answer.heard or answer.word is Word.LAME:
        fix = "register the domain, or point dns.authoritative (or the registrar's nameservers) at servers that hold it"
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1034 4.2.1")
    fix = "is the name server up, and is port 53 open from here?"
    return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1034 4.2.1")


def _zone_rows(site: Site, holder: Holder, wire: Wire) -> Iterator[Check]:
    soa = Question(holder.zone, "SOA")
    own = together(ask(wire, soa, s, recursive=False) for s in holder.servers)
    world = together(ask(wire, soa, r, recursive=True) for r in site.dns.resolvers)
    yield _delegated(holder, own, world)
    yield _answering(holder, own)


def _delegated(holder: Holder, own: Sequence[Answer], world: Sequence[Answer]) -> Check:
    """The world sees the zone these servers hold, recognised by the primary its SOA names (RFC 1035 3.3.13)."""
    check, expected = f"dns.delegation {holder.zone}", f"the world's {holder.zone} is the zone of {_list(own)}"
    ours = {v.split()[0] for a in own for v in a.values}
    heard = [a for a in world if a.heard]
    other = [a for a in heard if not {v.split()[0] for v in a.values} & ours]
    said = "; ".join(f"{a.server} says {a.values[0].split()[0] if a.values else a.word}" for a in world)
    if not heard or not ours:
        fix = "a resolver has to answer; SERVFAIL often means broken DNSSEC at the parent"
        return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1034 4.2.1")
    if other:
        fix = (
            "set the domain's nameservers at the registrar, or correct dns.authoritative: what is published is not seen"
        )
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1034 4.2.1")
    return Check(check, Status.PASS, expected, said, ref="RFC 1034 4.2.1")


def _answering(holder: Holder, own: Sequence[Answer]) -> Check:
    """Each server answers with authority and holds the same serial."""
    check, expected = f"dns.authoritative {holder.zone}", "each server answers with authority, all with one serial"
    said = ", ".join(f"{a.server} {a.values[0].split()[2] if a.values else a.word}" for a in own)
    wrong = [a for a in own if a.word in {Word.LAME, Word.NXDOMAIN, Word.NODATA}]
    silent = [a for a in own if not a.heard and a not in wrong]
    if len(silent) == len(own):
        fix = "is the server up, and is port 53 open from here?"
        return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1912 2.8")
    if wrong:
        fix = f"{_list(wrong)} does not hold the zone: set it up there or take it out of the delegation"
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1912 2.8")
    serials = {v.split()[2] for a in own for v in a.values}
    if silent or len(serials) > 1:
        fix = "one server is silent or behind: some of the world may see old data"
        return Check(check, Status.WARN, expected, said, fix, "RFC 1912 2.8")
    return Check(check, Status.PASS, expected, said, ref="RFC 1912 2.8")


def _list(answers: Sequence[Answer]) -> str:
    return ", ".join(a.server for a in answers)


def _updates(target: Rfc2136, names: Sequence[str]) -> Iterator[Check]:
    """The key may update each zone: shown by an update that changes nothing."""
    tried: set[str] = set()
    for name in names:
        check, expected = f"dns.update {name}", f"{target.server} lets key {target.key.name} update the zone of {name}"
        try:
            zone, serial = zone_of(target, name)
            if zone not in tried:
                probe(target, zone)
            tried.add(zone)
        except ZoneError as error:
            status = Status.UNKNOWN if isinstance(error, UnansweredError) else Status.FAIL
            yield Check(check, status, error.expected, error.saw, error.fix, "RFC 2136 3, RFC 8945")
        else:
            yield Check(check, Status.PASS, expected, f"zone {zone}, serial {serial}", ref="RFC 2136 3, RFC 8945")
