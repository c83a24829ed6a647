"""What mail programs look for to set themselves up."""

from __future__ import annotations

import asyncio

from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.addresses import resolve, resolve_all
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import MOST, services
from runbooklib.results import Check

SERVICES = {  # RFC 6186 3, RFC 8314 5.1, RFC 5804 1.8; the last two by custom
    "_submission": "",
    "_submissions": "",
    "_imap": "",
    "_imaps": "",
    "_pop3": "",
    "_pop3s": "",
    "_sieve": "",
    "_smtps": "",
    "_autodiscover": "",
}
PAGES = ("autoconfig", "autodiscover")
NOWHERE = "."  # RFC 2782: the service is not offered


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """Service records; where the host is known the names of configuration pages, too."""
    pages = [_page(look, f"{label}.{subject.domain}") for label in PAGES] if subject.host else []
    services, found = await asyncio.gather(_services(look, subject.domain), asyncio.gather(*pages))
    return [*services, *found]


async def _services(look: Lookup, domain: str) -> list[Check]:
    """One question where there are none: NXDOMAIN at `_tcp` means that nothing stands below it (RFC 8020)."""
    claim = Claim("dns.srv", domain, "service records that lead to a host, or none")
    below = await services(look, domain)
    if not below.heard:
        return [claim.unheard(below)]
    if below.word is Word.NXDOMAIN:
        return [claim.passed("not used")]
    names = [f"{label}._tcp.{domain}" for label in SERVICES]
    answers = await asyncio.gather(*(look(name, "SRV") for name in names))
    rows = await asyncio.gather(*(_service(look, a) for a in answers if a.values or not a.heard))
    return list(rows) or [claim.passed("not used")]


async def _service(look: Lookup, answer: Answer) -> Check:
    claim = Claim("dns.srv", answer.question.name, "a host that has addresses")
    if not answer.heard:
        return claim.unheard(answer)
    targets = {value.split()[3] for value in answer.values} - {NOWHERE}
    if not targets:
        return claim.passed("not offered here")
    for target, host in (await resolve_all(look, sorted(targets)[:MOST])).items():
        if host.alias:
            return claim.failed(f"{target} is an alias of {host.alias}", f"name {host.alias} itself (RFC 2782)")
        if host.heard and not host.all:
            return claim.failed(f"{target}: {host.shown}", f"correct the target, or remove {answer.question.name}")
        if not host.all:
            return claim.unheard(host.a, host.aaaa)
    return claim.passed("; ".join(answer.values))


async def _page(look: Lookup, name: str) -> Check:
    """An alias without an end, or a name without an address, costs mail programs their time."""
    claim = Claim("dns.autoconfig", name, "a name that leads somewhere, or none")
    found = await resolve(look, name)
    if found.all:
        return claim.passed(" ".join(filter(None, [found.alias and f"CNAME {found.alias}:", found.shown])))
    if not found.heard:
        return claim.unheard(found.a, found.aaaa)
    if found.alias:
        return claim.failed(f"CNAME {found.alias}, which has no address", f"remove {name}, or correct its target")
    return claim.passed("not used")
