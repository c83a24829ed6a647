"""SPF records as a language: strict parsing (RFC 7208 12) and merging a mechanism into what stands."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from runbooklib.results import RunbookError

VERSION = re.compile(r"v=spf1(?= |$)", re.IGNORECASE)  # RFC 7208 4.5: followed by a space or nothing
MODIFIER = re.compile(r"([a-z][a-z0-9_.-]*)=(.*)", re.IGNORECASE | re.DOTALL)
DIRECTIVE = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::(.*?))?((?:/\d+)?(?://\d+)?)", re.IGNORECASE)
EXPANSION = r"%(?:\{[slodiphcrtv](?:[1-9]\d{0,2})?r?[.+,/_=-]*\}|[%_-])"
MACRO_STRING = re.compile(rf"(?:{EXPANSION}|[!-$&-~])*", re.IGNORECASE)  # RFC 7208 7.1
TOP_LABEL = re.compile(r".*\.(?=[a-z0-9-]*[a-z-])[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.?", re.IGNORECASE)
ENDS_EXPANDED = re.compile(rf".*{EXPANSION}", re.IGNORECASE)
NEEDS_DOMAIN = {"include", "exists", "ip4", "ip6"}
LONGEST = 65535  # octets in any record (RFC 1035 3.2.1); longer text never came from DNS


class SpfError(RunbookError):
    """A text is no SPF record, or its syntax is broken: receivers answer permerror."""


@dataclass(frozen=True)
class Term:
    """One word of a record; equal when it means the same, however it was written."""

    text: str = field(compare=False)
    name: str  # of the mechanism or modifier, in lower case
    value: str = ""
    qualifier: str = ""  # + - ~ ?, empty for a modifier
    prefix4: int = 32
    prefix6: int = 128


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

    def has(self, term: Term) -> bool:
        """Whether `term` stands where it is tested."""
        return term in self.tested

    def merged(self, wanted: Spf) -> Spf:
        """The record with the mechanisms of `wanted` it lacks; its own terms, `all` included, stay as they are."""
        record = self
        for term in wanted.tested:
            record = record if record.has(term) else record._with(term)
        return record

    def _with(self, term: Term) -> Spf:
        """`term` put before `all`, or before the same mechanism with another qualifier, which would win."""
        end = self._end()
        rivals = (
            i for i, t in enumerate(self.terms[:end]) if t.qualifier and replace(t, qualifier=term.qualifier) == term
        )
        at = next(rivals, end)
        return Spf((*self.terms[:at], term, *self.terms[at:]))

    def _end(self) -> int:
        """Where tested mechanisms end: at `all`, else at the modifiers that close the record."""
        if self.all:
            return self.terms.index(self.all)
        return max((i + 1 for i, t in enumerate(self.terms) if t.qualifier), default=0)


def is_spf(text: str) -> bool:
    """Whether a TXT value claims to be an SPF record."""
    return VERSION.match(text) is not None


def parse(text: str) -> Spf:
    """The terms of an SPF record.

    Raises SpfError with the first broken term.
    """
    if not is_spf(text) or len(text) > LONGEST:
        raise SpfError("an SPF record begins with v=spf1 and a space")
    terms = tuple(_term(word) for word in text[len("v=spf1") :].split(" ") if word)
    for name in ("redirect", "exp"):
        if sum(t.name == name and not t.qualifier for t in terms) > 1:
            raise SpfError(f"{name}= stands more than once (RFC 7208 6)")
    return Spf(terms)


def of(mechanisms: Iterable[str], ending: str = "~all") -> Spf:
    """A new record; on a name in use it ends in `~all` until reports say that nothing is missed."""
    return parse(" ".join(["v=spf1", *mechanisms, ending]))


def _term(word: str) -> Term:
    directive = DIRECTIVE.fullmatch(word)
    if directive:
        qualifier, name, value, prefixes = directive.groups()
        return _directive(word, qualifier or "+", name.lower(), value, prefixes)
    modifier = MODIFIER.fullmatch(word)
    if not modifier:
        raise SpfError(f"{_shown(word)} is no mechanism or modifier (RFC 7208 12)")
    return _modifier(word, modifier[1].lower(), modifier[2])


def _directive(word: str, qualifier: str, name: str, value: str | None, prefixes: str) -> Term:
    if value == "" or (value is None and name in NEEDS_DOMAIN) or (value is not None and name == "all"):
        raise SpfError(f"{_shown(word)}: the mechanism {name} is not written so (RFC 7208 5)")
    if prefixes and name not in {"a", "mx", "ip4", "ip6"}:
        raise SpfError(f"{_shown(word)}: {name} takes no prefix length (RFC 7208 5)")
    if name in {"ip4", "ip6"}:
        return _network(word, qualifier, name, value or "", prefixes)
    if value is not None:
        _require_domain(word, value)
    four, _, six = prefixes.partition("//")
    prefix4, prefix6 = _prefix(word, four.lstrip("/"), 32), _prefix(word, six, 128)
    return Term(word, name, _folded(value or ""), qualifier, prefix4, prefix6)


def _network(word: str, qualifier: str, name: str, value: str, prefixes: str) -> Term:
    longest = 32 if name == "ip4" else 128
    if prefixes.startswith("//"):
        raise SpfError(f"{_shown(word)}: one slash before the prefix length (RFC 7208 5.6)")
    length = _prefix(word, prefixes.removeprefix("/"), longest)
    try:
        network = ipaddress.ip_network(f"{value}/{length}", strict=False)
    except ValueError:
        raise SpfError(f"{_shown(word)}: no {name} network (RFC 7208 5.6)") from None
    if network.max_prefixlen != longest or "%" in value:
        raise SpfError(f"{_shown(word)}: no {name} network (RFC 7208 5.6)")
    return Term(word, name, str(network), qualifier)


def _modifier(word: str, name: str, value: str) -> Term:
    if name in {"redirect", "exp"}:
        _require_domain(word, value)
    elif not MACRO_STRING.fullmatch(value):
        raise SpfError(f"{_shown(word)}: not a macro string (RFC 7208 7.1)")
    return Term(word, name, _folded(value))


def _require_domain(word: str, value: str) -> None:
    """domain-spec: a macro string that ends in a top label or an expansion (RFC 7208 7.1)."""
    ends_well = TOP_LABEL.fullmatch(value) or ENDS_EXPANDED.fullmatch(value)
    if not MACRO_STRING.fullmatch(value) or not ends_well:
        raise SpfError(f"{_shown(word)}: {_shown(value)} is no domain (RFC 7208 7.1)")


def _prefix(word: str, digits: str, longest: int) -> int:
    if not digits:
        return longest
    if (digits.startswith("0") and digits != "0") or len(digits) > len("128") or int(digits) > longest:
        raise SpfError(f"{_shown(word)}: no prefix length (RFC 7208 5.6)")
    return int(digits)


def _folded(value: str) -> str:
    """Names compare without case and final dot; the case of a macro letter means escaping (RFC 7208 7.3)."""
    return value if "%" in value else value.lower().rstrip(".")


def _shown(word: str) -> str:
    short = word if len(word) <= 60 else word[:57] + "…"  # noqa: PLR2004 - what fits a table's cell
    return ascii(short)
