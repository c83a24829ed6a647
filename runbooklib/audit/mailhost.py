"""A mail host as DNS shows it: its name, its addresses, and whether they lead to each other."""

from __future__ import annotations

import asyncio
import ipaddress

from runbooklib import spf
from runbooklib.answers import Answer
from runbooklib.audit.addresses import Addresses, loopback, numbered, proxied, resolve, resolve_all
from runbooklib.audit.claims import Claim
from runbooklib.audit.parents import nameservers
from runbooklib.audit.subject import Machine
from runbooklib.results import Check
from runbooklib.spf import Result
from runbooklib.zone import Stub

NAMES = 5  # of one address, that are followed; more is a mistake or mischief
HOSTS_FILE = "the resolver repeats /etc/hosts, where Debian gives a machine's own name 127.0.1.1: ask another one"


async def checks(look: Stub, machine: Machine) -> list[Check]:
    """Forward, backward, and what the HELO name may do."""
    reversing = asyncio.gather(*(_reverse(look, machine, a) for a in machine.addresses))
    forward, helo, reverse = await asyncio.gather(_forward(look, machine), _helo(look, machine), reversing)
    return [forward, *helo, *(row for rows in reverse for row in rows)]


async def _forward(look: Stub, machine: Machine) -> Check:
    name = machine.hostname
    found = await resolve(look, name)
    expected = f"the addresses of this machine, {', '.join(machine.addresses)}"
    claim = Claim("dns.host.address", name, expected, needed=True)
    if found.alias:
        fix = f"give {name} addresses of its own: neither MX nor HELO may be an alias"
        return claim.failed(f"an alias of {found.alias}: {found.shown}", fix)
    others = [a for a in found.all if a not in _usual(machine.addresses)]
    if await _hosts_file(look, name, found):
        return claim.unknown(found.shown, HOSTS_FILE)
    if others:
        return _elsewhere(claim, name, found, others)
    if not found.heard:
        return claim.unheard(found.a, found.aaaa)
    if found.all:
        return _complete(claim, machine, found)
    return claim.failed(found.shown, f"publish {name} with {', '.join(machine.addresses)}")


def _complete(claim: Claim, machine: Machine, found: Addresses) -> Check:
    """An address that only receives need not be published; one that sends is looked up by strangers."""
    lacking = sorted(_usual(machine.addresses) - set(found.all))
    fix = f"publish {', '.join(lacking)} at {machine.hostname}, or send from the others only"
    return claim.doubted(not (lacking and machine.sends), found.shown, fix)


def _elsewhere(claim: Claim, name: str, found: Addresses, others: list[str]) -> Check:
    if any(map(proxied, others)):
        return claim.failed(
            f"{found.shown}, a CDN's", f"switch the proxy off for {name} (DNS only): a CDN takes no mail"
        )
    return claim.failed(found.shown, f"remove {', '.join(others)} from {name}: another machine answers there")


def _usual(addresses: tuple[str, ...]) -> set[str]:
    return {str(ipaddress.ip_address(a)) for a in addresses}


async def _hosts_file(look: Stub, name: str, found: Addresses) -> bool:
    """Whether a resolver's loopback is its own; the zone's nameservers say what the world gets."""
    family = found.a if found.a.values else found.aaaa
    if not family.recursive or not any(map(loopback, found.all)):
        return False
    names = await nameservers(look, name)
    hosts = await resolve_all(look, names.values[:NAMES])
    servers = [address for host in hosts.values() for address in host.all]
    said = await asyncio.gather(*(look.at(server, name, family.question.type) for server in servers))
    return not any(map(loopback, (value for answer in said for value in answer.values)))


# from the address back to the name


