"""Zones written as the openspf suite writes them, answered as DNS would; no packets, so that SPF tests are fast."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from runbooklib.answers import Answer, Question, Word
from runbooklib.zone.reading import value

IN = dns.rdataclass.IN


@cache
def name(text: str) -> dns.name.Name:
    """A name, where the suite writes unusual characters as they are."""
    return dns.name.from_text(text.rstrip("."))


def rdata(kind: str, told: Any) -> dns.rdata.Rdata:
    """A record of the suite: a string, or a list for MX and for TXT in pieces."""
    if kind == "TXT":
        strings = [told] if isinstance(told, str) else told
        octets = [s.encode("latin-1") for s in strings]
        return TXT(IN, dns.rdatatype.TXT, [o[i : i + 255] for o in octets for i in range(0, len(o) or 1, 255)])
    if kind == "MX":
        return MX(IN, dns.rdatatype.MX, int(told[0]), name(str(told[1])))
    if kind == "PTR":
        return PTR(IN, dns.rdatatype.PTR, name(str(told)))
    if kind == "A":
        return A(IN, dns.rdatatype.A, str(told))
    return AAAA(IN, dns.rdatatype.AAAA, str(ipaddress.ip_address(told)))


@cache
def shown(kind: str, told: Any) -> str:
    """What an answer shows of it."""
    return value(rdata(kind, told))


@dataclass
class Zones:
    """A Lookup over such zones; TIMEOUT under a name goes for every type that does not stand there."""

    told: Mapping[str, list[Any]]
    asked: list[Question] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held = {name(owner): list(entries(records)) for owner, records in self.told.items()}

    async def __call__(self, owner: str, kind: str) -> Answer:
        question = Question(owner, kind)
        self.asked.append(question)
        return self.answer(question, name(owner), ())

    def answer(self, question: Question, owner: dns.name.Name, passed: tuple[dns.name.Name, ...]) -> Answer:
        """What stands at a name, through its aliases."""
        here = self.held.get(owner)
        values = [v for kind, v in here or () if kind == question.type]
        alias = next((v for kind, v in here or () if kind == "CNAME"), None)
        if values:
            told = tuple(shown(question.type, tuple(v) if isinstance(v, list) else v) for v in values)
            return Answer(question, "192.0.2.53", Word.NOERROR, values=told)
        if alias and name(alias) in (*passed, owner):
            return Answer(question, "192.0.2.53", Word.SERVFAIL, note="alias loop")
        if alias:
            return self.answer(question, name(alias), (*passed, owner))
        if here and ("TIMEOUT", None) in here:
            return Answer(question, "", Word.TIMEOUT)
        return Answer(question, "192.0.2.53", Word.NXDOMAIN if here is None else Word.NODATA)


def entries(records: list[Any]) -> Iterator[tuple[str, Any]]:
    """Type and value; SPF stands for TXT as well where no TXT is given, NONE for no record."""
    flat = [("TIMEOUT", None) if r == "TIMEOUT" else next(iter(r.items())) for r in records]
    texts = [v for kind, v in flat if kind == "TXT"] or [v for kind, v in flat if kind == "SPF"]
    yield from ((kind, v) for kind, v in flat if kind not in {"TXT", "SPF"})
    yield from (("TXT", v) for v in texts if v not in ("NONE", []))
