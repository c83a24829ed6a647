"""Aggregate reports of DMARC and TLS-RPT in the mailboxes they are sent to: looked at, never marked or moved."""

from __future__ import annotations

import imaplib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from runbooklib import eml, endpoint, tlsrpt
from runbooklib.credentials import CredentialError, Secret
from runbooklib.dmarc import aggregate
from runbooklib.dmarc.aggregate import Report, ReportError
from runbooklib.eml import Eml
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site
from runbooklib.reports import senders
from runbooklib.reports.standing import standing
from runbooklib.results import Shown, Table
from runbooklib.servers import addresses
from runbooklib.tlsrpt import TlsRptError
from runbooklib.zone import Wire
from runbooklib.zone.questions import INTERNET

IMAPS = 993
SPAN = timedelta(days=60)  # how far back is looked
MOST = 1000  # messages of a mailbox, the newest
LARGEST = 10_000_000  # octets of one message
# RFC 7489 7.2.1.1 and RFC 8460 5.3 name the subject; some receivers put a word before it.
SEARCH = '(SINCE {since} OR SUBJECT "report domain" HEADER TLS-Report-Domain "")'


@dataclass(frozen=True)
class Heard(Shown):
    """The reports found, what was none or is not believed, whose could not be read, and which policies they are for."""

    aggregate: tuple[Report, ...] = ()
    tls: tuple[tlsrpt.Report, ...] = ()
    unreadable: tuple[str, ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)  # by mailbox, or by address that is none of this site
    unproved: tuple[str, ...] = ()  # the sender of each report left out, and what our server says of it
    published: Mapping[str, str] = field(default_factory=dict)  # DMARC policy by domain, as its own servers show it

    @property
    def sessions(self) -> dict[str, list[tlsrpt.Report]]:
        """The reports on TLS by the domain they are about."""
        found: dict[str, list[tlsrpt.Report]] = {}
        for report in self.tls:
            for domain in {policy.domain for policy in report.policies}:
                found.setdefault(domain, []).append(report)
        return found

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self._table().parts()

    def data(self) -> dict[str, Any]:
        return self._table().data()

    def _table(self) -> Table:
        rows = [*_by_source(self.aggregate), *((r.organization, "", "TLS", r.end, _tls(r)) for r in self.tls)]
        rows += [("", "", "unreadable", "", said) for said in self.unreadable]
        rows += [("", address, "not read", "", said) for address, said in self.troubles.items()]
        counted = Counter(self.unproved)
        rows += [("", "", f"left out: {count} of a sender not proved", "", said) for said, count in counted.items()]
        title = "what receivers report" if rows else "no reports were looked for, or none were there"
        return Table(title, ("said by", "about", "what", "until", "messages"), tuple(rows))


def _by_source(reports: Sequence[Report]) -> Iterator[tuple[str, ...]]:
    """One row for each receiver, domain and policy: how many messages were aligned, and from where the others came."""
    groups: dict[tuple[str, str, str], list[Report]] = {}
    for report in reports:
        groups.setdefault((report.reporter, report.domain, report.policy), []).append(report)
    for (reporter, domain, policy), some in groups.items():
        rows = [row for report in some for row in report.rows]
        aligned = sum(r.count for r in rows if r.aligned)
        others = sorted({r.source for r in rows if not r.aligned})
        said = f"{aligned} aligned" + (
            f", {sum(r.count for r in rows) - aligned} not: {_first(others)}" if others else ""
        )
        yield reporter, domain, f"DMARC p={policy}, {len(some)} reports", f"{max(r.end for r in some):%Y-%m-%d}", said


def _first(sources: Sequence[str]) -> str:
    return ", ".join(sources[:5]) + (" …" if len(sources) > 5 else "")  # noqa: PLR2004 - what fits a cell


def _tls(report: tlsrpt.Report) -> str:
    failed = sum(p.failed for p in report.policies)
    return f"{sum(p.successful for p in report.policies)} sessions with TLS, {failed} failed"


def read(site: Site, now: datetime | None = None, wire: Wire = INTERNET) -> Heard:
    """The reports of the last 60 days in this site's own mailboxes; where no domain asks for any, nobody is asked."""
    since = (now or datetime.now(UTC)) - SPAN
    found = Heard(published=standing(site, wire))
    arriving = {address: mailbox(site, address) for address in _asked_for(site)}
    for address in dict.fromkeys(filter(None, arriving.values())):
        found = _joined(found, _read(site, address, since))
    return _joined(found, Heard(troubles={address: ELSEWHERE for address, box in arriving.items() if not box}))


ELSEWHERE = "this is no mailbox of this site, and leads to none: name one, or an alias, for its reports to count here"


