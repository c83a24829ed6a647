"""Bounces: what a delivery status notification says of each recipient (RFC 3464, RFC 6522).

Those that follow no standard are read as far as they can be recognised: qmail's, Exim's, and texts that quote a reply.
Nothing here raises on hostile input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.message import Message

from runbooklib.eml import dates, fields, parts
from runbooklib.eml.fields import Header

STANDARD, QMAIL, EXIM, TEXT = "RFC 3464", "qmail", "Exim", "text"
STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")  # RFC 3463 2
REPLY = re.compile(r"(?<![\d.#])([45]\d\d)(?=[- #])")  # RFC 5321 4.2
TYPED = re.compile(r"^\s*[\w.-]+\s*;\s*")  # RFC 3464 2.1.2: rfc822; dns; smtp;
QMAILED = re.compile(r"^<([^<>\s]+@[^<>\s]+)>:[ \t]*\n(.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
EXIMED = re.compile(r"^ {2}(\S+@\S+)[^\n]*\n((?: {4,}[^\n]*\n?)+)", re.MULTILINE)
BOUNCER = re.compile(r"^(?:mailer-daemon|postmaster|mail-daemon|bounce)\b", re.IGNORECASE)
UNDELIVERED = re.compile(
    r"undeliver|delivery (?:status|failure|has failed)|returned (?:mail|to sender)|failure notice|mail delivery failed"
    r"|could ?n.t be delivered|delivery incomplete|delayed|退信|系统退信",
    re.IGNORECASE,
)
WORDS = 65_536  # characters for a reader; what comes later is the message that came back
SAID = 1000  # characters of a diagnostic: RFC 5321 4.5.3.1.5 allows a reply 512 octets a line
GROUPS = re.compile(rb"(?:\r?\n){2,}")
COPIES = ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers")
REPORTS = ("message/delivery-status", "message/global-delivery-status")


@dataclass(frozen=True)
class Fate:
    """What became of the message for one recipient (RFC 3464 2.3)."""

    address: str
    original: str = ""  # as the sender wrote it, where it was forwarded on
    action: str = ""  # failed, delayed, delivered, relayed, expanded
    status: str = ""  # RFC 3463, e.g. 5.1.1
    diagnostic: str = ""  # the words of the server that refused
    remote: str = ""  # that server
    until: datetime | None = None  # how long a delayed message is tried

    @property
    def permanent(self) -> bool:
        """Whether nobody tries any more."""
        return self.action == "failed" or (not self.action and self.status.startswith("5"))

    def __str__(self) -> str:
        told = [self.action or "said", self.status, f"by {self.remote}" if self.remote else ""]
        words = " ".join(filter(None, told))
        return f"{self.address}: {words}" + (f": {self.diagnostic}" if self.diagnostic else "")


@dataclass(frozen=True)
class Dsn:
    """One notification: who writes it, about which message, and what became of that for each recipient."""

    form: str  # RFC 3464, qmail, Exim or text
    fates: tuple[Fate, ...]
    reporter: str = ""  # the server that gave up or waits
    arrived: datetime | None = None  # when that server took the message in
    envelope_id: str = ""
    message_id: str = ""  # of the message it is about, with its brackets
    subject: str = ""

    @property
    def action(self) -> str:
        """The worst that is said of any recipient."""
        actions = {f.action or ("failed" if f.permanent else "") for f in self.fates}
        return next((a for a in ("failed", "delayed", "expanded", "relayed", "delivered") if a in actions), "")

    def of(self, address: str) -> Fate | None:
        """What became of it for one recipient, under the name it was written to or the one it ended at."""
        wanted = address.lower()
        return next((f for f in self.fates if wanted in {f.address.lower(), f.original.lower()}), None)


def parse(raw: bytes) -> Dsn | None:
    """The notification in a message; None where it is none."""
    message = message_from_bytes(raw)
    walked = list(message.walk())
    reports = [part for part in walked if part.get_content_type() in REPORTS]
    found = _standard(reports[0]) if reports else _other(fields.read(raw), _text(walked))
    if found is None:
        return None
    told = _copy(walked) or _quoted(_text(walked))
    return replace(found, message_id=told.first("Message-ID"), subject=_subject(told))


def _subject(header: Header) -> str:
    return fields.decoded(header.first("Subject"))


# RFC 3464: message/delivery-status, a group of fields for the message and one for each recipient


def _standard(report: Message) -> Dsn | None:
    groups = [g for g in map(fields.read, _groups(report)) if g.fields]
    if not groups:
        return None
    about, *each = groups if not groups[0].of("Final-Recipient") else [Header((), (), b""), *groups]
    return Dsn(
        STANDARD,
        tuple(_fate(group) for group in each if group.of("Final-Recipient") or group.of("Original-Recipient")),
        _untyped(about.first("Reporting-MTA")),
        dates.parse(about.first("Arrival-Date")),
        about.first("Original-Envelope-Id"),
    )


def _groups(report: Message) -> list[bytes]:
    """The groups of fields, however the parser has cut them; what is inside a transfer encoding is decoded first."""
    payload = report.get_payload()
    if not isinstance(payload, list):
        return GROUPS.split(parts.decoded(report))
    text = b"\n\n".join(_written(part) for part in payload if isinstance(part, Message))
    if "Content-Transfer-Encoding" in report:
        whole = Message()
        whole["Content-Transfer-Encoding"] = str(report["Content-Transfer-Encoding"])
        whole.set_payload(text.decode("ascii", "surrogateescape"))
        text = parts.decoded(whole)
    return GROUPS.split(text)


def _written(part: Message) -> bytes:
    """A part's header, and what the parser took for its text, as they came."""
    payload = part.get_payload()
    head = "\n".join(f"{name}: {value}" for name, value in part.raw_items())
    return _octets("\n\n".join(filter(None, [head, payload if isinstance(payload, str) else ""])))


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _fate(group: Header) -> Fate:
    diagnostic = _untyped(group.first("Diagnostic-Code"))
    status = STATUS.search(group.first("Status"))
    said = STATUS.search(diagnostic)
    return Fate(
        _address(group.first("Final-Recipient") or group.first("Original-Recipient")),
        _address(group.first("Original-Recipient")),
        group.first("Action").split(" ")[0].lower(),
        _finer(status[1] if status else "", said[1] if said else ""),
        " ".join(diagnostic.split())[:SAID],
        _untyped(group.first("Remote-MTA")),
        dates.parse(group.first("Will-Retry-Until")),
    )


