"""How a DMARC record that does not count, or one that harms, shows in evidence."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runbooklib import dmarc
from runbooklib.diagnosis import damage
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Sign
from runbooklib.diagnosis.signing_symptoms import LABEL, used
from runbooklib.dmarc import DmarcError, Record

MEANT = re.compile(r"dmarc|(^|[;\s\"])s?p\s*=\s*(none|quarantine|reject)", re.IGNORECASE)  # not a wildcard's SPF


def _meant(evidence: Evidence) -> Iterator[tuple[str, list[str]]]:
    """The texts at each domain's place that were meant to be a policy."""
    for domain, found in evidence.under("dmarc"):
        yield domain, [text for text in found if MEANT.search(text)]


def dmarc_missing(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in _meant(evidence):
        if not found:
            yield Sign(f"_dmarc.{domain} has no DMARC record", domain)


def dmarc_misplaced(evidence: Evidence) -> Iterator[Sign]:
    places = dict(evidence.under("strays"))
    for domain, found in _meant(evidence):
        for place, texts in places.get(domain, {}).items():
            if not found and any(dmarc.is_dmarc(text) for text in texts):
                yield Sign(f"a policy stands at {place}, where nobody looks; _dmarc.{domain} has none", domain)


def dmarc_twice(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in _meant(evidence):
        count = len(_proper(found))
        if count > 1:
            yield Sign(f"_dmarc.{domain} has {count} DMARC records, which count as none", domain)


def dmarc_malformed(evidence: Evidence) -> Iterator[Sign]:
    for domain, found in _meant(evidence):
        proper = _proper(found) or found  # what does not begin as it should is passed over beside one that does
        if len(proper) == 1 and (said := _malformed(proper[0])):
            yield Sign(f"_dmarc.{domain} is malformed: {proper[0]}: {said}", domain)


def _proper(found: list[str]) -> list[str]:
    return [text for text in found if dmarc.is_dmarc(text)]


def _malformed(record: str) -> str:
    try:
        dmarc.parse(record)
    except DmarcError as error:
        return str(error)
    return ""


def dmarc_unaligned(evidence: Evidence) -> Iterator[Sign]:
    """A policy that acts, while nothing that was seen can authenticate the domain."""
    found = dict(_meant(evidence))
    for domain in evidence.domains:
        record = next((r for text in found.get(domain["name"], ()) if (r := dmarc.accepted(text))), None)
        if record and record.policy != dmarc.POLICIES[0] and not record.testing:
            whys = [_spf(evidence, domain, record), _dkim(evidence, domain["name"])]
            if all(whys):
                yield Sign(f"_dmarc.{domain['name']} says p={record.policy}, and {'; '.join(whys)}", domain["name"])


def _spf(evidence: Evidence, domain: dict[str, Any], record: Record) -> str:
    """Why SPF passes for nothing that aligns (RFC 9989 4.4.2); empty where it may."""
    at = domain["spf_at"]
    texts = evidence[f"spf {at}"]
    if texts is None or not domain["spf"]:
        return ""
    if at != domain["name"] and record.strict_spf:
        return f"MAIL FROM is of {at}, which aspf=s does not take"
    terms = {term.lstrip("+") for text in texts for term in text.lower().split()}
    lacking = len(texts) != 1 or not set(domain["spf"].lower().split()) <= terms
    return f"SPF of {at} does not name the relay" if lacking else ""


def _dkim(evidence: Evidence, domain: str) -> str:
    """Why no signature of the domain verifies; empty where one may."""
    own = [key for key in used(evidence) if key.domain == domain]
    if any(key.published is None or damage.good(key.published, key.public) for key in own):
        return ""
    names = {name for name, _ in evidence.under("dkim") if name.endswith(LABEL + domain)}
    if any(evidence[f"dkim {name}"] for name in names - {key.name for key in own}):
        return ""
    if own:
        return f"the key at {', '.join(key.name for key in own)} verifies nothing"
    return "nothing signs" if evidence["signer"] else ""
