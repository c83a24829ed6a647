"""The way a message took, read from its Received headers (RFC 5321 4.4), oldest hop first."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import parsedate_to_datetime

from runbooklib.authres import uncommented

FROM = re.compile(r"^\s*from\s+(\S+)", re.IGNORECASE)
BY = re.compile(r"(?:^|\s)by\s+(\S+)", re.IGNORECASE)
WITH = re.compile(r"\swith\s+(\S+)", re.IGNORECASE)
ID = re.compile(r"\sid\s+(\S+)", re.IGNORECASE)
ADDRESS = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]+)\]")
VERSION = re.compile(r"\b(?:using |version=)?(TLS\s?v?\d[\d._]*)", re.IGNORECASE)
CIPHER = re.compile(r"\bcipher[= ]([A-Z0-9_-]+)", re.IGNORECASE)
SECURE = re.compile(r"^(?:UTF8)?(?:E?SMTP|LMTP)SA?$|^HTTPS$", re.IGNORECASE)  # RFC 3848, RFC 6531 4.3


@dataclass(frozen=True)
class Hop:
    """One handover: who took the message from whom, how, and when."""

    said: str  # the name the sending side gave itself
    address: str  # where it connected from, as the receiving side saw it
    by: str
    protocol: str
    tls: str
    queue_id: str
    time: datetime | None

    @property
    def local(self) -> bool:
        """Whether it stayed inside one machine: a pipe, a local socket, or loopback."""
        if self.protocol.upper().startswith("LMTP") or not self.said or self.said == self.by:
            return True
        return bool(self.address) and ipaddress.ip_address(self.address).is_loopback

    @property
    def secure(self) -> bool:
        return bool(self.tls or SECURE.match(self.protocol))


def read(message: EmailMessage) -> list[Hop]:
    """The hops of a message, in the order it took them."""
    return [parse(str(value)) for value in reversed(message.get_all("Received", []))]


def parse(value: str) -> Hop:
    """One Received header; what it does not say is empty."""
    clauses, _, stamp = value.replace("\r", "").replace("\n", " ").rpartition(";")
    plain = uncommented(clauses)
    start = clauses[: by.start()] if (by := re.search(r"\sby\s", clauses)) else clauses
    version, cipher = VERSION.search(clauses), CIPHER.search(clauses)
    return Hop(
        _first(FROM, plain).lower().rstrip("."),
        _address(start),
        _first(BY, plain).lower().rstrip("."),
        _first(WITH, plain),
        " ".join(found[1] for found in (version, cipher) if found),
        _first(ID, plain),
        _time(stamp),
    )


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _address(text: str) -> str:
    for candidate in ADDRESS.findall(text):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""


def _time(stamp: str) -> datetime | None:
    try:
        return parsedate_to_datetime(stamp.strip())
    except (TypeError, ValueError):
        return None
