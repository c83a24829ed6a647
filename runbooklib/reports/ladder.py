"""The rows of the ladder: which policy the reports allow each domain, beside the one params want."""

from __future__ import annotations

from datetime import UTC, datetime

from runbooklib.dmarc.ladder import Rung, rung
from runbooklib.dmarc.record import POLICIES
from runbooklib.params import Domain, Site
from runbooklib.records import Observed, Wanted, policies
from runbooklib.reports.mailbox import Heard, mailbox
from runbooklib.reports.standing import published
from runbooklib.results import Check, Checklist, Status

REF = "RFC 9989 8"


def rungs(site: Site, heard: Heard, now: datetime | None = None) -> dict[str, Rung]:
    """How far up each domain may go."""
    moment = now or datetime.now(UTC)
    return {
        d.name: rung(d.name, heard.aggregate, d.dmarc.disowned, moment, heard.published.get(d.name, ""))
        for d in site.domains
    }


def records(site: Site, heard: Heard, now: datetime | None = None) -> tuple[Wanted, ...]:
    """The DMARC records that the reports allow."""
    return tuple(policies.wanted(site, rungs(site, heard, now)))


def verify(site: Site, heard: Heard, seen: Observed, now: datetime | None = None) -> Checklist:
    """One row for each domain that asks for reports or wants more than none."""
    allowed = rungs(site, heard, now)
    rows = [
        _row(d, allowed[d.name], trouble(site, d, heard), published(d.name, seen))
        for d in site.domains
        if d.dmarc.rua or d.dmarc.policy != POLICIES[0]
    ]
    return Checklist("the DMARC ladder", tuple(rows))


def trouble(site: Site, domain: Domain, heard: Heard) -> str:
    """Why the reports of a domain were not read; empty where they were, or are not asked for."""
    asked = domain.dmarc.rua or ""
    return heard.troubles.get(asked) or heard.troubles.get(mailbox(site, asked), "")


def _row(domain: Domain, found: Rung, trouble: str, stands: str) -> Check:
    """Above what reports allow, a policy waits; it stays where it is published already."""
    goal = domain.dmarc.policy
    name, expected = f"dns.dmarc.ladder {domain.name}", f"p={goal}, when reports allow it"
    there = POLICIES.index(stands or POLICIES[0]) >= POLICIES.index(goal)
    if there or found.limits(goal) == goal:
        fix = _next(goal, found)
        return Check(name, Status.PASS, expected, f"p={stands or 'none yet'}; {found.said}", fix, REF)
    if trouble:
        said = f"p={stands or 'none yet'}; the reports could not be read: {trouble}"
        fix = "dmarc.rua has to lead to a mailbox of this site, which is read by IMAP with its password in params"
        return Check(name, Status.UNKNOWN, expected, said, fix, REF, advisory=True)
    said = f"p={found.limits(goal)} for now; {found.said}"
    return Check(name, Status.PENDING, expected, said, found.fix, REF)


def _next(goal: str, found: Rung) -> str:
    above = POLICIES.index(found.allowed) > POLICIES.index(goal)
    return f"p={found.allowed} is proved: set dmarc.policy when you want it" if above else ""