def _finer(status: str, said: str) -> str:
    """The remote server's own code where the reporter made a mere 5.0.0 of it."""
    vague = not status or status.endswith(".0.0")
    return said if said and vague and said[0] == (status or said)[0] else status


def _untyped(text: str) -> str:
    return TYPED.sub("", text).strip()


def _address(text: str) -> str:
    return _untyped(text).strip("<> ")


# those that follow no standard


def _other(header: Header, text: str) -> Dsn | None:
    if "Hi. This is the qmail-send" in text or "Hi. This is the deliver program at" in text:
        return Dsn(QMAIL, tuple(_worded(*pair) for pair in QMAILED.findall(text)), _qmailer(text))
    failed = [a for f in header.of("X-Failed-Recipients") for a in fields.addresses_in(f.text)]
    if failed:
        return Dsn(EXIM, tuple(_eximed(address, text) for address in failed))
    if _bounces(header):
        return Dsn(TEXT, tuple(_texted(text)))
    return None


def _bounces(header: Header) -> bool:
    """Whether it says of itself that it is a bounce: a daemon writes, the return path is empty, the subject tells."""
    (author, *_) = header.mailboxes("From") or (None,)
    daemon = author is not None and bool(BOUNCER.match(author.address))
    null = header.first("Return-Path").replace(" ", "") == "<>"
    return (daemon or null) and bool(UNDELIVERED.search(fields.decoded(header.first("Subject"))))


def _qmailer(text: str) -> str:
    found = re.search(r"(?:qmail-send|deliver) program at ([^\s]+?)\.?\s", text)
    return found[1] if found else ""


def _worded(address: str, words: str) -> Fate:
    """A fate of which only words are known."""
    said = " ".join(words.split())[:SAID]
    found, reply = STATUS.search(said), REPLY.search(said)
    status = found[1] if found else f"{reply[1][0]}.0.0" if reply else ""
    delayed = status.startswith("4") or "will be retried" in said
    return Fate(address, action="delayed" if delayed else "failed", status=status, diagnostic=said)


def _eximed(address: str, text: str) -> Fate:
    words = next((said for found, said in EXIMED.findall(text) if found.lower() == address), "")
    return replace(_worded(address, words), action="failed")


def _texted(text: str) -> Iterator[Fate]:
    """The paragraph that quotes a server, and the first address in or above it."""
    paragraphs = [p for p in re.split(r"\n\s*\n", text.replace("\r\n", "\n")) if p.strip()]
    above: tuple[str, ...] = ()
    for paragraph in paragraphs:
        here = fields.addresses_in(paragraph)
        if (STATUS.search(paragraph) or REPLY.search(paragraph)) and (here or above):
            yield _worded((here or above)[0], paragraph)
            return
        above = here or above


# the message it is about


def _text(walked: list[Message]) -> str:
    """The words for a reader."""
    plain = next((p for p in walked if p.get_content_type() == "text/plain"), None)
    return "" if plain is None else parts.text(plain)[:WORDS].replace("\r\n", "\n")


def _copy(walked: list[Message]) -> Header | None:
    """The header of the message that came back, whole or alone (RFC 6522 3)."""
    for part in walked[1:]:
        if part.get_content_type() in COPIES:
            payload = part.get_payload()
            if isinstance(payload, list) and payload and isinstance(payload[0], Message):
                return fields.read(_written(payload[0]))
            return fields.read(parts.decoded(part))
    return None


def _quoted(text: str) -> Header:
    """The header as it stands below the words, where the message came back as text."""
    found = re.search(r"^(?:Return-Path|Received|Message-ID|From|Date):", text, re.MULTILINE | re.IGNORECASE)
    return fields.read(_octets(text[found.start() :]) if found else b"")
