"""How what is wrong with the certificate that a mail server shows appears in evidence."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match, Sign

SOON = 14  # days; ACME clients renew at 30
DATED = {"expired", "not yet valid"}
DOVECOT = {"143", "993"}


def refused(reason: str) -> Match:
    """Why clients refuse the certificate, with what is served."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        described = set[str]()
        for port, seen in evidence.under("tls"):
            if seen.get("refused") == reason:
                served = _served(evidence, port)
                yield Sign(f"port {port}: {seen['said']}{'' if served in described else served}", port)
                described.add(served)

    return match


def misdated(evidence: Evidence, skew: float) -> Iterator[str]:
    """The ports whose certificate is refused for its dates here, and good by a clock that is so many seconds ahead."""
    for port, seen in evidence.under("tls"):
        told = _by_port(evidence, port) if seen.get("refused") in DATED else None
        if told and "begun" in told and told["begun"] + skew >= 0 and told["left"] - skew >= 0:
            yield port


def _served(evidence: Evidence, port: str) -> str:
    told = _by_port(evidence, port)
    if not told:
        return ""
    ends = f"{told['days']} days left" if told["days"] >= 0 else f"over for {-told['days']} days"
    issuer = "itself" if told["own"] else told["issuer"]
    served = f"for {', '.join(told['names']) or 'no name'}, by {issuer}, {ends}, {told['chain']} more in the chain"
    return f" ({served}){_given(evidence)}"


def _given(evidence: Evidence) -> str:
    """Whether the file of params is one that would do, as far as its days tell."""
    given = (evidence["certificates"] or {}).get("params")
    return ", and the file that params name has expired too" if given and given["days"] < 0 else ""


def _by_port(evidence: Evidence, port: str) -> dict[str, Any] | None:
    """The certificate of the program that listens there."""
    found = evidence["certificates"] or {}
    return next((found[p] for p in found if p.isdigit() and (p in DOVECOT) == (port in DOVECOT)), None)


def not_loaded(evidence: Evidence) -> Iterator[Sign]:
    """The file holds a newer certificate than a port serves."""
    found = evidence["certificates"] or {}
    file = found.get("file")
    for port, told in found.items():
        if port.isdigit() and file and told["sha256"][0] not in file["sha256"] and file["days"] > told["days"]:
            left = f"{file['days']} days left in the file, {told['days']} as served"
            yield Sign(f"port {port} serves another certificate than the file holds: {left}", port)


def expiring(evidence: Evidence) -> Iterator[Sign]:
    for port, seen in evidence.under("tls"):
        if 0 <= seen.get("days", SOON) < SOON:
            yield Sign(f"port {port}: {seen['days']} days left", port)


def no_starttls(evidence: Evidence) -> Iterator[Sign]:
    for port, seen in evidence.under("tls"):
        if seen.get("refused") in {"no STARTTLS", "no TLS"}:
            yield Sign(f"port {port}: {seen['said']}", port)
