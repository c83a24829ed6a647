"""How the causes of a plain Postfix's trouble show in evidence."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.diagnosis import certificate_symptoms
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match
from runbooklib.diagnosis.symptoms import ABSENT, logged

# Of the programs that serve mail; postmap also complains to whoever asks it.
TABLE_ERROR = r"^(?!postfix/post).*( is unavailable\. |: open database /|table lookup problem| lookup error for )"
# Not what a milter says itself, such as to greylist.
MILTER_ERROR = r"milter-reject: .* Service unavailable|milter .*(?:can't read|unreasonable|protocol error|timeout)"


def absent(evidence: Evidence) -> Iterator[str]:
    if (evidence["services"] or {}).get("postfix") == ABSENT:
        yield "no Postfix is installed"


def configuration_broken(evidence: Evidence) -> Iterator[str]:
    yield from (evidence["configuration"] or [])[-1:]


def tables_missing(evidence: Evidence) -> Iterator[str]:
    yield from evidence["tables"] or []


def unheard(kind: str) -> Match:
    """A socket that Postfix is told to use, and where nobody listens."""

    def match(evidence: Evidence) -> Iterator[str]:
        for name, heard in sorted((evidence["sockets"] or {}).items()):
            if name.startswith(f"{kind} ") and not heard:
                yield f"nobody listens on {name.removeprefix(f'{kind} ')}"

    return match


def certificate_not_loaded(evidence: Evidence) -> Iterator[str]:
    if any(certificate_symptoms.no_starttls(evidence)):
        yield from logged("disabling TLS support")(evidence)


def held(evidence: Evidence) -> Iterator[str]:
    count = (evidence["queue"] or {}).get("held", 0)
    if count:
        yield f"{count} on hold"


def deferring(evidence: Evidence) -> Iterator[str]:
    transports = (evidence["postfix"] or {}).get("defer_transports", "")
    if transports:
        yield f"defer_transports is {transports}"
