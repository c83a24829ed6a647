"""Names that should not answer, and names that panels spoil."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runbooklib import dmarc, domainkeys, spf
from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.addresses import unreachable
from runbooklib.audit.claims import Claim, said
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import made_up
from runbooklib.results import Check

Looks = Callable[[str], bool]  # whether a TXT value is of a kind


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """Wildcard, alias, misplaced records, and the domain's own address."""
    domain = subject.domain
    soa, chance, place, *found = await asyncio.gather(
        look(domain, "SOA"),
        made_up(look, domain),
        made_up(look, domain, "A"),
        _address(look, subject),
        _doubled(look, subject),
        _stripped(look, subject),
    )
    return [_wildcard(domain, chance, place), _alias(domain, soa), *found]


def _wildcard(domain: str, *chances: Answer) -> Check:
    """NODATA is no proof of one: some signed zones say it for every name that does not exist (RFC 9824 2)."""
    claim = Claim("dns.wildcard", domain, "no answer for a name that nobody made")
    wild = [said(a) for a in chances if a.values or a.chain]
    if not wild and not all(a.heard for a in chances):
        return claim.unheard(*chances)
    fix = f"remove *.{domain}: it answers for hosts, keys and policies that nobody made, and hides that one is missing"
    return claim.doubted(not wild, "; ".join(wild) or chances[0].shown, fix)


def _alias(domain: str, soa: Answer) -> Check:
    claim = Claim("dns.alias", domain, "no CNAME at the mail domain")
    if not soa.heard:
        return claim.unheard(soa)
    fix = (
        f"replace the CNAME of {domain} by address records (ALIAS or ANAME at some providers): "
        "no MX or TXT may stand beside it"
    )
    return claim.judged(not soa.chain, f"CNAME {soa.chain[0]}" if soa.chain else "no CNAME", fix)


async def _address(look: Lookup, subject: Subject) -> Check:
    claim = Claim("dns.web.address", subject.domain, "an address that the world can reach, or none")
    kinds = ("A", "AAAA") if subject.host else ("A",)  # of a stranger's web page one question is enough
    answers = await asyncio.gather(*(look(subject.domain, kind) for kind in kinds))
    found = [value for answer in answers for value in answer.values]
    bad = [address for address in found if unreachable(address, rehearsed=subject.rehearsed)]
    if not bad and not all(a.heard for a in answers):
        return claim.unheard(*answers)
    fix = f"remove {', '.join(bad)}: outside your network it leads nowhere"
    return claim.doubted(not bad, ", ".join(found) or "none", fix)


# records whose names a panel completed once too often, or cleaned


def _is_key(value: str) -> bool:
    try:
        return bool(domainkeys.parse(value).public)
    except domainkeys.KeyRecordError:
        return False


def _places(subject: Subject) -> dict[str, Looks]:
    """The names whose TXT records panels are given, and what should stand there."""
    places: dict[str, Looks] = {f"_dmarc.{subject.domain}": dmarc.is_dmarc, subject.domain: spf.is_spf}
    return places | {f"{selector}._domainkey.{subject.domain}": _is_key for selector in subject.selectors}


async def _doubled(look: Lookup, subject: Subject) -> Check:
    """A name typed in full into a panel that appends the zone (RFC 1035 5.1: relative without the final dot)."""
    zone = (await look(subject.domain, "SOA")).zone or subject.domain
    claim = Claim("dns.names.doubled", subject.domain, f"nothing below {subject.domain}.{zone}")
    top, chance = await asyncio.gather(look(f"{subject.domain}.{zone}", "TXT"), made_up(look, subject.domain))
    if not top.heard:
        return claim.unheard(top)
    if top.word is Word.NXDOMAIN:
        return claim.passed(top.shown)
    found, silent = await _misplaced(look, {f"{n}.{zone}": (n, is_it) for n, is_it in _places(subject).items()}, chance)
    if silent and not found:
        return claim.unheard(*silent)
    if not found:
        odd = (top.word, top.values) != (chance.word, chance.values)
        fix = f"look into the zone for names that end in {subject.domain}.{zone}, and remove them"
        return claim.doubted(not odd, "the name exists" if odd else "nothing but what any name answers", fix)
    lost = [name for name, proper in found.items() if not proper]
    told = ", ".join(found)
    fix = f"enter the name without {zone}: the panel appends it by itself; remove what is doubled"
    return claim.failed(f"{told}, and not where receivers look", fix) if lost else claim.warned(told, fix)


async def _stripped(look: Lookup, subject: Subject) -> Check:
    """A record a panel took the underscore from: receivers never ask for it."""
    claim = Claim("dns.names.stripped", subject.domain, "every name with its underscore")
    places = {n: is_it for n, is_it in _places(subject).items() if "_" in n.removesuffix(subject.domain)}
    proper = await asyncio.gather(*(look(n, "TXT") for n in places))
    missing = [a.question.name for a in proper if not any(map(places[a.question.name], a.values))]
    bare = {_bare(n, subject.domain): (n, places[n]) for n in missing}
    found, silent = await _misplaced(look, bare, None)
    lost = [wrong for wrong, right in found.items() if not right]
    if silent and not lost:
        return claim.unheard(*silent)
    fix = "put the record at its name with the underscore; a panel that refuses one needs its support, or another panel"
    told = ", ".join(f"{wrong} instead of {bare[wrong][0]}" for wrong in lost)
    return claim.judged(not lost, told or "none lost one", fix)


def _bare(name: str, domain: str) -> str:
    return f"{name.removesuffix(domain).replace('_', '')}{domain}"


async def _misplaced(
    look: Lookup, places: dict[str, tuple[str, Looks]], chance: Answer | None
) -> tuple[dict[str, bool], list[Answer]]:
    """The wrong names that hold such a record, each with whether the right one does, too; and what was not heard."""
    proper = [name for name, _ in places.values()]
    answers = await asyncio.gather(*(look(name, "TXT") for name in (*places, *proper)))
    wrong, right = answers[: len(places)], answers[len(places) :]
    wild = chance.values if chance else ()
    found = {
        name: any(map(is_it, at.values))
        for (name, (_, is_it)), there, at in zip(places.items(), wrong, right, strict=True)
        if any(is_it(v) and v not in wild for v in there.values)
    }
    return found, [a for a in answers if not a.heard]
