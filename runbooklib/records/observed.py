"""What DNS answers: each answer with who said it, in which words, and until when it may be cached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from runbooklib.records.unwanted import Unwanted
from runbooklib.records.wanted import Wanted
from runbooklib.results import Outcome, Shown, Table


class Word(StrEnum):
    """How a question ended; only the first three say something about the zone."""

    NOERROR = "NOERROR"
    NODATA = "NODATA"  # the name exists, this type does not (RFC 2308 2.2)
    NXDOMAIN = "NXDOMAIN"
    LAME = "lame"  # a nameserver that does not hold the zone (RFC 1912 2.8)
    SERVFAIL = "SERVFAIL"
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
    note: str = ""
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

    def holding(self, values: tuple[str, ...]) -> Answer:
        """The same answer with other values, as if they stood there."""
        return replace(self, word=Word.NOERROR, values=values)


@dataclass(frozen=True)
class Observed(Shown):
    """Answers to what a site wants to know, authoritative ones first."""

    answers: tuple[Answer, ...]
    zones: tuple[str, ...] = ()  # those that hold the names
    after: Outcome | None = None  # what was published before these answers were given
    by_hand: bool = False  # who publishes: a person

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def at_authority(self, wanted: Wanted | Unwanted) -> tuple[Answer, ...]:
        """What each authoritative server says."""
        return self._about(wanted.asked, recursive=False)

    def at_resolvers(self, wanted: Wanted) -> tuple[Answer, ...]:
        """What each resolver says; empty when none was asked."""
        return self._about(wanted.asked, recursive=True)

    def above(self, wanted: Wanted) -> tuple[Answer, ...]:
        """What resolvers say of the names above a DMARC record, nearest first (RFC 9989 4.10)."""
        names = parents(wanted)
        return tuple(a for n in names for a in self._about((n, "TXT"), recursive=True))

    def zone_of(self, name: str) -> str:
        """The zone that holds `name`, empty when it was not found."""
        holders = [z for z in self.zones if name == z or name.endswith(f".{z}")]
        return max(holders, key=len, default="")

    def updated(self, answers: Iterable[Answer]) -> Observed:
        """The same with newer answers in the place of older ones."""
        newer = tuple(answers)
        replaced = {(a.question, a.server, a.recursive) for a in newer}
        kept = tuple(a for a in self.answers if (a.question, a.server, a.recursive) not in replaced)
        return replace(self, answers=kept + newer)

    def _about(self, asked: tuple[str, str], *, recursive: bool) -> tuple[Answer, ...]:
        about = Question(*asked)
        return tuple(a for a in self.answers if a.question == about and a.recursive is recursive)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return "what is there", ("name", "type", "value", "TTL", "said by"), list(self._rows())

    def _rows(self) -> Iterator[tuple[str, ...]]:
        """One row for each different answer, with all who gave it."""
        groups: dict[tuple[Question, str], list[Answer]] = {}
        for answer in sorted(self.answers, key=lambda a: (a.question.name, a.question.type, a.recursive)):
            groups.setdefault((answer.question, answer.shown), []).append(answer)
        for (question, shown), given in groups.items():
            ttl = str(given[0].ttl) if given[0].heard else ""
            yield question.name, question.type, shown, ttl, ", ".join(map(_speaker, given))

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def _speaker(answer: Answer) -> str:
    return f"{answer.server} ({'resolver' if answer.recursive else 'authoritative'})" if answer.server else "nobody"


def parents(wanted: Wanted) -> tuple[str, ...]:
    """Where a DMARC policy above `wanted` would stand, nearest first, a single label left out."""
    if wanted.kind != "dmarc":
        return ()
    labels = wanted.name.split(".")[1:]
    return tuple("_dmarc." + ".".join(labels[i:]) for i in range(1, len(labels) - 1))
