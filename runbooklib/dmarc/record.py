"""DMARC records as a language: parsed strictly, and as receivers take them (RFC 9989 4.7, 4.8; RFC 7489 6.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbooklib import taglists
from runbooklib.dmarc.destinations import Destination, parse_uris
from runbooklib.results import RunbookError
from runbooklib.taglists import TagError

POLICIES = ("none", "quarantine", "reject")  # weakest first
RETIRED = ("pct", "rf", "ri")  # removed by RFC 9989 (appendix C.5); receivers that follow RFC 7489 still heed them
VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?=;|$)")
VALUES = {  # RFC 9989 4.8; pct, rf and ri as RFC 7489 6.4 has them
    **dict.fromkeys(("p", "sp", "np"), "|".join(POLICIES)),
    **dict.fromkeys(("adkim", "aspf"), "r|s"),
    "psd": "y|n|u",
    "t": "y|n",
    "fo": "[01ds](:[01ds])*",
    "pct": r"100|\d{1,2}",
    "rf": r"[a-z0-9-]+([ \t]*:[ \t]*[a-z0-9-]+)*",
    "ri": r"\d{1,10}",
}


class DmarcError(RunbookError):
    """A text is no DMARC record, or one that receivers read in different ways."""


@dataclass(frozen=True)
class Record:
    """A DMARC record, its tags as they stand; a value that cannot be read counts as its default (RFC 9989 4.7)."""

    tags: Mapping[str, str]

    @property
    def policy(self) -> str:
        """What receivers are asked to do; without a known p= nothing."""
        return self._value("p") or POLICIES[0]

    @property
    def subdomain_policy(self) -> str:
        """What receivers are asked to do with mail of subdomains."""
        return self._value("sp") or self.policy

    @property
    def missing_policy(self) -> str:
        """What receivers are asked to do with mail of subdomains that do not exist (np=)."""
        return self._value("np") or self.subdomain_policy

    @property
    def strict_spf(self) -> bool:
        """Whether MAIL FROM has to be the author domain itself."""
        return self._value("aspf") == "s"

    @property
    def strict_dkim(self) -> bool:
        """Whether d= has to be the author domain itself."""
        return self._value("adkim") == "s"

    @property
    def public_suffix(self) -> str:
        """Whether it stands at a public suffix: y, n (and then the organizational domain is here), or u."""
        return self._value("psd") or "u"

    @property
    def testing(self) -> bool:
        """Whether receivers are asked to apply one policy less than it names (t=y)."""
        return self._value("t") == "y"

    @property
    def percentage(self) -> int:
        """The share of failing mail that a receiver of RFC 7489 applies the policy to (pct=)."""
        return int(self._value("pct") or 100)

    @property
    def retired(self) -> tuple[str, ...]:
        """Its tags that RFC 9989 removed."""
        return tuple(tag for tag in self.tags if tag in RETIRED)

    @property
    def aggregate(self) -> tuple[Destination, ...]:
        """Where aggregate reports go: those of rua= that can be read."""
        return parse_uris(self.tags.get("rua", ""))[0]

    @property
    def failure(self) -> tuple[Destination, ...]:
        """Where failure reports go: those of ruf= that can be read."""
        return parse_uris(self.tags.get("ruf", ""))[0]

    def names(self, *tags: str) -> bool:
        """Whether each of these tags that stands there names a policy."""
        return all(self._value(tag) for tag in tags if tag in self.tags)

    def at_least(self, other: Record) -> bool:
        """Whether it asks for as much as `other`."""
        return POLICIES.index(self.policy) >= POLICIES.index(other.policy)

    def raised_to(self, other: Record) -> Record:
        """The record asking for what `other` asks, all other tags kept."""
        kept = {k: v for k, v in self.tags.items() if k not in {"v", "p"}}
        return Record({"v": "DMARC1", "p": other.policy} | kept)

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.tags.items())

    def _value(self, tag: str) -> str:
        """A tag's value in lower case where it is one, else nothing."""
        value = self.tags.get(tag, "")
        return value.lower() if re.fullmatch(VALUES[tag], value, re.IGNORECASE) else ""


def is_dmarc(text: str) -> bool:
    """Whether a TXT value claims to be a DMARC record: others at the name do not count (RFC 9989 4.10)."""
    return VERSION.match(text) is not None


def parse(text: str) -> Record:
    """The record in a TXT value.

    Raises DmarcError with everything in it that is no value of its tag; unknown tags are none of our business.
    """
    if not is_dmarc(text):
        raise DmarcError("a DMARC record begins with v=DMARC1 (RFC 9989 4.7)")
    try:
        record = Record(taglists.tags(text))
    except TagError as error:
        raise DmarcError(str(error)) from None
    problems = [*_problems(record.tags)]
    if problems:
        raise DmarcError("; ".join(problems))
    return record


def accepted(text: str) -> Record | None:
    """The record as a receiver takes it, what it cannot read left out (RFC 9989 4.7), or None when it is none."""
    readable = [part for part in text[: taglists.LONGEST].split(";") if taglists.is_tag(part)]
    try:
        return Record(taglists.tags(";".join(readable))) if is_dmarc(text) else None
    except TagError:
        return None  # a tag that stands twice spoils the whole list (RFC 6376 3.2)


def _problems(tags: Mapping[str, str]) -> Iterator[str]:
    for tag, value in tags.items():
        if tag in VALUES and not re.fullmatch(VALUES[tag], value, re.IGNORECASE):
            yield f"{tag}={value[:40]} is no value of {tag} ({'RFC 7489 6.3' if tag in RETIRED else 'RFC 9989 4.8'})"
        elif tag in {"rua", "ruf"}:
            yield from (f"{tag}: {error}" for error in parse_uris(value)[1])
