"""Before anything changes: resolvers that answer, a zone delegated to servers that hold it, a key that may update."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbooklib.answers import Answer, Question, Word
from runbooklib.params import Site
from runbooklib.records.caches import BOGUS
from runbooklib.records.clock import newest_serial
from runbooklib.results import Check, Checklist, Status
from runbooklib.zone import permissions
from runbooklib.zone.authorities import Holder, Referral, above
from runbooklib.zone.observation import holders_of
from runbooklib.zone.questions import INTERNET, Wire, ask, together
from runbooklib.zone.resolvers import resolvers


def preflight(site: Site, wire: Wire = INTERNET) -> Checklist:
    """Whether what this stage publishes would be seen by anyone."""
    holders = holders_of(site, wire, _return_paths(site))
    zones = {h.zone: h for h in holders.values() if h.zone}
    rows = [_resolvers(site, wire)]
    rows += [_missing(name, h) for name, h in holders.items() if not h.zone]
    rows += [row for h in zones.values() for row in _zone_rows(site, h, wire)]
    rows += permissions.rows(site, {n: h.zone for n, h in holders.items() if n in (h.zone, *above(site))})
    return Checklist("before DNS changes", tuple(rows))


def _return_paths(site: Site) -> list[str]:
    """The names relays put MAIL FROM under: some are delegated, to the relay or to another DNS provider."""
    relays = ((domain.name, site.relay_of(domain)) for domain in site.domains)
    return [f"{relay.return_path}.{name}" for name, relay in relays if relay and relay.return_path]


def _resolvers(site: Site, wire: Wire) -> Check:
    """Silence here is ours or theirs: nothing can be said of the zone."""
    root = Question(".", "NS")
    answers = together(ask(wire, root, r, recursive=True) for r in resolvers(site))
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
    if holder.parent and answer.word in {Word.LAME, Word.REFUSED}:
        fix = f"set the zone {holder.parent.zone} up at {', '.join(holder.parent.names)}, or correct the delegation"
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1912 2.8")
    if answer.heard or answer.word is Word.LAME:
        fix = "register the domain, or point dns.authoritative (or the registrar's nameservers) at servers that hold it"
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1034 4.2.1")
    fix = "is the name server up, and is port 53 open from here?"
    return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1034 4.2.1")


def _zone_rows(site: Site, holder: Holder, wire: Wire) -> Iterator[Check]:
    soa = Question(holder.zone, "SOA")
    own = together(ask(wire, soa, s, recursive=False) for s in holder.servers)
    world = together(ask(wire, soa, r, recursive=True) for r in resolvers(site))
    yield _delegated(holder, own, world)
    yield _answering(holder, own)
    if holder.parent:
        yield _named_above(holder, holder.parent)


def _delegated(holder: Holder, own: Sequence[Answer], world: Sequence[Answer]) -> Check:
    """The world sees the zone these servers hold, recognised by the primary its SOA names (RFC 1035 3.3.13)."""
    check, expected = f"dns.delegation {holder.zone}", f"the world's {holder.zone} is the zone of {_list(own)}"
    ours = {v.split()[0] for a in own for v in a.values}
    heard = [a for a in world if a.heard]
    other = [a for a in heard if not {v.split()[0] for v in a.values} & ours]
    said = "; ".join(f"{a.server} says {a.values[0].split()[0] if a.values else a.word}" for a in world)
    if any(a.word is Word.BOGUS for a in world):
        return Check(check, Status.FAIL, expected, said, BOGUS, "RFC 4035 5")
    if not heard or not ours:
        fix = "a resolver has to answer; SERVFAIL often means that no server of the zone answers the resolver"
        return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1034 4.2.1")
    if other and len(other) < len(heard):
        fix = f"{_list(other)} alone sees another zone: whoever asks there does not see what is published"
        return Check(check, Status.WARN, expected, said, fix, "RFC 1034 4.2.1")
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
    silent = [a for a in own if not a.heard and a not in wrong and a not in _out_of_reach(own)]
    if not wrong and not any(a.heard for a in own):
        fix = "is the server up, and is port 53 open from here?"
        return Check(check, Status.UNKNOWN, expected, said, fix, "RFC 1912 2.8")
    if wrong:
        fix = f"{_list(wrong)} does not hold the zone: set it up there or take it out of the delegation"
        return Check(check, Status.FAIL, expected, said, fix, "RFC 1912 2.8")
    serials = {v.split()[2] for a in own for v in a.values}
    if silent or len(serials) > 1:
        fix = f"{_list([*silent, *_behind(own)])}: silent or behind, so some of the world may see old data"
        fix += "; REFUSED mostly means that it does not hold the zone" if silent else ""
        return Check(check, Status.WARN, expected, said, fix, "RFC 1912 2.8")
    return Check(check, Status.PASS, expected, said, ref="RFC 1912 2.8")


def _out_of_reach(own: Sequence[Answer]) -> list[Answer]:
    """IPv6 addresses where this machine has no way to any: that says nothing of the servers."""
    six = [a for a in own if ":" in a.server]
    return six if all(a.word is Word.UNREACHABLE for a in six) else []


def _behind(own: Sequence[Answer]) -> list[Answer]:
    """Those with another serial than the newest."""
    newest = newest_serial(own)
    return [a for a in own if a.values and int(a.values[0].split()[2]) != newest]


def _named_above(holder: Holder, parent: Referral) -> Check:
    """The zone above has to name the same servers (RFC 1034 4.2.2); other glue leads part of the world astray."""
    check, expected = f"dns.delegation.parent {holder.zone}", "the zone above names the same servers and addresses"
    moved = {n: a for n, a in parent.glue.items() if holder.listed.get(n) and set(a) != set(holder.listed[n])}
    said = [f"{n} is named only above" for n in parent.names if n not in holder.listed]
    said += [f"{n} is named only in the zone" for n in holder.listed if n not in parent.names]
    said += [f"{n} is {', '.join(holder.listed[n])}, glue says {', '.join(a)}" for n, a in moved.items()]
    if not said:
        return Check(check, Status.PASS, expected, ", ".join(parent.names), ref="RFC 1034 4.2.2")
    fix = f"make {', '.join(sorted(holder.listed))} the nameservers at the registrar, or correct the zone's NS records"
    fix += f"; renew the address of {', '.join(moved)} there (glue, host object)" if moved else ""
    return Check(check, Status.WARN, expected, "; ".join(said), fix, "RFC 1034 4.2.2")


def _list(answers: Sequence[Answer]) -> str:
    return ", ".join(a.server for a in answers)
