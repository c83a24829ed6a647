"""What DNS answers: each answer with who said it, in which words, and until when it may be cached."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

import dns.exception
import dns.name


class Word(StrEnum):
    """How a question ended; only the first three say something about the zone."""

    NOERROR = "NOERROR"
    NODATA = "NODATA"  # the name exists, this type does not (RFC 2308 2.2)
    NXDOMAIN = "NXDOMAIN"
    LAME = "lame"  # a nameserver that does not hold the zone (RFC 1912 2.8)
    SERVFAIL = "SERVFAIL"
    BOGUS = "bogus"  # a validating resolver refuses what stands there (RFC 4033 5)
    REFUSED = "REFUSED"
    TIMEOUT = "TIMEOUT"
    UNREACHABLE = "unreachable"
    MALFORMED = "malformed"


SAID = {Word.NOERROR, Word.NODATA, Word.NXDOMAIN}


@dataclass(frozen=True)
class Question:
    """A name and a type."""

    name: str
    type: str


@dataclass(frozen=True)
class Answer:
    """What one server said to one question."""

    question: Question
    server: str  # its address; empty when nobody could be asked
    word: Word
    recursive: bool = False  # asked as a resolver; else as an authoritative server
    values: tuple[str, ...] = ()
    raw: tuple[str, ...] = ()  # the same rdata as a zone file writes it, TXT strings as they are cut
    chain: tuple[str, ...] = ()  # the CNAME targets on the way
    ttl: int = 0  # seconds it may be cached from `at` on; for an absence the zone's negative TTL (RFC 2308 5)
    zone: str = ""  # owner of the SOA record that came along
    secure: bool = False  # a resolver says that it validated every signature (AD, RFC 4035 3.2.3)
    note: str = ""
    wildcard: str = ""  # the name that answered in the place of this one, e.g. *.example.org (RFC 4592)
    at: datetime = field(default_factory=lambda: datetime.now(UTC), compare=False)

    @property
    def heard(self) -> bool:
        """Whether the server said what stands there, or that nothing does."""
        return self.word in SAID

    @property
    def until(self) -> datetime:
        """Until when a cache may repeat it."""
        return self.at + timedelta(seconds=self.ttl)

    @property
    def shown(self) -> str:
        """Its values, or the word for having none."""
        said = [f"CNAME {target}" for target in self.chain[:1]] + list(self.values)
        return "\n".join(said) or " ".join(filter(None, [self.word, self.note]))

    @property
    def specific(self) -> Answer:
        """What stands at the name itself: nothing, where a wildcard spoke for it."""
        if not self.wildcard:
            return self
        note = f"only {self.wildcard} answers: {self.shown}"
        return replace(self, word=Word.NXDOMAIN, values=(), raw=(), chain=(), note=note, wildcard="")

    def holding(self, values: tuple[str, ...]) -> Answer:
        """The same answer with other values, as if they stood there."""
        return replace(self, word=Word.NOERROR, values=values)


def readable(name: str) -> str:
    """A name as it is in DNS, with its letters where it is an international one (RFC 5890 2.3.2.1)."""
    if "xn--" not in name:
        return name
    try:
        return f"{name} ({dns.name.from_text(name).to_unicode(omit_final_dot=True)})"
    except (UnicodeError, dns.exception.DNSException):
        return name


class Lookup(Protocol):
    """Resolves a name as a mail server's resolver would: through any CNAME, each question asked once.

    Never raises: the answer's word says how it ended.
    """

    async def __call__(self, name: str, type: str) -> Answer: ...  # noqa: A002 - the field's word
