"""The whole audit of a domain and of a host: all subjects side by side, over one stub that asks nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from runbooklib.audit import (
    blocklists,
    clients,
    delegation,
    dkim,
    dmarc,
    dnssec,
    issuance,
    mailhost,
    names,
    receiving,
    spf,
    transport,
)
from runbooklib.audit.subject import Machine, Subject
from runbooklib.results import Check, Checklist
from runbooklib.zone import Stub

SUBJECTS = (
    delegation.checks,
    dnssec.checks,
    names.checks,
    receiving.checks,
    issuance.checks,
    clients.checks,
    spf.checks,
    dkim.checks,
    dmarc.checks,
)


async def domain(stub: Stub, subject: Subject, fetch: transport.Fetch | None = None) -> Checklist:
    """Every check of a mail domain; MTA-STS policies are fetched by `fetch`, and without it stay unknown."""
    jobs = [checks(stub, subject) for checks in SUBJECTS]
    jobs += [transport.checks(stub, subject, fetch), _listed(stub, subject)]
    return Checklist(subject.domain, _flat(await asyncio.gather(*jobs)))


async def host(stub: Stub, subject: Machine) -> Checklist:
    """Every check of a mail host."""
    rows = await asyncio.gather(
        mailhost.checks(stub, subject),
        blocklists.of_addresses(stub, subject.blocklists, subject.addresses, sends=subject.sends),
        blocklists.of_domains(stub, subject.domain_blocklists, [subject.hostname], sends=subject.sends),
    )
    return Checklist(subject.hostname, _flat(rows))


async def _listed(stub: Stub, subject: Subject) -> list[Check]:
    return await blocklists.of_domains(stub, subject.blocklists, [subject.domain], sends=subject.sends is not False)


def _flat(rows: Iterable[list[Check]]) -> tuple[Check, ...]:
    return tuple(row for part in rows for row in part)
