"""Whether a message is written as RFC 5322 has it: what servers refuse and filters count against it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runbooklib.eml import dates, fields
from runbooklib.eml.fields import Header
from runbooklib.eml.reading import Eml
from runbooklib.results import Check, Status

LONGEST = 998  # octets of a line without its end (RFC 5322 2.1.1)
SANE = timedelta(minutes=10)  # between Date and the first server that took it; more is a clock gone wrong
# RFC 5322 3.6 and RFC 2045 3: these stand at most once
ONCE = (
    "Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
)  # fmt: skip
MESSAGE_ID = re.compile(r"^<[^<>@\s]+@([^<>@\s]+)>$")  # RFC 5322 3.6.4, without what only its obsolete syntax allows
ZONE = re.compile(r"(?:[+-]\d{4}|GMT)\s*(?:\([^)]*\)\s*)?$")  # RFC 5322 3.3; GMT is old, and means the same to all
INNER = (".local", ".localdomain", ".lan", ".internal", ".home", ".invalid")


@dataclass(frozen=True)
class Defect:
    """One thing that is not as the RFC has it."""

    status: Status  # fail: some servers refuse it; warn: filters count it
    said: str
    ref: str

    def __str__(self) -> str:
        return f"{self.said} ({self.ref})"


def judge(mail: Eml, about: str) -> Check:
    """One row: all that is wrong with the message's form."""
    found = defects(mail)
    status = Status.worst(d.status for d in found)
    said = "; ".join(map(str, found)) or "one Date, From and Message-ID, lines and octets as they may be"
    fix = "see what writes it: the mail program for Date, Message-ID and MIME, the relay for what is doubled"
    ref = found[0].ref if found else "RFC 5322 3.6"
    expected = "written as RFC 5322 has it"
    return Check(f"delivery.format {about}", status, expected, said, fix if found else "", ref)


def defects(mail: Eml) -> tuple[Defect, ...]:
    """Everything, what servers refuse first."""
    header = fields.read(mail.raw)
    found = [*_octets(mail.raw), *_fields(header), *_date(header, mail), *_message_id(header)]
    found += _eight_bit(header, mail)
    return tuple(sorted(found, key=lambda d: d.status is not Status.FAIL))


def _octets(raw: bytes) -> Iterator[Defect]:
    long = max(map(len, re.split(rb"\r\n|\n|\r", raw)))
    if long > LONGEST:
        yield Defect(Status.FAIL, f"a line of {long} octets, {LONGEST} are allowed", "RFC 5322 2.1.1")
    # RFC 5321 2.3.8: servers disagree about where such lines end, which is what SMTP smuggling lives on
    bare = [name for name, pattern in (("CR", rb"\r(?!\n)"), ("LF", rb"(?<!\r)\n")) if re.search(pattern, raw)]
    if bare:
        yield Defect(Status.FAIL, f"a bare {' and a bare '.join(bare)}", "RFC 5322 2.2")
    if b"\0" in raw:
        yield Defect(Status.FAIL, "a NUL", "RFC 5322 4")


def _fields(header: Header) -> Iterator[Defect]:
    if header.strays:
        line = header.strays[0][:40].decode("utf-8", "replace")
        yield Defect(Status.FAIL, f"a line in the header that is no field: {line!r}", "RFC 5322 2.2")
    for name in ONCE:
        count = len(header.of(name))
        if count > 1:
            yield Defect(Status.FAIL, f"{count} {name} fields", "RFC 5322 3.6")
    for name in ("Date", "From", "Message-ID"):
        if not header.of(name):
            yield Defect(Status.FAIL, f"no {name}", "RFC 5322 3.6")
    if len(header.mailboxes("From")) > 1 and not header.of("Sender"):
        yield Defect(Status.FAIL, "several authors in From and no Sender", "RFC 5322 3.6.2")
    yield from _usual(header)


def _usual(header: Header) -> Iterator[Defect]:
    """What is allowed, and counted against a message."""
    if not header.of("To") and not header.of("Cc"):
        yield Defect(Status.WARN, "neither To nor Cc", "RFC 5322 3.6.3")
    if header.of("Bcc"):
        yield Defect(Status.WARN, "a Bcc that everybody reads", "RFC 5322 3.6.3")
    version, mime = header.first("MIME-Version"), header.of("Content-Type") or header.of("Content-Transfer-Encoding")
    if mime and not version.startswith("1.0"):
        yield Defect(Status.WARN, f"MIME-Version is {version or 'missing'}", "RFC 2045 4")


def _date(header: Header, mail: Eml) -> Iterator[Defect]:
    said, ref = header.first("Date"), "RFC 5322 3.3"
    if not said:
        return
    date = dates.parse(said)
    if date is None:
        yield Defect(Status.FAIL, f"Date cannot be read: {said!r}", ref)
        return
    if not ZONE.search(said) or date.tzinfo is None:
        yield Defect(Status.WARN, f"Date without a numeric zone: {said!r}", ref)
    taken = next((hop.time for hop in mail.hops if hop.time), None)
    if taken and abs(late := _aware(taken) - _aware(date)) > SANE:
        lies = "before it was sent" if late > timedelta() else "in the future"
        yield Defect(Status.WARN, f"Date lies {_span(abs(late))} {lies}, by the first server's clock", ref)


def _aware(time: datetime) -> datetime:
    """`-0000` says that the zone is not known; the time is UTC (RFC 5322 3.3)."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _span(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes // 60} hours"  # noqa: PLR2004 - two hours


def _message_id(header: Header) -> Iterator[Defect]:
    said = header.first("Message-ID")
    if not said:
        return
    found = MESSAGE_ID.match(said)
    if not found:
        yield Defect(Status.FAIL, f"Message-ID is not <left@right>: {said[:80]!r}", "RFC 5322 3.6.4")
    elif "." not in found[1].strip("[]") or found[1].lower().endswith(INNER):
        yield Defect(Status.WARN, f"Message-ID ends in {found[1]}, which is nobody's name", "RFC 5322 3.6.4")


def _eight_bit(header: Header, mail: Eml) -> Iterator[Defect]:
    """Octets outside ASCII: UTF-8, and only where the message went by SMTPUTF8 (RFC 6532 3)."""
    names = ", ".join(dict.fromkeys(f.name for f in header.fields if not f.body.isascii()))
    internationalized = any(hop.protocol.upper().startswith("UTF8") for hop in mail.hops)
    if names and not (internationalized and all(map(_is_utf8, (f.body for f in header.fields)))):
        yield Defect(Status.FAIL, f"octets outside ASCII in {names}, and no SMTPUTF8", "RFC 6532 3")


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except UnicodeDecodeError:
        return False
    return True
