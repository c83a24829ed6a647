"""Whether the zone is signed, whether the signatures hold, and with what."""

from __future__ import annotations

import asyncio
from functools import partial

from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.addresses import resolve_all
from runbooklib.audit.claims import Claim, said
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import hosts, validated
from runbooklib.results import Check
from runbooklib.zone import Stub

SIGNING = {"8", "13", "14", "15", "16"}  # algorithms that the registry of RFC 9904 does not advise against
DIGESTS = {"2", "4"}  # SHA-256 and SHA-384


async def checks(stub: Stub, subject: Subject) -> list[Check]:
    """The domain's zone, and the way of mail to its MX hosts."""
    zone, way = await asyncio.gather(_zone(stub.validating, subject), _way(stub, subject))
    return [*zone, *way]


async def _zone(look: Lookup, subject: Subject) -> list[Check]:
    """The chain of trust as a validating resolver and the parent's DS records show it."""
    soa, delegation = await asyncio.gather(look(subject.domain, "SOA"), look(subject.domain, "DS"))
    if soa.heard and soa.zone not in {"", subject.domain} and not soa.chain:
        delegation = await look(soa.zone, "DS")
    return [_trust(subject.domain, soa, delegation), *_algorithms(delegation)]


def _trust(domain: str, soa: Answer, delegation: Answer) -> Check:
    claim = Claim("dns.dnssec", domain, "signatures that validate, or an unsigned zone")
    if soa.word is Word.BOGUS:
        fix = "compare the DS record at the parent with the zone's keys; have it removed until the zone is signed right"
        return claim.failed(" ".join(filter(None, ["bogus", soa.note])), fix)
    if soa.secure:
        return claim.passed("signed, and validated by the resolver")
    if not (soa.heard and delegation.heard):
        return claim.unheard(soa, delegation)
    return _unproved(claim, delegation)


def _unproved(claim: Claim, delegation: Answer) -> Check:
    """Nobody validated anything: because there is nothing to validate, or because nobody who does was asked."""
    if not delegation.recursive and not delegation.values and delegation.zone == delegation.question.name:
        return claim.unknown("asked at the zone's own server only", "the parent says it: name a resolver")
    if delegation.values:
        return claim.unknown(f"{said(delegation)}, and nobody validated it", "ask a resolver that validates")
    return claim.passed("not used: the parent has no DS record")


def _algorithms(delegation: Answer) -> list[Check]:
    """The DS records one by one: key tag, algorithm, digest type."""
    found = [v.split() for v in delegation.values]
    claim = Claim("dns.dnssec.algorithm", delegation.question.name, "DS records of a current algorithm and digest")
    old = [f for f in found if f[1] not in SIGNING or f[2] not in DIGESTS]
    told = ", ".join(f"key {tag} algorithm {algorithm} digest {digest}" for tag, algorithm, digest, *_ in old or found)
    fix = "sign with algorithm 13, publish a DS of digest type 2, then have the old one removed"
    return [claim.doubted(not old, told, fix)] if found else []


async def _way(stub: Stub, subject: Subject) -> list[Check]:
    """Senders look for TLSA only behind answers that validate (RFC 7672 2.2)."""
    mx = await validated(stub, subject.domain, "MX")
    found = await resolve_all(partial(validated, stub), hosts(mx))
    if not found:
        return []
    claim = Claim("dns.mx.dnssec", subject.domain, "MX and host addresses that validate, or none signed")
    bogus = [n for n, h in found.items() if Word.BOGUS in {h.a.word, h.aaaa.word}]
    if bogus:
        return [
            claim.failed(f"bogus: {', '.join(bogus)}", "the host's zone is signed wrong: correct its DS or its keys")
        ]
    if not mx.secure:
        return [claim.passed("not used: the MX rrset is not validated")]
    plain = [n for n, h in found.items() if not any(a.secure for a in (h.a, h.aaaa) if a.values)]
    pins = await asyncio.gather(*(validated(stub, f"_25._tcp.{n}", "TLSA") for n in plain))
    told = f"MX signed, {', '.join(plain)} not" if plain else "all validated"
    if not any(p.values for p in pins):
        return [claim.passed(f"{told}, and no TLSA is there: DANE is not used" if plain else told)]
    return [claim.warned(told, "DANE protects nobody until the hosts' zone is signed, too")]
