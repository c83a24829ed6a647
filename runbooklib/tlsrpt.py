"""TLS-RPT as a language (RFC 8460): the record that asks for reports, and what a report says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooklib import taglists
from runbooklib.dmarc import Destination, parse_uris
from runbooklib.results import RunbookError
from runbooklib.taglists import TagError

VERSION = re.compile(r"v=TLSRPTv1[ \t]*;")
SCHEMES = ("mailto:", "https:")
LARGEST = 16 * 1024 * 1024  # characters of a report that are looked at


class TlsRptError(RunbookError):
    """A text is no TLS-RPT record or report."""


@dataclass(frozen=True)
class Record:
    """The record at `_smtp._tls`."""

    destinations: tuple[Destination, ...]


@dataclass(frozen=True)
class Sessions:
    """What a report says of one policy of a domain."""

    domain: str
    policy: str  # sts, tlsa, no-policy-found
    successful: int
    failed: int
    failures: Mapping[str, int]  # sessions by result type, e.g. certificate-expired


@dataclass(frozen=True)
class Report:
    """One organization's report of how its connections to us went."""

    organization: str
    start: str
    end: str
    policies: tuple[Sessions, ...]

    @property
    def clean(self) -> bool:
        """Whether no session failed."""
        return not any(p.failed or p.failures for p in self.policies)


def is_tlsrpt(text: str) -> bool:
    """Whether a TXT value claims to be a TLS-RPT record; others at the name do not count."""
    return VERSION.match(text) is not None


def parse(text: str) -> Record:
    """The record in a TXT value.

    Raises TlsRptError.
    """
    if not is_tlsrpt(text):
        raise TlsRptError("a TLS-RPT record begins with v=TLSRPTv1; (RFC 8460 3)")
    try:
        tags = taglists.tags(text)
    except TagError as error:
        raise TlsRptError(str(error)) from None
    found, wrong = parse_uris(tags.get("rua", ""))
    wrong += tuple(f"{d.uri[:60]} is neither mailto: nor https:" for d in found if not _known(d))
    if wrong or not found:
        raise TlsRptError("; ".join(wrong) or "rua= says where reports go (RFC 8460 3)")
    return Record(found)


def asked(values: Iterable[str]) -> Record:
    """The record among the TXT values of `_smtp._tls`.

    Raises TlsRptError where there is none, several, or one that cannot be read: to senders that is all the same.
    """
    found = [value for value in values if is_tlsrpt(value)]
    if len(found) != 1:
        raise TlsRptError(
            f"{len(found) or 'no'} TLS-RPT records{', which count as none' if found else ''} (RFC 8460 3)"
        )
    return parse(found[0])


def parse_report(text: str) -> Report:
    """A report's counts, by policy (RFC 8460 4.4).

    Raises TlsRptError.
    """
    if len(text) > LARGEST:
        raise TlsRptError(f"a report of {len(text)} characters is not read")
    try:
        told = json.loads(text)
        period = told["date-range"]
        return Report(
            organization=str(told["organization-name"]),
            start=str(period["start-datetime"]),
            end=str(period["end-datetime"]),
            policies=tuple(_sessions(policy) for policy in _list(told["policies"])),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TlsRptError(f"no TLS-RPT report: {type(error).__name__} {str(error)[:80]} (RFC 8460 4.4)") from None


def _sessions(told: Any) -> Sessions:
    failures: dict[str, int] = {}
    for failure in _list(told.get("failure-details", [])) if isinstance(told, dict) else ():
        kind = str(failure["result-type"])
        failures[kind] = failures.get(kind, 0) + _count(failure.get("failed-session-count", 0))
    policy, summary = told["policy"], told["summary"]
    return Sessions(
        domain=str(policy["policy-domain"]).lower().rstrip("."),
        policy=str(policy["policy-type"]),
        successful=_count(summary["total-successful-session-count"]),
        failed=_count(summary["total-failure-session-count"]),
        failures=failures,
    )


def _list(told: Any) -> list[Any]:
    if not isinstance(told, list):
        raise TypeError("a list is expected")
    return told


def _count(told: Any) -> int:
    if isinstance(told, bool) or not isinstance(told, int) or told < 0:
        raise ValueError("a count is a number of sessions")
    return told


def _known(destination: Destination) -> bool:
    return destination.uri.lower().startswith(SCHEMES)