def _asked_for(site: Site) -> Iterator[str]:
    """The addresses that reports are asked for to."""
    for domain in site.domains:
        yield from [domain.dmarc.rua] if domain.dmarc.rua else []
        yield from [domain.tls_reports] if domain.tls_rpt or "tls-rpt" in site.dns.optional else []


def mailbox(site: Site, address: str) -> str:
    """The mailbox of this site that mail to an address arrives in; empty where that is elsewhere."""
    led = addresses.aliases(site)
    targets = led.get(address) or led.get(f"@{address.rpartition('@')[2]}", "")
    return next((a for a in (address, *targets.split(",")) if a in site.mailboxes), "")


def _read(site: Site, address: str, since: datetime) -> Heard:
    where = Endpoint(site.server.hostname, IMAPS, "implicit", site.mail.tls.ca)
    try:
        with endpoint.leaving(endpoint.imap(where, endpoint.local_dial, site.server.ipv4)) as client:
            found = messages(client, address, site.mailboxes[address].password, since)
            return _sorted(found, site.server.hostname)
    except (EndpointError, CredentialError) as error:
        return Heard(troubles={address: str(error)})
    except (imaplib.IMAP4.error, OSError) as error:
        return Heard(troubles={address: f"{where}: {type(error).__name__}"})


def messages(client: imaplib.IMAP4, address: str, password: Secret, since: datetime) -> Iterator[Eml]:
    """The messages that look like reports, one after the other, so that no more than one is held.

    Raises LoginError, imaplib's errors.
    """
    endpoint.imap_login(client, address, password)
    client.select("INBOX", readonly=True)
    _, found = client.uid("SEARCH", SEARCH.format(since=f"{since:%d-%b-%Y}"))
    for uid in (found[0] or b"").split()[-MOST:]:
        _, sizes = client.uid("FETCH", uid.decode(), "(RFC822.SIZE)")
        if _size(sizes) <= LARGEST:
            _, parts = client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
            yield from (eml.read(p[1]) for p in parts if isinstance(p, tuple))


def _size(told: Sequence[Any]) -> int:
    digits = bytes(told[0] or b"").rpartition(b"RFC822.SIZE ")[2].split(b")")[0].split()
    return int(digits[0]) if digits and digits[0].isdigit() else LARGEST + 1


def _sorted(found: Iterable[Eml], host: str) -> Heard:
    """The reports in messages that `host` took in; each counts once, and only from a sender it did not doubt."""
    dmarc_reports: dict[tuple[str, str], Report] = {}
    tls: dict[tuple[str, ...], tlsrpt.Report] = {}
    unreadable: list[str] = []
    unproved: list[str] = []
    for mail in found:
        doubt = senders.doubt(mail, host)
        for name, data in _files(mail.message):
            try:
                report = parse(data)
            except (ReportError, TlsRptError) as error:
                unreadable.append(f"{name}: {error}")
                continue
            if doubt:
                unproved.append(doubt)
            elif isinstance(report, Report):
                dmarc_reports[report.reporter, report.id] = report
            else:
                tls[report.organization, report.start, report.end] = report
    return Heard(tuple(dmarc_reports.values()), tuple(tls.values()), tuple(unreadable), unproved=tuple(unproved))


def parse(data: bytes) -> Report | tlsrpt.Report:
    """A file as it was attached: XML is DMARC's, JSON is TLS-RPT's.

    Raises ReportError, TlsRptError.
    """
    text = aggregate.unpack(data)
    return tlsrpt.parse_report(text.decode(errors="replace")) if text.lstrip()[:1] == b"{" else aggregate.parse(text)


def _files(message: EmailMessage) -> Iterator[tuple[str, bytes]]:
    """What is attached and may be a report; a message of nothing but the report has it as its body."""
    for part in message.walk():
        kind = part.get_content_type()
        if kind in KINDS and not part.is_multipart():
            payload = part.get_payload(decode=True)
            yield part.get_filename() or kind, payload if isinstance(payload, bytes) else b""


KINDS = {
    "application/gzip",
    "application/x-gzip",
    "application/zip",
    "application/x-zip-compressed",
    "application/octet-stream",
    "application/xml",
    "text/xml",
    "application/tlsrpt+gzip",
    "application/tlsrpt+json",
}


def _joined(one: Heard, other: Heard) -> Heard:
    return Heard(
        one.aggregate + other.aggregate,
        one.tls + other.tls,
        one.unreadable + other.unreadable,
        {**one.troubles, **other.troubles},
        one.unproved + other.unproved,
        {**one.published, **other.published},
    )
