"""What was published for a key or a relay that is no longer used, and may go; anything else at its name stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runbooklib import domainkeys, spf
from runbooklib.domainkeys import KeyRecordError

if TYPE_CHECKING:
    from runbooklib.answers import Answer
    from runbooklib.records.wanted import Wanted


@dataclass(frozen=True)
class Unwanted:
    """Values of one rrset whose time is over, or, at a name that keeps its SPF record, mechanisms in it."""

    name: str
    type: str
    values: tuple[str, ...]
    reason: str
    mechanisms: tuple[str, ...] = ()

    @property
    def check(self) -> str:
        """The id of its row."""
        return f"dns.retired {self.name} {self.type}"

    @property
    def asked(self) -> tuple[str, str]:
        """The question whose answer shows it; a key behind a CNAME as verifiers ask."""
        return self.name, "TXT" if self.type == "CNAME" else self.type

    @property
    def expected(self) -> str:
        return f"gone: {self.reason}"

    def standing(self, answer: Answer) -> dict[str, str]:
        """What of it stands, each in zone file form with what takes its place, empty for nothing."""
        if self.type == "CNAME":
            return {f"{target}.": "" for target in answer.chain[:1] if target in self.values}
        if answer.chain:
            return {}
        there = zip(answer.values, answer.raw, strict=True)
        if self.mechanisms:
            return {raw: left for value, raw in there if (left := self._without(value)) != value}
        return {raw: "" for value, raw in there if any(_same(value, v) for v in self.values)}

    def _without(self, text: str) -> str:
        """The SPF record less the mechanisms; another text, or one nobody can read, as it is."""
        gone = spf.parse(" ".join(["v=spf1", *self.mechanisms])).terms
        try:
            stands = spf.parse(text)
        except spf.SpfError:
            return text
        left = tuple(t for t in stands.terms if t not in gone)
        return str(spf.Spf(left)) if left != stands.terms else text


def _same(value: str, retired: str) -> bool:
    """The same key however it is written, else the same text."""
    try:
        return domainkeys.parse(value) == domainkeys.parse(retired)
    except KeyRecordError:
        return value == retired


def still(unwanted: Iterable[Unwanted], want: Iterable[Wanted]) -> tuple[Unwanted, ...]:
    """Those that nothing wanted needs: not at a name that holds a wanted record of its type, no mechanism in use."""
    kept = list(want)
    return tuple(left for u in unwanted if (left := _unless_wanted(u, kept)))


def _unless_wanted(unwanted: Unwanted, want: Iterable[Wanted]) -> Unwanted | None:
    at_name = [w for w in want if (w.name, w.type) == (unwanted.name, unwanted.type)]
    if not unwanted.mechanisms:
        return None if at_name else unwanted
    used = [t for w in at_name for v in w.values for t in spf.parse(v).tested]
    terms = spf.parse(" ".join(["v=spf1", *unwanted.mechanisms])).terms
    # A network that lets a wanted address pass is what lets it pass: merging adds nothing that is covered.
    left = tuple(t.text for t in terms if not any(t.covers(u, unwanted.name) for u in used))
    return replace(unwanted, mechanisms=left) if left else None
