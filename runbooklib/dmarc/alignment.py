"""Which authenticated domains align with the author domain (RFC 9989 4.4, RFC 7489 3.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from runbooklib.dmarc.discovery import LIST, WALK, Found, by_list, by_walk
from runbooklib.dmarc.record import Record
from runbooklib.dmarc.suffixes import registered
from runbooklib.dmarc.walk import Published, organizational, told


@dataclass(frozen=True)
class Alignment:
    """Which authenticated domains align with the author domain; DMARC passes when there is any."""

    author: str
    spf: str = ""  # the MAIL FROM domain that passed and aligns
    dkim: tuple[str, ...] = ()  # the signing domains that passed and align
    difference: str = ""  # what receivers that follow RFC 7489 come to, where that is something else

    def __bool__(self) -> bool:
        return bool(self.spf or self.dkim)

    def __str__(self) -> str:
        said = [f"SPF ({self.spf})"] * bool(self.spf) + [f"DKIM ({', '.join(self.dkim)})"] * bool(self.dkim)
        return " and ".join(said) or "nothing"


def align(author: str, spf: str, dkim: Iterable[str], published: Published) -> Alignment:
    """What aligns with the author domain, of the MAIL FROM domain and signing domains that passed (RFC 9989 4.4)."""
    return alignments(author, spf, dkim, published)[0]


def alignments(author: str, spf: str, dkim: Iterable[str], published: Published) -> tuple[Alignment, Alignment]:
    """The same under RFC 9989 and under RFC 7489; where they differ, the first says so."""
    signed = tuple(dict.fromkeys(dkim))
    walked, listed = by_walk(author, told(published)), by_list(author, told(published))
    ours = _aligned(walked, author, spf, signed, lambda d: organizational(d, published))
    older = _aligned(listed, author, spf, signed, registered)
    if ours == older or not (walked.policy or listed.policy):
        return ours, older
    return replace(ours, difference=f"aligned by {older} under {LIST}, by {ours} under {WALK}"), older


def _aligned(
    found: Found, author: str, spf: str, dkim: tuple[str, ...], organization: Callable[[str], str]
) -> Alignment:
    record = found.record or Record({})

    def aligned(domain: str, *, strict: bool) -> bool:
        return domain == author or (not strict and organization(domain) == found.organizational)

    return Alignment(
        author,
        spf if spf and aligned(spf, strict=record.strict_spf) else "",
        tuple(d for d in dkim if aligned(d, strict=record.strict_dkim)),
    )
