"""Which authorities may issue certificates for the mail host (RFC 8659)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

from runbooklib.answers import Answer, Lookup
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import hosts
from runbooklib.results import Check

CRITICAL = 128  # RFC 8659 4.1: who does not know the property must not issue
KNOWN = {"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"}
FIELDS = re.compile(r'(\d+) ([a-z0-9]+) "(.*)"')
ISSUER = re.compile(
    r"[ \t]*((?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)?[ \t]*(;[!-~ \t]*)?"
)


@dataclass(frozen=True)
class Property:
    """One CAA record."""

    flags: int
    tag: str
    value: str

    @property
    def issuer(self) -> str | None:
        """The authority that may issue; empty for nobody, None where it cannot be read (RFC 8659 4.2)."""
        found = ISSUER.fullmatch(self.value)
        return (found[1] or "") if found else None


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """The rrset closest to the mail host counts; without one of ours, the domain's own is read."""
    host = subject.host or await _inside(look, subject.domain)
    answers = await asyncio.gather(*(look(name, "CAA") for name in (_climb(host) if host else [subject.domain])))
    claim = Claim("dns.caa", host or subject.domain, "CAA that lets an authority issue, or none")
    for answer in answers:
        if not answer.heard:
            return [claim.unheard(answer)]
        if answer.values:
            return [_judged(claim, answer, needed=bool(host))]
    return [claim.passed("not used: every authority may issue")]


async def _inside(look: Lookup, domain: str) -> str:
    """The domain's MX host in its own zone, which matters only where the domain restricts anybody."""
    top, mx = await asyncio.gather(look(domain, "CAA"), look(domain, "MX"))
    return next((name for name in hosts(mx) if top.values and name.endswith(f".{domain}")), "")


def _climb(host: str) -> list[str]:
    """The host and the names above it, below the top (RFC 8659 3)."""
    labels = host.split(".")
    return [".".join(labels[i:]) for i in range(len(labels) - 1)]


def _judged(claim: Claim, answer: Answer, *, needed: bool) -> Check:
    read = [Property(int(m[1]), m[2], m[3]) for m in map(FIELDS.fullmatch, answer.values) if m]
    told = f"{answer.question.name}: {'; '.join(answer.values)}"
    strange = [p.tag for p in read if p.flags & CRITICAL and p.tag not in KNOWN]
    if strange:
        return claim.failed(told, f"remove {', '.join(strange)}, which is marked critical: no authority may issue")
    issuers = [p.issuer for p in read if p.tag == "issue"]
    if needed and issuers and not any(issuers):
        return claim.failed(told, 'name the authority in use, e.g. 0 issue "letsencrypt.org": now none may issue')
    fix = "correct the value: an authority that cannot read it may not issue"
    return claim.doubted(None not in issuers and len(read) == len(answer.values), told, fix)
