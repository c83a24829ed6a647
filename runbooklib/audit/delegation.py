"""The zone that holds a domain, and its nameservers one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from runbooklib.answers import Answer, Word
from runbooklib.audit import parents
from runbooklib.audit.addresses import Addresses, resolve_all, unreachable
from runbooklib.audit.claims import Claim
from runbooklib.audit.parents import nameservers
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import MOST
from runbooklib.results import Check
from runbooklib.zone import Stub

ENOUGH = 2  # nameservers (RFC 1034 4.1)
# A listed nameserver that refuses its own zone does not hold it (RFC 1912 2.8), as far as anybody outside can see.
ABSENT = {Word.LAME, Word.REFUSED, Word.NXDOMAIN, Word.NODATA}


async def checks(stub: Stub, subject: Subject) -> list[Check]:
    """Zone, nameservers, their addresses, their answers, and what the parent says of them."""
    soa, names = await asyncio.gather(stub(subject.domain, "SOA"), nameservers(stub, subject.domain))
    rows = [_zone(subject.domain, soa)]
    if soa.chain or names.word is Word.NXDOMAIN:
        return rows
    apex = names.question.name
    if not names.heard:
        return [*rows, Claim("dns.ns.count", apex, "two nameservers or more").unheard(names)]
    (hosts, answers), parent = await asyncio.gather(_asked(stub, apex, soa, names), parents.delegated(stub, apex))
    rows += [
        _count(apex, hosts),
        *(_name(host, found, rehearsed=subject.rehearsed) for host, found in hosts.items()),
        *_families(apex, hosts),
    ]
    return [*rows, *parents.judged(apex, parent, hosts), *_servers(apex, answers)]


def _zone(domain: str, soa: Answer) -> Check:
    claim = Claim("dns.zone", domain, f"a zone that holds {domain}", needed=True)
    if soa.chain:
        return claim.passed(f"it holds an alias of {soa.chain[0]}")
    if soa.word is Word.NXDOMAIN:
        fix = f"make the name in the zone {soa.zone}" if "." in soa.zone else "register the domain, or renew it"
        return claim.failed(f"NXDOMAIN, says {soa.zone or 'the root'}", fix)
    if not soa.heard:
        return claim.unheard(soa)
    own = soa.values and soa.word is Word.NOERROR
    return claim.passed(f"serial {soa.values[0].split()[2]}" if own else f"it lies in the zone {soa.zone}")


def _count(apex: str, hosts: Mapping[str, Addresses]) -> Check:
    claim = Claim("dns.ns.count", apex, "two nameservers or more")
    listed = ", ".join(hosts) or "none"
    if len(hosts) < ENOUGH:
        return claim.warned(listed, "add a second nameserver: while the only one is down, no mail finds its way")
    machines = {frozenset(host.all) for host in hosts.values()}
    if len(machines) == 1 and all(h.heard and h.all for h in hosts.values()):
        return claim.warned(f"{listed}, all at {', '.join(machines.pop())}", "give the second one a machine of its own")
    return claim.passed(listed)


def _name(host: str, found: Addresses, *, rehearsed: bool) -> Check:
    claim = Claim("dns.ns.names", host, "a name with addresses, no alias")
    if found.alias:
        return claim.failed(f"an alias of {found.alias}", f"name {found.alias} itself in the NS record")
    bad = [a for a in found.all if unreachable(a, rehearsed=rehearsed)]
    if bad:
        return claim.failed(", ".join(bad), "publish an address that the world can reach")
    if found.all:
        return claim.passed(found.shown)
    if not found.heard:
        return claim.unheard(found.a, found.aaaa)
    return claim.failed(found.shown, "give the nameserver an address, or take it out of the NS records")


def _families(apex: str, hosts: Mapping[str, Addresses]) -> list[Check]:
    """IPv4 alone serves all; IPv6 alone loses every resolver without it."""
    claim = Claim("dns.ns.ipv6", apex, "nameservers that IPv4 reaches, and IPv6 where it is used")
    four = sum(len(h.a.values) for h in hosts.values())
    six = sum(len(h.aaaa.values) for h in hosts.values())
    if not (four or six) or not (four or all(h.a.heard for h in hosts.values())):
        return []
    fix = "add a nameserver with an IPv4 address: many resolvers have no IPv6"
    return [claim.doubted(bool(four), f"{four} IPv4 and {six or 'no'} IPv6 addresses", fix)]


async def _asked(
    stub: Stub, apex: str, soa: Answer, names: Answer
) -> tuple[Mapping[str, Addresses], Mapping[str, Answer]]:
    """The nameservers' addresses, and what each says of the zone, by its name and address."""
    hosts = await resolve_all(stub, names.values[:MOST])
    servers = {a: a for a in stub.authoritative} or {
        f"{name} {address}": address for name, found in hosts.items() for address in found.all
    }
    if tuple(servers.values()) == (soa.server,) and soa.question.name == apex and not soa.recursive:
        return hosts, dict.fromkeys(servers, soa)
    answers = await asyncio.gather(*(stub.at(address, apex, "SOA") for address in servers.values()))
    return hosts, dict(zip(servers, answers, strict=True))


def _servers(apex: str, answers: Mapping[str, Answer]) -> list[Check]:
    """Each with authority, all with one serial; that this machine has no IPv6 is not the zone's fault."""
    six = [a for a in answers.values() if ":" in a.server]
    blind = all(a.word is Word.UNREACHABLE for a in six)
    near = {who: a for who, a in answers.items() if not (blind and a in six)}
    return [_authority(apex, near), *_serials(apex, near)] if near else []


def _authority(apex: str, answers: Mapping[str, Answer]) -> Check:
    claim = Claim("dns.ns.answers", apex, "each nameserver answers with authority")
    lame = [who for who, a in answers.items() if a.word in ABSENT]
    told = ", ".join(f"{who} {a.word}" for who, a in answers.items())
    if lame:
        return claim.failed(told, f"{', '.join(lame)}: set the zone up there, or take it out of the delegation")
    return claim.passed(told) if all(a.heard for a in answers.values()) else claim.unheard(*answers.values())


def _serials(apex: str, answers: Mapping[str, Answer]) -> list[Check]:
    claim = Claim("dns.soa.serial", apex, "the same serial at every nameserver")
    serials = {who: a.values[0].split()[2] for who, a in answers.items() if a.heard and a.values}
    told = ", ".join(f"{who} {serial}" for who, serial in serials.items())
    if len(set(serials.values())) > 1:
        return [claim.warned(told, "one has old data: look at its zone transfer; part of the world sees old records")]
    silent = [a for a in answers.values() if not a.heard and a.word not in ABSENT]
    if silent:
        return [claim.unheard(*silent)]
    return [claim.passed(told)] if len(serials) >= ENOUGH else []
