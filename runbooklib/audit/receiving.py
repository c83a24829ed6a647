"""Where mail for a domain goes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from runbooklib.answers import Answer, Lookup
from runbooklib.audit.addresses import Addresses, proxied, resolve, resolve_all, unreachable
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import hosts, receives, sends
from runbooklib.results import Check

NULL = "."


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """The MX rrset, and each host in it."""
    mx, wanted, sending, own = await asyncio.gather(
        look(subject.domain, "MX"), receives(look, subject), sends(look, subject), resolve_all(look, _own(subject))
    )
    if not mx.heard:
        return [_place(subject.domain).unheard(mx)]
    if not mx.values:
        return [await _implicit(look, subject, mx, wanted)]
    names = hosts(mx)
    found = await resolve_all(look, [n for n in names if not _literal(n)])
    rows = [_mx(subject.domain, mx, names), _null(subject.domain, mx, wanted, sending)]
    rows += [row for name in names for row in _host(name, found, rehearsed=subject.rehearsed)]
    rows += [_families(subject.domain, found)] if found else []
    return [*rows, *(_ours(subject.domain, host, names, found, known) for host, known in own.items())]


def _own(subject: Subject) -> list[str]:
    """The host that should receive, where it is known."""
    return [subject.host] if subject.host else []


def _place(domain: str) -> Claim:
    return Claim("dns.mx", domain, f"a place where mail for {domain} goes", needed=True)


def _mx(domain: str, mx: Answer, names: tuple[str, ...]) -> Check:
    return _place(domain).passed(", ".join(sorted(mx.values)) if names else "null MX: it receives nothing")


async def _implicit(look: Lookup, subject: Subject, mx: Answer, wanted: bool | None) -> Check:
    """Without an MX the domain's own address is the MX (RFC 5321 5.1)."""
    claim = _place(subject.domain)
    own = await resolve(look, subject.domain)
    fix = f"publish an MX for {subject.domain}; a null MX (`0 .`) where it receives nothing"
    if own.all:
        return claim.warned(f"{mx.word}, so mail goes to {own.shown}", fix)
    if not own.heard:
        return claim.unheard(own.a, own.aaaa)
    told = f"{mx.word}, and no address"
    if wanted is False:
        return claim.passed(f"{told}: it receives nothing")
    return claim.failed(told, fix) if wanted else claim.warned(told, fix)


def _null(domain: str, mx: Answer, wanted: bool | None, sending: bool | None) -> Check:
    """RFC 7505 3: alone, for who receives nothing; 4.2: receivers refuse mail from a name without a way back."""
    claim = Claim("dns.mx.null", domain, "a null MX only where nothing is received, and nothing beside it")
    null = [v for v in mx.values if v.split()[1] == NULL]
    if not null:
        return claim.passed("no null MX")
    if len(mx.values) > 1:
        return claim.failed(", ".join(mx.values), "remove the null MX, or every other one")
    if wanted:
        return claim.failed("null MX, though it should receive", "replace it by the MX of the host that receives")
    if sending:
        fix = "receivers refuse mail whose sender cannot be answered: give it an MX, or let it send nothing (`-all`)"
        return claim.failed("null MX, though it sends", fix)
    return claim.passed("null MX, alone")


def _host(name: str, hosts_found: Mapping[str, Addresses], *, rehearsed: bool) -> list[Check]:
    found = hosts_found.get(name)
    named = Claim("dns.mx.name", name, "the name of a host, no address and no alias")
    if found is None:
        return [named.failed("an address", "an MX holds a name: give the address one, and name that")]
    address = _address(name, found, hosts_found, rehearsed=rehearsed)
    if found.alias:
        fix = f"name {found.alias} itself in the MX, or give {name} addresses of its own"
        return [named.failed(f"an alias of {found.alias}", fix), address]
    return [named.passed("a host"), address]


def _address(name: str, found: Addresses, others: Mapping[str, Addresses], *, rehearsed: bool) -> Check:
    """Another MX that can be reached lets mail through while this one is silent."""
    other = any(h.all for n, h in others.items() if n != name)
    claim = Claim("dns.mx.address", name, "an address that the world can reach", needed=not other)
    bad = [a for a in found.all if unreachable(a, rehearsed=rehearsed)]
    web = [a for a in found.all if proxied(a)]
    if bad:
        return claim.failed(", ".join(bad), f"publish the public address of {name}; outside, this one leads nowhere")
    if web:
        fix = f"switch the proxy off for {name} (DNS only): a CDN takes no mail"
        return claim.failed(f"{', '.join(web)}, a CDN's", fix)
    if found.all:
        return claim.passed(found.shown)
    if not found.heard:
        return claim.unheard(found.a, found.aaaa)
    return claim.failed(found.shown, f"give {name} an address, or take it out of the MX records")


def _families(domain: str, found: Mapping[str, Addresses]) -> Check:
    claim = Claim("dns.mx.ipv6", domain, "an MX that IPv4 reaches; IPv6 is welcome")
    four, six = [any(getattr(h, kind).values for h in found.values()) for kind in ("a", "aaaa")]
    if six and not four:
        if not all(h.a.heard for h in found.values()):
            return claim.unheard(*(h.a for h in found.values()))
        return claim.warned("IPv6 only", "add an IPv4 address: many senders have no IPv6")
    if not six and not all(h.aaaa.heard for h in found.values()):
        return claim.unheard(*(h.aaaa for h in found.values()))
    return claim.passed("IPv4 and IPv6" if six else "IPv4 only" if four else "no address")


def _ours(domain: str, host: str, names: tuple[str, ...], found: Mapping[str, Addresses], own: Addresses) -> Check:
    claim = Claim("dns.mx.ours", domain, f"MX {host}")
    others = [n for n in names if n != host]
    if not names:
        return claim.failed("null MX", f"make {host} the MX")
    if not others:
        return claim.passed(host)
    if own.all and all(n in found and found[n].all and set(found[n].all) <= set(own.all) for n in others):
        return claim.passed(f"{', '.join(names)}, the same machine")
    beside = " beside us" if host in names else ""
    fix = f"when mail shall arrive here, make {host} the only MX"
    return claim.warned(f"{', '.join(others)} receives{beside}", fix)


def _literal(name: str) -> bool:
    """An address where a name belongs."""
    return ":" in name or name.replace(".", "").isdigit()