async def _reverse(look: Stub, machine: Machine, address: str) -> list[Check]:
    pointer = await look(ipaddress.ip_address(address).reverse_pointer, "PTR")
    claim = Claim("dns.ptr", address, f"PTR {machine.hostname}", needed=machine.sends)
    ask = f"ask the owner of {address} to set its reverse DNS (PTR) to {machine.hostname}"
    if not pointer.heard:
        return [claim.unheard(pointer)]
    if not pointer.values:
        return [_wrong(claim, machine, pointer.shown, ask)]
    back = await resolve_all(look, pointer.values[:NAMES])
    return [
        claim.passed(pointer.shown),
        await _confirmed(look, machine, address, pointer, back),
        _same(machine, address, pointer, ask),
        _numbered(address, pointer, ask),
    ]


def _wrong(claim: Claim, machine: Machine, observed: str, fix: str) -> Check:
    """Strangers look at the address that connects: behind a relay it is the relay's."""
    return claim.failed(observed, fix) if machine.sends else claim.warned(f"{observed}; mail leaves by a relay", fix)


async def _confirmed(look: Stub, machine: Machine, address: str, pointer: Answer, back: dict[str, Addresses]) -> Check:
    """FCrDNS (RFC 8601 3: iprev)."""
    claim = Claim("dns.ptr.confirmed", address, f"a name that leads back to {address}", needed=machine.sends)
    own = str(ipaddress.ip_address(address))
    found = [name for name, addresses in back.items() if own in addresses.all]
    if found:
        return claim.passed(f"{', '.join(found)} leads back")
    told = "; ".join(f"{name}: {addresses.shown}" for name, addresses in back.items())
    if any(await asyncio.gather(*(_hosts_file(look, name, addresses) for name, addresses in back.items()))):
        return claim.unknown(told, HOSTS_FILE)
    kind = "aaaa" if ":" in address else "a"
    silent = [a for a in (getattr(addresses, kind) for addresses in back.values()) if not a.heard]
    if silent:
        return claim.unheard(*silent)
    fix = f"publish {address} at {pointer.values[0]}, or have the PTR set to {machine.hostname}"
    return _wrong(claim, machine, told, fix)


def _same(machine: Machine, address: str, pointer: Answer, fix: str) -> Check:
    claim = Claim("dns.ptr.host", address, f"the name of its HELO, {machine.hostname}")
    if machine.hostname in pointer.values:
        return claim.passed(pointer.shown)
    return _wrong(claim, machine, pointer.shown, fix)


def _numbered(address: str, pointer: Answer, fix: str) -> Check:
    claim = Claim("dns.ptr.generic", address, "a name that a person chose")
    numbers = [name for name in pointer.values if numbered(name, address)]
    return claim.doubted(
        len(numbers) < len(pointer.values), pointer.shown, f"{fix}: many receivers refuse numbered names"
    )


# SPF of the HELO name


async def _helo(look: Stub, machine: Machine) -> list[Check]:
    """Bounces have no MAIL FROM: their SPF is judged at the HELO name (RFC 7208 2.4)."""
    if not machine.sends:
        return [
            Claim("dns.host.spf", machine.hostname, "nothing: it sends nothing itself").passed("mail leaves by a relay")
        ]
    jobs = (spf.evaluate(look, address, "", machine.hostname) for address in machine.addresses)
    results = await asyncio.gather(*jobs)
    return [_judged(machine.hostname, a, r) for a, r in zip(machine.addresses, results, strict=True)]


def _judged(host: str, address: str, found: spf.Evaluation) -> Check:
    claim = Claim("dns.host.spf", f"{host} {address}", f"SPF of {host} lets {address} send")
    fix = f"publish TXT `v=spf1 a -all` at {host}: bounces are judged there"
    told = f"{found.result}: {found.reason}"
    if found.result is Result.PASS:
        return claim.passed(told)
    if found.result is Result.TEMPERROR:
        return claim.unknown(told, "ask again later, or another resolver")
    if found.result in {Result.NONE, Result.NEUTRAL}:
        return claim.warned(told, fix)
    return claim.failed(told, fix)
