"""An SPF record: strict reading (RFC 7208 12), and merging what is wanted into what stands, by meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from runbooklib.spf.terms import SpfError, Term, term

VERSION = re.compile(r"v=spf1(?= |$)", re.IGNORECASE)  # RFC 7208 4.5: followed by a space or nothing
LONGEST = 65535  # octets in any record (RFC 1035 3.2.1); longer text never came from DNS


@dataclass(frozen=True)
class Spf:
    """A parsed record: its terms in order."""

    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return " ".join(["v=spf1", *(t.text for t in self.terms)])

    @property
    def tested(self) -> tuple[Term, ...]:
        """The mechanisms a receiver looks at: those before `all` (RFC 7208 5.1)."""
        return tuple(t for t in self.terms[: self._end()] if t.qualifier)

    @property
    def all(self) -> Term | None:
        """The `all` that decides, if there is one."""
        return next((t for t in self.terms if t.name == "all" and t.qualifier), None)

    @property
    def redirect(self) -> Term | None:
        """The `redirect=` that counts: none where an `all` stands, wherever it does (RFC 7208 6.1)."""
        return None if self.all else self._modifier("redirect")

    @property
    def explanation(self) -> Term | None:
        """The `exp=` (RFC 7208 6.2)."""
        return self._modifier("exp")

    def _modifier(self, name: str) -> Term | None:
        return next((t for t in self.terms if t.name == name and not t.qualifier), None)

    def has(self, wanted: Term, owner: str = "") -> bool:
        """Whether clients that `wanted` matches get at least its result already; `owner` is whose record this is."""
        for stands in self.tested:
            if stands.meets(wanted, owner) and stands.allows_less(wanted):
                return False  # the first that matches decides (RFC 7208 4.6.2)
            if stands.covers(wanted, owner) and not stands.allows_less(wanted):
                return True
        return False

    def merged(self, wanted: Spf, owner: str = "") -> Spf:
        """The record with the mechanisms of `wanted` it lacks; its own terms, `all` included, stay as they are."""
        record = self
        for each in wanted.tested:
            record = record._with(each, owner)
        return record

    def _with(self, wanted: Term, owner: str) -> Spf:
        """`wanted` put before `all`, or before the first that matches the same clients and allows less.

        What does not pass outright is only added where nothing stands for those clients: it might refuse some of them.
        """
        end = self._end()
        rivals = [i for i, t in enumerate(self.terms[:end]) if t.qualifier and t.meets(wanted, owner)]
        if self.has(wanted, owner) or (rivals and wanted.qualifier != "+"):
            return self
        at = next((i for i in rivals if self.terms[i].allows_less(wanted)), end)
        return Spf((*self.terms[:at], wanted, *self.terms[at:]))

    def _end(self) -> int:
        """Where tested mechanisms end: at `all`, else at the modifiers that close the record."""
        if self.all:
            return self.terms.index(self.all)
        return max((i + 1 for i, t in enumerate(self.terms) if t.qualifier), default=0)


def is_spf(text: str) -> bool:
    """Whether a TXT value claims to be an SPF record."""
    return VERSION.match(text) is not None


@lru_cache(maxsize=256)  # the same few providers' records are included by thousands of domains
def parse(text: str) -> Spf:
    """The terms of an SPF record.

    Raises SpfError with the first broken term.
    """
    if not is_spf(text) or len(text) > LONGEST:
        raise SpfError("an SPF record begins with v=spf1 and a space")
    terms = tuple(term(word) for word in text[len("v=spf1") :].split(" ") if word)
    for name in ("redirect", "exp"):
        if sum(t.name == name and not t.qualifier for t in terms) > 1:
            raise SpfError(f"{name}= stands more than once (RFC 7208 6)")
    return Spf(terms)


def of(mechanisms: Iterable[str], ending: str = "~all") -> Spf:
    """A new record; on a name in use it ends in `~all` until reports say that nothing is missed."""
    return parse(" ".join(["v=spf1", *mechanisms, ending]))
