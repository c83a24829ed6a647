"""Wanted against existing, compared by meaning: the rule of each kind of record."""

from __future__ import annotations

from dataclasses import replace

from runbooklib.answers import Answer
from runbooklib.records.observed import Observed
from runbooklib.records.rules import Comparison, keys, names, policies, receiving, senders, transport
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status

RULES = {
    "address": names.address,
    "mx": receiving.mx,
    "spf": senders.record,
    "dkim": keys.key,
    "dmarc": policies.policy,
    "ownership": names.token,
    "report": names.consent,
    "ptr": names.reverse,
    "service": names.service,
    "tlsa": names.pin,
    "null-mx": receiving.mx,
    "mta-sts": transport.announcement,
    "tls-rpt": transport.reports,
    "caa": transport.issuers,
}


def compare(wanted: Wanted, answer: Answer) -> Comparison:
    """How the rrset that `answer` shows relates to what is wanted; the answer must have been heard.

    What a wildcard says counts where it is what is wanted, and where others receive mail by it; else nothing stands at
    the name yet (RFC 4592 2.2.1).
    """
    told = _ruled(wanted, answer)
    counts = told.status is Status.PASS or (told.good and wanted.kind == "mx")
    return told if counts else _ruled(wanted, answer.specific)


def behind(wanted: Wanted, answer: Answer) -> Comparison:
    """How what a resolver finds at the end of an alias relates to what is wanted."""
    return RULES[wanted.kind](wanted, replace(answer, chain=()))


def _ruled(wanted: Wanted, answer: Answer) -> Comparison:
    if wanted.kind == "dkim" and wanted.type == "CNAME":
        return keys.alias(wanted, answer)
    if wanted.kind == "alias":
        return names.alias(wanted, answer)
    if not answer.chain or answer.recursive:
        return RULES[wanted.kind](wanted, answer)
    if wanted.kind == "address":
        return names.shadowed(wanted, answer)
    return _ruled(wanted, answer.specific) if answer.wildcard else names.led(answer)


def repeats(wanted: Wanted, answer: Answer, have: Observed) -> bool:
    """Whether a resolver says of this record what an authoritative server says."""
    held = [a for a in have.at_authority(wanted) if a.heard]
    if any(a.chain for a in held):  # what stands behind an alias is for resolvers to say
        return answer.chain[:1] in [a.chain[:1] for a in held]
    told = compare(wanted, answer)
    return any((told.status, told.said) == (c.status, c.said) for c in (compare(wanted, a) for a in held))
