"""The way a message took, read from its Received headers (RFC 5321 4.4), oldest hop first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from itertools import pairwise

from runbooklib.eml import dates

FROM = re.compile(r"^\s*from\s+(\S+)", re.IGNORECASE)
BY = re.compile(r"(?:^|\s)by\s+(\S+)", re.IGNORECASE)
WITH = re.compile(r"\swith\s+(Microsoft SMTP Server|\S+)", re.IGNORECASE)
ID = re.compile(r"\sid\s+(\S+)", re.IGNORECASE)
HELO = re.compile(r"\b(?:helo=|HELO |EHLO )([^\s()]+)")  # Exim; qmail and Yahoo
BRACKETED = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f.:]+)(?:%\w+)?\]")
BARE = re.compile(r"\(([0-9A-Fa-f.:]+)\)")  # Exchange and qmail
NAMED = re.compile(r"\(([^\s()\[\]]+)\s*\[")  # Postfix, Sendmail, Gmail: their own lookup of the address
VERSION = re.compile(r"\bTLS\s?v?(\d)(?:[._]?(\d))?", re.IGNORECASE)
CIPHERS = (
    re.compile(r"\bcipher[= ]\s*([\w-]+)", re.IGNORECASE),  # Postfix, Sendmail, Exchange, Gmail
    re.compile(r"\btls (TLS_\w+|[A-Z0-9_-]{8,})"),  # Exim 4.94 on
    re.compile(r"\bTLSv?[\d._]+[: ]([A-Z0-9_-]{8,})"),  # Exim before, OpenSMTPD, mox
    re.compile(r"\(([A-Z0-9_-]{8,}) encrypted\)"),  # netqmail
)
SECURE = re.compile(r"^(?:UTF8)?(?:E?SMTP|LMTP)SA?$|^HTTPS$", re.IGNORECASE)  # RFC 3848, RFC 6531 4.3
PRIVATE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")]

GRAIN = 5.0  # seconds: headers are rounded to one, and a filter may keep the sender waiting after the time was taken

Point = tuple[int, float]  # where on the way, and what the clock there said


@dataclass(frozen=True)
class Hop:
    """One handover: who took the message from whom, how, and when."""

    said: str  # the name the sending side gave itself
    address: str  # where it connected from, as the receiving side saw it
    by: str
    protocol: str
    tls: str  # version and cipher, as far as they were written down
    queue_id: str
    time: datetime | None
    named: str = ""  # what the receiving side's own lookup calls that address; "unknown" where it found nothing

    @property
    def local(self) -> bool:
        """Whether it stayed inside one machine: a pipe, a local socket, or loopback."""
        if self.protocol.upper().startswith("LMTP") or not (self.said or self.address):
            return True
        if self.address and ipaddress.ip_address(self.address).is_loopback:
            return True
        return self.said == self.by and (not self.address or self.private)  # anybody may say HELO with our name

    @property
    def private(self) -> bool:
        """Whether it came from an address that only exists inside a network."""
        return bool(self.address) and is_private(self.address)

    @property
    def secure(self) -> bool:
        return bool(self.tls or SECURE.match(self.protocol))

    @property
    def submitted(self) -> bool:
        """Whether the client had logged in (RFC 3848)."""
        return bool(re.search(r"SMTPS?A$", self.protocol, re.IGNORECASE))

    @property
    def version(self) -> str:
        """The version of TLS, empty where nobody wrote it down."""
        return self.tls.partition(" ")[0] if self.tls.startswith("TLSv") else ""

    @property
    def outdated(self) -> bool:
        """Whether it is a version that nobody should speak any more (RFC 8996)."""
        return self.version in {"TLSv1", "TLSv1.0", "TLSv1.1"}


@dataclass(frozen=True)
class Step:
    """One hop with what its clock is worth."""

    hop: Hop
    seconds: float | None = None  # since the clock before it that can be believed; None where it has none
    skew: float = 0.0  # how many seconds its clock is ahead at least, behind where negative; 0 where it fits

    @property
    def told(self) -> str:
        """The skew in words."""
        if not self.skew:
            return ""
        return f"the clock of {self.hop.by or 'one server'} is {abs(self.skew):.0f} s {_side(self.skew)}"


@dataclass(frozen=True)
class Timeline:
    """A message's hops in time."""

    steps: tuple[Step, ...] = ()
    total: float | None = None  # seconds from the first clock to the last one that can be believed
    ours: float = 0.0  # the skew of the machine that sent it and saw it arrive, where the servers agree against it

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    @property
    def slowest(self) -> Step | None:
        """The hop that took longest."""
        return max((s for s in self.steps if s.seconds is not None), key=lambda s: s.seconds or 0, default=None)

    @property
    def skews(self) -> tuple[tuple[str, float], ...]:
        """Whose clocks are wrong, and by how much; "" stands for this machine."""
        found = [(step.hop.by, step.skew) for step in self.steps if step.skew]
        return tuple(dict([("", self.ours)] * bool(self.ours) + found).items())


