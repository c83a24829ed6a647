"""What should stand in DNS: each rrset with its reason, its reference and the stage that needs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runbooklib.answers import readable
from runbooklib.records.unwanted import Unwanted
from runbooklib.results import Check, Shown, Status, Table

TTL = 3600  # seconds; what a new rrset gets
WIDEST = 100  # characters of a value in a verdict
NULL_MX = "0 ."  # RFC 7505 3
KINDS = {
    "A": "address",
    "AAAA": "address",
    "MX": "mx",
    "PTR": "ptr",
    "CNAME": "alias",
    "SRV": "service",
    "TLSA": "tlsa",
    "CAA": "caa",
}
# RFC 8552: no mail comes from a name that begins so.
UNDERSCORED = {"_dmarc.": "dmarc", "_mta-sts.": "mta-sts", "_smtp._tls.": "tls-rpt"}


@dataclass(frozen=True)
class Held:
    """Why a record is not to be published yet; one that stands all the same is left alone."""

    why: str
    fix: str
    lacking: Status = Status.PENDING  # the verdict while nothing stands,
    standing: Status = Status.WARN  # while the record stands all the same,
    differing: Status = Status.FAIL  # and while another one does


@dataclass(frozen=True)
class Wanted:
    """One rrset as it should be; without values and `known_after`, nobody has said yet what it should hold."""

    name: str  # lower case, no final dot
    type: str
    values: tuple[str, ...]  # TXT unquoted and joined; names in lower case without final dot
    ttl: int
    reason: str
    ref: str
    stage: str  # the one that needs it
    known_after: str = ""  # the stage that makes the value
    advisory: bool = False  # mail passes without it
    foreign: bool = False  # in a zone of others: looked at, never published
    take_over: bool = False  # an MX of others may give way
    returns: bool = False  # a return path: nothing but a relay's bounces arrives
    kept: bool = False  # params say that what is wanted never changes
    held: Held | None = None

    @property
    def kind(self) -> str:
        """The word of the field for it: a key of RULES in records.comparison, or alias."""
        if "._domainkey." in self.name:
            return "dkim"
        if "._report._dmarc." in self.name:
            return "report"
        if self.type == "TXT" and self.name.startswith("_"):
            return next((kind for start, kind in UNDERSCORED.items() if self.name.startswith(start)), "ownership")
        if self.type == "TXT":
            return "spf"
        if self.values == (NULL_MX,):
            return "null-mx"
        return KINDS[self.type]

    @property
    def elsewhere(self) -> bool:
        """Whether its zone is not ours to publish in; resolvers say what stands there."""
        return self.foreign or self.kind == "ptr"

    @property
    def check(self) -> str:
        """The id of its row, unique within a site: what is checked and where."""
        if self.kind == "address":
            return f"dns.address.{'ipv4' if self.type == 'A' else 'ipv6'} {self.name}"
        return f"dns.{self.kind} {reversed_address(self.name) if self.kind == 'ptr' else self.name}"

    @property
    def asked(self) -> tuple[str, str]:
        """The question whose answer shows it: a key as verifiers ask, through any CNAME, an alias as its users do."""
        return self.name, {"dkim": "TXT", "alias": "A"}.get(self.kind, self.type)

    @property
    def expected(self) -> str:
        """What a row shows; a key is cut in its middle."""
        if self.values:
            shown = (v if len(v) <= WIDEST else f"{v[:40]}…{v[-20:]}" for v in self.values)
            return f"{self.type} {' + '.join(shown)}"
        return f"{self.type}, known after {self.known_after}" if self.known_after else f"{self.type}, not in params"


@dataclass(frozen=True)
class Desired(Shown):
    """Every rrset a site needs, and what was published for it once and may go."""

    records: tuple[Wanted, ...]
    unwanted: tuple[Unwanted, ...] = ()
    ttl: int | None = None  # of what is added or corrected; None: an rrset keeps its own
    largest_share: float = 0.3  # of the rrsets known of a zone, that a plan may drop
    notes: tuple[Check, ...] = ()  # what is asked for and has to wait, beside what may stand already

    def __iter__(self) -> Iterator[Wanted]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        rows = [(readable(w.name), w.type, self._value(w), w.reason, w.stage, w.ref) for w in self.records]
        return "what should be there", ("name", "type", "value", "why", "needed by", "reference"), rows

    @staticmethod
    def _value(wanted: Wanted) -> str:
        value = "\n".join(wanted.values) or wanted.expected.partition(", ")[2]
        return f"{value}\nnot yet: {wanted.held.why}" if wanted.held else value

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def reversed_address(name: str) -> str:
    """The address a name under in-addr.arpa or ip6.arpa stands for."""
    labels = name.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa").split(".")[::-1]
    if name.endswith(".in-addr.arpa"):
        return ".".join(labels)
    nibbles = "".join(labels)
    return str(ipaddress.ip_address(":".join(nibbles[i : i + 4] for i in range(0, 32, 4))))
