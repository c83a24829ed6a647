"""What receivers do with mail that does not authenticate, and who hears of it."""

from __future__ import annotations

import asyncio

from runbooklib import dmarc
from runbooklib.answers import Answer, Lookup
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import MOST, sends
from runbooklib.dmarc import POLICIES, Discovery, DmarcError, Record
from runbooklib.results import Check, Status


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """The record that decides, its own or inherited, and those it names."""
    name = f"_dmarc.{subject.domain}"
    own, found, used = await asyncio.gather(look(name, "TXT"), dmarc.ask(look, subject.domain), sends(look, subject))
    rows = [_record(subject.domain, own, found, used), *_singles(subject.domain, own, found), *_syntax(name, own)]
    rows.append(_rfcs(subject.domain, found))
    record = found.walked.record
    if record is None:
        return rows
    rows += [
        _policy(found),
        *_subdomains(found, subject.domain),
        _reports(found.walked.at, record, used),
        _retired(found),
    ]
    return rows + await _agreements(look, found)


def _record(domain: str, own: Answer, found: Discovery, used: bool | None) -> Check:
    claim = Claim("dns.dmarc.record", domain, "a DMARC policy", needed=used is True)
    if not found.walked.known:
        return claim.unknown(str(found.walked), "ask again later, or another resolver")
    if found.walked.policy:
        return claim.passed(f"{'inherited: ' if found.walked.at != domain else ''}{found.walked}")
    fix = f"publish v=DMARC1; p=none; rua=mailto:… at _dmarc.{domain}; p=reject where nothing is sent"
    told = f"{own.shown}: none applies" if own.values else f"{found.walked}"
    # What stands there and is not taken was meant to be a policy.
    return claim.failed(told, fix) if used or own.values else claim.warned(told, fix)


def _singles(domain: str, own: Answer, found: Discovery) -> list[Check]:
    claim = Claim("dns.dmarc.single", domain, "one DMARC record")
    if found.several:
        return [claim.failed(f"several at {', '.join(found.several)}", "keep one: with several none applies")]
    return [claim.passed("one")] if any(map(dmarc.is_dmarc, own.values)) else []


def _syntax(name: str, own: Answer) -> list[Check]:
    claim = Claim("dns.dmarc.syntax", name, "every tag can be read")
    records = [v for v in own.values if "dmarc" in v[:20].lower()]
    if len(records) != 1:
        return []
    try:
        dmarc.parse(records[0])
    except DmarcError as error:
        told, fix = f"{records[0]}: {error}", "correct it: receivers leave out what they cannot read, or all of it"
        return [claim.warned(told, fix) if _harmless(records[0]) else claim.failed(told, fix)]
    return [claim.passed(records[0])]


def _harmless(text: str) -> bool:
    """Whether all that cannot be read is of names that no receiver knows (RFC 9989 4.7)."""
    record = dmarc.accepted(text)
    try:
        return record is not None and dmarc.parse(str(record)) == record
    except DmarcError:
        return False


def _policy(found: Discovery) -> Check:
    """p=none is where one begins: with reports it watches, without it does nothing."""
    claim = Claim("dns.dmarc.policy", found.domain, "quarantine or reject")
    record, policy = found.walked.record or Record({}), found.walked.policy or POLICIES[0]
    told = f"{policy}{', testing (t=y)' if record.testing else ''}"
    if policy != POLICIES[0]:
        return claim.doubted(not record.testing, told, "remove t=y once the reports show every sender aligned")
    if record.aggregate:
        return claim.warned(
            f"{told}: it only watches", "once the reports show every sender aligned, ask for quarantine"
        )
    return claim.warned(
        f"{told}, and no reports", "add rua=mailto:… to see who sends, then go on to quarantine and reject"
    )


def _subdomains(found: Discovery, domain: str) -> list[Check]:
    record = found.walked.record
    if record is None or found.walked.at != domain:
        return []
    claim = Claim("dns.dmarc.subdomains", domain, "the same of subdomains, those that do not exist included")
    asked = {"sp": record.subdomain_policy, "np": record.missing_policy}
    weaker = [f"{tag}={p}" for tag, p in asked.items() if POLICIES.index(p) < POLICIES.index(record.policy)]
    fix = f"remove {', '.join(weaker)}: whoever forges takes a subdomain"
    return [claim.doubted(not weaker, f"p={record.policy}" + "".join(f", {w}" for w in weaker), fix)]


def _reports(at: str, record: Record, used: bool | None) -> Check:
    claim = Claim("dns.dmarc.reports", at, "an address that takes aggregate reports")
    fix = "add rua=mailto:… of a mailbox that is read: reports show who else sends as this domain"
    if record.aggregate:
        return claim.passed(", ".join(d.uri for d in record.aggregate))
    if "rua" in record.tags:
        return claim.failed(f"rua={record.tags['rua']}", "write each address as mailto:reports@example.org")
    return claim.passed("none; it sends nothing") if used is False else claim.warned("none", fix)


async def _agreements(look: Lookup, found: Discovery) -> list[Check]:
    """Reports about a domain go elsewhere only where that has said yes."""
    record = found.walked.record or Record({})
    asked = dmarc.external(found.walked.at, (*record.aggregate, *record.failure)[:MOST])
    answers = await asyncio.gather(*(look(name, "TXT") for name in asked.values()))
    return [
        _agreed(found.walked.at, host, dmarc.agreement(host, name, answer))
        for (host, name), answer in zip(asked.items(), answers, strict=True)
    ]


def _agreed(domain: str, host: str, agreement: dmarc.Agreement) -> Check:
    claim = Claim("dns.dmarc.authorised", host, f"it takes the reports about {domain}")
    if agreement.status is Status.PASS:
        return claim.passed(agreement.said)
    if agreement.status is Status.UNKNOWN:
        return claim.unknown(agreement.said, "ask again later, or another resolver")
    return claim.warned(
        agreement.said, f"{host} publishes TXT v=DMARC1 at {agreement.name}, or no report is sent there"
    )


def _rfcs(domain: str, found: Discovery) -> Check:
    claim = Claim("dns.dmarc.rfcs", domain, "the same by RFC 9989 and by RFC 7489, which many receivers still follow")
    if not found.known:
        return claim.unknown(
            "; ".join({str(f) for f in (found.walked, found.listed) if not f.known}), "ask again later"
        )
    fix = f"publish a record of its own at _dmarc.{domain}, without the tags that only one of them knows"
    return claim.doubted(not found.differences, "; ".join(found.differences) or str(found.walked), fix)


def _retired(found: Discovery) -> Check:
    """pct= is the one that decided; rf= and ri= nobody ever heeded."""
    claim = Claim("dns.dmarc.retired", found.walked.at, "no tag that RFC 9989 removed decides")
    record = found.walked.record or Record({})
    told = ", ".join(f"{tag}={record.tags[tag]}" for tag in record.retired) or "none"
    fix = "remove pct=: newer receivers apply the policy to all mail; t=y is the word for a trial"
    return claim.doubted(record.percentage == 100, told, fix)  # noqa: PLR2004 - per cent