def timeline(hops: Sequence[Hop], began: float | None = None, ended: float | None = None) -> Timeline:
    """The seconds each hop took.

    A message never goes back in time, so a clock that says so is wrong: those are believed that fit together, as many
    as do. `began` and `ended` are when this machine handed it over and saw it arrive.
    """
    told = [began, *(hop.time.timestamp() if hop.time else None for hop in hops), ended]
    points = [(i, at) for i, at in enumerate(told) if at is not None]
    fitting = _fitting(points, len(told) - 1)
    skews = {i: _skew(i, at, fitting) for i, at in points if (i, at) not in fitting}
    passed = {i: max(0.0, at - before) for (_, before), (i, at) in pairwise(fitting)}
    steps = (Step(hop, passed.get(i), skews.get(i, 0.0)) for i, hop in enumerate(hops, 1))
    total = fitting[-1][1] - fitting[0][1] if len(fitting) > 1 else None
    return Timeline(tuple(steps), total, skews.get(0) or skews.get(len(told) - 1) or 0.0)


def _fitting(points: list[Point], last: int) -> list[Point]:
    """The longest run of clocks that never goes back, of equals the briefest; our own count half as much again."""
    best: list[tuple[float, list[Point]]] = []
    for i, at in points:
        before = (found for found in best if found[1][-1][1] <= at + GRAIN)
        weight, run = max(before, key=_credible, default=(0.0, []))
        best.append((weight + (1.5 if i in {0, last} else 1.0), [*run, (i, at)]))
    return max(best, key=_credible, default=(0.0, []))[1]


def _credible(found: tuple[float, list[Point]]) -> tuple[float, float]:
    weight, run = found
    return weight, run[0][1] - run[-1][1]


def _skew(i: int, at: float, fitting: list[Point]) -> float:
    """How far a clock lies outside the time between its neighbours."""
    after = next((t for j, t in fitting if j > i), None)
    before = next((t for j, t in reversed(fitting) if j < i), None)
    if after is not None and at > after:
        return at - after
    return at - before if before is not None else 0.0


def _side(seconds: float) -> str:
    return "ahead" if seconds > 0 else "behind"


def read(message: EmailMessage) -> list[Hop]:
    """The hops of a message, in the order it took them."""
    return [parse(str(value)) for value in reversed(message.get_all("Received", []))]


def parse(value: str) -> Hop:
    """One Received header; what it does not say is empty."""
    clauses, _, stamp = re.sub(r"<[^<>]*>", "<>", " ".join(value.split())).rpartition(";")
    plain = _blanked(clauses)
    by = BY.search(plain)
    start, rest = (clauses[: by.start()], clauses[by.start() :]) if by else (clauses, "")
    word = _first(FROM, plain).lower().rstrip(".")
    said = _first(HELO, start).lower().rstrip(".") or word
    return Hop(
        said,
        _address(start, word),
        _first(BY, plain).lower().rstrip("."),
        _first(WITH, plain[by.start() :] if by else plain),
        _tls(start, rest),
        _first(ID, plain),
        _time(stamp),
        _named(start, rest, word),
    )


def _blanked(text: str) -> str:
    """The text with its comments, which nest (RFC 5322 3.2.2), turned into as many blanks."""
    kept, depth = [], 0
    for char in text:
        depth += char == "("
        kept.append(" " if depth else char)
        depth -= char == ")" and depth > 0
    return "".join(kept)


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""


def _address(start: str, word: str) -> str:
    """Where the client connected from: in the comment after its HELO, else in the place of that."""
    comment = FROM.sub("", start)
    for candidate in (*BRACKETED.findall(comment), *BARE.findall(comment), word.strip("[]").removeprefix("ipv6:")):
        try:
            found = ipaddress.ip_address(candidate)
        except ValueError:
            continue
        return str(getattr(found, "ipv4_mapped", None) or found)  # RFC 4291 2.5.5.2: IPv4 at a socket for both
    return ""


def _named(start: str, rest: str, word: str) -> str:
    """The name that the receiving side looked up itself: beside the address, or where HELO stands elsewhere."""
    if found := _first(NAMED, start):
        return found.lower().rstrip(".")
    looked_up = HELO.search(start) or "(Exim" in rest
    return word if looked_up and not is_address(word) else ""


def _tls(start: str, rest: str) -> str:
    """Version and cipher; what the client said itself, its HELO, is not read for it."""
    told = f"{FROM.sub('', start).partition(')')[2]} {rest}"
    found = VERSION.search(told)
    version = f"TLSv{'.'.join(filter(None, found.groups()))}" if found else ""
    cipher = next(filter(None, (_first(pattern, told) for pattern in CIPHERS)), "")
    return " ".join(filter(None, (version, cipher)))


def is_address(text: str) -> bool:
    """Whether a host is given by its address, in brackets or not (RFC 5321 4.1.3)."""
    try:
        ipaddress.ip_address(text.strip("[]").lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return True


def is_private(address: str) -> bool:
    """Docker's bridges and their like; `is_private` would also cover the testbed's 198.18.0.0/15."""
    ip = ipaddress.ip_address(address)
    return any(ip in network for network in PRIVATE if network.version == ip.version)


def _time(stamp: str) -> datetime | None:
    said = dates.parse(stamp)
    # RFC 5322 3.3: -0000 is UTC of a clock without a zone.
    return said.replace(tzinfo=UTC) if said and not said.tzinfo else said
