"""How far an SPF record reaches: its networks, the addresses behind its names, and where it ends."""

from __future__ import annotations

import asyncio

from runbooklib import spf
from runbooklib.answers import Lookup
from runbooklib.audit.addresses import Addresses, proxied, resolve, resolve_all
from runbooklib.audit.claims import Claim
from runbooklib.audit.usage import MOST, hosts
from runbooklib.results import Check, Status
from runbooklib.spf import Spf, SpfError


async def included(look: Lookup, record: Spf) -> list[tuple[str, Spf]]:
    """The records that a record includes or redirects to, by name; the questions were asked for its cost."""
    found: dict[str, Spf] = {}
    waiting = [record]
    while waiting and len(found) < MOST:
        names = dict.fromkeys(n for record in waiting for n in _references(record) if n not in found)
        room = list(names)[: MOST - len(found)]
        read = dict(zip(room, await asyncio.gather(*(_read(look, n) for n in room)), strict=True))
        fresh = {name: record for name, record in read.items() if record}
        found, waiting = found | fresh, list(fresh.values())
    return list(found.items())


def _references(record: Spf) -> list[str]:
    terms = (*(t for t in record.tested if t.name == "include"), *filter(None, [record.redirect]))
    return [t.value for t in terms if "%" not in t.value]


async def _read(look: Lookup, name: str) -> Spf | None:
    values = [v for v in (await look(name, "TXT")).values if spf.is_spf(v)]
    try:
        return spf.parse(values[0]) if len(values) == 1 else None
    except SpfError:
        return None


async def last(look: Lookup, record: Spf) -> tuple[Spf | None, str]:
    """The record whose `all` decides in the end, and the way there; None where it leads nowhere."""
    way = ""
    for _ in range(MOST):
        target = None if record.all else record.redirect
        if target is None:
            return record, way
        way += f"{target.text}: "
        found = await _read(look, target.value) if "%" not in target.value else None
        if found is None:
            return None, way
        record = found
    return None, way


async def breadth(look: Lookup, name: str, record: Spf) -> Check:
    """What is too wide in its own terms; of included records, whose networks are theirs, only what nobody owns."""
    claim = Claim("dns.spf.breadth", name, "networks no wider than those who send have")
    advice = [(a, "") for a in spf.breadth(record)]
    for source, other in await included(look, record):
        vast = [a for a in (*spf.breadth(other), spf.ending(other)) if a.status is Status.FAIL]
        advice += [(a, f" (by {source})") for a in vast]
    told = "; ".join(f"{a.term}{by}: {a.means}" for a, by in advice)
    fix = "; ".join(dict.fromkeys(a.fix for a, _ in advice))
    return claim.check(Status.worst(a.status for a, _ in advice), told or "none wider", fix)


async def proxies(look: Lookup, name: str, record: Spf) -> Check:
    """`a` of a proxied name lets the CDN send, and not the machine behind it."""
    claim = Claim("dns.spf.cdn", name, "`a` and `mx` that lead to who sends, not to a CDN")
    terms = [t for t in record.tested if t.name in {"a", "mx"} and "%" not in t.value][:MOST]
    found = await asyncio.gather(*(_behind(look, t.name, t.value or name) for t in terms))
    led = [
        f"{term.text} is {address}"
        for term, addresses in zip(terms, found, strict=True)
        for one in addresses
        for address in one.all
        if proxied(address)
    ]
    fix = "name the server by ip4: and ip6: as the name leads to a CDN, whose addresses every customer of it shares"
    return claim.doubted(not led, "; ".join(led) or "none leads to one", fix)


async def _behind(look: Lookup, kind: str, name: str) -> list[Addresses]:
    if kind == "a":
        return [await resolve(look, name)]
    return list((await resolve_all(look, hosts(await look(name, "MX")))).values())
