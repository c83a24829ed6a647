"""Aggregate reports (RFC 9990, before it RFC 7489 appendix C): what receivers saw sent as a domain.

They come from strangers by mail, so size, nesting and entities are bounded before anything is believed.
"""

from __future__ import annotations

import gzip
import io
import ipaddress
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from runbooklib.results import RunbookError

LARGEST = 20_000_000  # octets unpacked; a large receiver's day for a busy domain takes one
MOST_ROWS = 50_000
LATEST = 2**33  # seconds since 1970; beyond it is no date


class ReportError(RunbookError):
    """A file is no aggregate report that can be believed."""


@dataclass(frozen=True)
class Row:
    """Messages from one address with one outcome."""

    source: str  # the address that sent
    count: int
    dkim: bool  # whether an aligned signature verified
    spf: bool  # whether an aligned MAIL FROM passed
    header_from: str
    reasons: tuple[str, ...] = ()  # why the receiver did otherwise than asked: forwarded, mailing_list, …

    @property
    def aligned(self) -> bool:
        return self.dkim or self.spf


@dataclass(frozen=True)
class Report:
    """What one receiver saw in one span of time."""

    reporter: str
    id: str
    domain: str  # whose policy was applied
    begin: datetime
    end: datetime
    policy: str  # the p= that the receiver found published
    rows: tuple[Row, ...]


def unpack(data: bytes) -> bytes:
    """The XML in an attachment: packed by gzip or zip (RFC 7489 7.2.1.1), or plain.

    Raises ReportError, also for a file that would unpack to more than LARGEST.
    """
    try:
        if data[:2] == b"\x1f\x8b":
            found = gzip.GzipFile(fileobj=io.BytesIO(data)).read(LARGEST + 1)
        elif data[:4] == b"PK\x03\x04":
            found = _only_member(data)
        else:
            found = data
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise ReportError(f"expected gzip or zip, saw {type(error).__name__}") from None
    if len(found) > LARGEST:
        raise ReportError(f"expected at most {LARGEST} octets, saw more")
    return found


def _only_member(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as folder:
        members = [m for m in folder.infolist() if not m.is_dir()]
        if len(members) != 1:
            raise ReportError(f"expected one file in the zip, saw {len(members)}")
        with folder.open(members[0]) as member:
            return member.read(LARGEST + 1)


def parse(xml: bytes) -> Report:
    """A report; what it says of others than its policy's domain is kept, as subdomains are among it.

    Raises ReportError with the first thing that is missing or no such value.
    """
    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise ReportError(f"expected XML, saw {type(error).__name__}") from None
    if _local(root) != "feedback":
        raise ReportError(f"expected the element feedback, saw {_local(root)[:40]!a}")
    return Report(
        reporter=_text(root, "report_metadata", "org_name"),
        id=_text(root, "report_metadata", "report_id"),
        domain=_name(_text(root, "policy_published", "domain")),
        begin=_moment(_text(root, "report_metadata", "date_range", "begin")),
        end=_moment(_text(root, "report_metadata", "date_range", "end")),
        policy=_text(root, "policy_published", "p").lower(),
        rows=tuple(_rows(root)),
    )


def _rows(root: Element) -> Iterator[Row]:
    records = [e for e in root if _local(e) == "record"]
    if len(records) > MOST_ROWS:
        raise ReportError(f"expected at most {MOST_ROWS} records, saw {len(records)}")
    for record in records:
        evaluated = _find(record, "row", "policy_evaluated")
        reasons = [_find(e, "type") for e in evaluated or () if _local(e) == "reason"]
        yield Row(
            source=_address(_text(record, "row", "source_ip")),
            count=_number(_text(record, "row", "count"), LATEST),
            dkim=_text(record, "row", "policy_evaluated", "dkim").lower() == "pass",
            spf=_text(record, "row", "policy_evaluated", "spf").lower() == "pass",
            header_from=_name(_text(record, "identifiers", "header_from")),
            reasons=tuple(e.text or "" for e in reasons if e is not None),
        )


def _local(element: Element) -> str:
    """The name without its namespace: RFC 9990 has one, older reports have none or others."""
    return str(element.tag).rpartition("}")[2]


def _find(element: Element, *path: str) -> Element | None:
    found: Element | None = element
    for name in path:
        found = next((e for e in found if _local(e) == name), None) if found is not None else None
    return found


def _text(element: Element, *path: str) -> str:
    found = _find(element, *path)
    text = ((found.text or "") if found is not None else "").strip()
    if not text:
        raise ReportError(f"expected {'/'.join(path)}, saw none")
    return text[:255]


def _name(text: str) -> str:
    return text.rstrip(".").lower()


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ReportError(f"expected an address as source_ip, saw {text[:40]!a}") from None


def _number(text: str, most: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))) or int(text) > most:
        raise ReportError(f"expected a number, saw {text[:40]!a}")
    return int(text)


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(_number(text, LATEST), UTC)
