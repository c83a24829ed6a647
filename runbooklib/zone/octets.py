"""A question as octets and the octets of a reply as records: what thousands of questions cost is spent here.

Rdata is left to dnspython, record by record and only where it is looked at.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import dns.edns
import dns.exception
import dns.flags
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdatatype import RdataType

PAYLOAD = 1232  # octets over UDP that pass every path unfragmented (DNS flag day 2020)
LONGEST = 255  # octets of a name (RFC 1035 2.3.4)
PLAIN = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")  # nothing to unescape, nothing international
LETTERS = re.compile(rb"[A-Za-z0-9_-]+")
UNESCAPED = re.compile(rb"[ !#-\[\]-~]*")  # printable, without quote and backslash
HEADER = struct.Struct("!6H")
FIXED = struct.Struct("!HHIH")  # type, class, TTL, length of the rdata (RFC 1035 4.1.3)
OPTION = struct.Struct("!HH")
OPT = b"\0" + FIXED.pack(RdataType.OPT, PAYLOAD, 0, 0)  # EDNS version 0 (RFC 6891 6.1.2)
POINTER = 0xC0  # the two high bits of a compressed name (RFC 1035 4.1.4)
TTL_SIGN = 0x8000_0000  # a TTL with it counts as 0 (RFC 2181 8)


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a reply; its rdata stays octets until it is asked for."""

    owner: str  # lower case, no final dot; the root is one
    type: int
    ttl: int
    message: bytes
    start: int
    length: int

    @property
    def rdata(self) -> dns.rdata.Rdata:
        """Its rdata; raises dns.exception.DNSException."""
        kind = cast("RdataType", self.type)  # dnspython makes it one
        return dns.rdata.from_wire(dns.rdataclass.IN, kind, self.message, self.start, self.length)

    @property
    def octets(self) -> bytes:
        return self.message[self.start : self.start + self.length]

    @property
    def target(self) -> str:
        """The name that its rdata are: where a CNAME leads."""
        return self.target_after(0)

    def target_after(self, octets: int) -> str:
        """The name that its rdata end in, and nothing after it; raises dns.exception.DNSException."""
        name, end = _whole(self.message, self.start + octets)
        if end != self.start + self.length:
            raise dns.exception.FormError
        return name


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server replied; `errors` are its extended errors, code and text (RFC 8914)."""

    flags: int
    rcode: int
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    errors: tuple[tuple[int, str], ...] = ()


def query(name: str, kind: str, flags: int, *, edns: bool) -> bytes:
    """A question without an id, which whoever sends it sets; raises dns.exception.DNSException."""
    head = HEADER.pack(0, flags, 1, 0, 0, edns)
    return head + _written(name) + _kind(kind) + (OPT if edns else b"")


def without_edns(octets: bytes) -> bytes:
    """The same question as before EDNS: at most 512 octets come back (RFC 1035 4.2.1)."""
    return octets[:10] + b"\0\0" + octets[12 : _after_question(octets)]


def truncated(octets: bytes) -> bool:
    """Whether a reply says that it is not the whole (RFC 1035 4.1.1)."""
    return bool(octets[2] & 0x02)


def answers(asked: bytes, octets: bytes) -> bool:
    """Whether `octets` are a reply to the question `asked`, whose id was looked at before.

    A refusal may come without its question; anything else has to repeat it (RFC 5452 4).
    """
    if len(octets) < HEADER.size or not octets[2] & 0x80 or (asked[2] ^ octets[2]) & 0x78:
        return False
    questions = octets[4:6]
    if questions == b"\0\0":
        return octets[3] & 0x0F in {1, 2, 4, 5}  # FORMERR, SERVFAIL, NOTIMP, REFUSED
    question = asked[HEADER.size : _after_question(asked)]
    return questions == b"\0\1" and octets[HEADER.size : HEADER.size + len(question)].lower() == question.lower()


def parse(octets: bytes) -> Reply:
    """The reply in `octets`; raises dns.exception.FormError, whatever they are."""
    try:
        return _parsed(octets)
    except (IndexError, struct.error):
        raise dns.exception.FormError from None


def _parsed(octets: bytes) -> Reply:
    _, flags, questions, *counts = HEADER.unpack_from(octets)
    at = HEADER.size
    for _ in range(questions):
        at = _skipped(octets, at) + 4
    sections: list[tuple[Record, ...]] = []
    rcode, errors = flags & 0x0F, tuple[tuple[int, str], ...]()
    for count in counts:
        records = []
        for _ in range(count):
            owner, at = _name(octets, at)
            kind, family, ttl, length = FIXED.unpack_from(octets, at)
            at += FIXED.size
            if at + length > len(octets):
                raise IndexError
            if kind == RdataType.OPT:
                rcode |= ttl >> 24 << 4  # RFC 6891 6.1.3
                errors = tuple(_errors(octets[at : at + length]))
            elif family == dns.rdataclass.IN:
                records.append(Record(owner, kind, 0 if ttl & TTL_SIGN else ttl, octets, at, length))
            at += length
        sections.append(tuple(records))
    return Reply(flags, rcode, sections[0], sections[1], errors)


def _errors(options: bytes) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(options):
        code, length = OPTION.unpack_from(options, at)
        at += OPTION.size
        if code == dns.edns.OptionType.EDE and length >= 2:  # noqa: PLR2004 - RFC 8914 2: the code, then text
            yield int.from_bytes(options[at : at + 2], "big"), options[at + 2 : at + length].decode("utf-8", "replace")
        at += length


def plain_strings(octets: bytes) -> list[str]:
    """The character-strings of a TXT record (RFC 1035 3.3) where none needs an escape, else nothing."""
    found, at = [], 0
    while at < len(octets):
        end = at + 1 + octets[at]
        found.append(octets[at + 1 : end])
        at = end
    if at != len(octets) or not all(map(UNESCAPED.fullmatch, found)):
        return []
    return [s.decode("ascii") for s in found]


def absolute(name: str) -> str:
    """A name as a zone file writes it."""
    return name if name == "." else f"{name}."


def _whole(octets: bytes, at: int) -> tuple[str, int]:
    try:
        return _name(octets, at)
    except IndexError:
        raise dns.exception.FormError from None


def _name(octets: bytes, at: int) -> tuple[str, int]:
    """A name as `canonical` has it, and where it ends; pointers lead strictly backwards."""
    labels, after, lowest, size = [], 0, at, 0
    while length := octets[at]:
        if length >= POINTER:
            after = after or at + 2
            target = (length & ~POINTER) << 8 | octets[at + 1]
            if target >= lowest:
                raise dns.name.BadPointer
            at = lowest = target
            continue
        label = octets[at + 1 : at + 1 + length]
        size += length + 1
        if length >= 64 or len(label) < length or size > LONGEST:  # noqa: PLR2004 - RFC 1035 4.1.4
            raise dns.name.BadLabelType
        labels.append(_label(label))
        at += 1 + length
    return ".".join(labels) or ".", after or at + 1


def _label(label: bytes) -> str:
    if LETTERS.fullmatch(label):
        return label.decode("ascii").lower()
    return dns.name.Name([label]).to_text().lower()  # escaped as in a zone file (RFC 1035 5.1)


def _skipped(octets: bytes, at: int) -> int:
    while length := octets[at]:
        if length >= POINTER:
            return at + 2
        at += 1 + length
    return at + 1


def _after_question(octets: bytes) -> int:
    return _skipped(octets, HEADER.size) + 4


def canonical(name: str) -> str:
    """A name in lower case without final dot, as replies are read; raises dns.exception.DNSException."""
    if PLAIN.fullmatch(name):
        return name.removesuffix(".")
    if PLAIN.fullmatch(lower := name.lower()):
        return lower.removesuffix(".")
    return dns.name.from_text(name).to_text(omit_final_dot=True).lower()


def _written(name: str) -> bytes:
    """A name as labels; what is not plain goes through dnspython, which knows escapes and IDN."""
    if not PLAIN.fullmatch(name) or len(name) >= LONGEST - 1:
        written = dns.name.from_text(name).to_wire()
        return written or b"\0"
    labels = name.rstrip(".").encode("ascii").split(b".")
    return b"".join([bytes((len(label),)) + label for label in labels]) + b"\0"


@lru_cache(maxsize=64)
def _kind(kind: str) -> bytes:
    return struct.pack("!HH", type_number(kind), dns.rdataclass.IN)


@lru_cache(maxsize=64)
def type_number(kind: str) -> int:
    """The number of a type; raises dns.rdatatype.UnknownRdatatype."""
    return int(dns.rdatatype.from_text(kind))
