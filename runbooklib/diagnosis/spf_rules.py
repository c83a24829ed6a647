"""Rules about who may send: the SPF record of each name that receivers judge by."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator

from runbooklib import spf
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import DNS, Rule, Sign, Symptom
from runbooklib.diagnosis.zone_rules import home
from runbooklib.spf import LOOKUPS, VOIDS, Spf, SpfError

PUBLISH = "04-dns#apply"


def spf_missing(evidence: Evidence) -> Iterator[Sign]:
    for name, found in evidence.under("spf"):
        if not found:
            yield Sign(f"{name} has no SPF record", _of(evidence, name))


def spf_twice(evidence: Evidence) -> Iterator[Sign]:
    for name, found in evidence.under("spf"):
        if len(found) > 1:
            said = f"{name} has {len(found)} SPF records: {' / '.join(found)}{_merged(found, name)}"
            yield Sign(said, _of(evidence, name))


def _merged(found: list[str], owner: str) -> str:
    """The one record that lets send whom any of them does; nothing, where one cannot be read."""
    try:
        whole, *others = map(spf.parse, found)
    except SpfError:
        return ""
    for other in others:
        whole = whole.merged(Spf(tuple(term for term in other.tested if term.name != "all")), owner)
    return f"; it should be one: `{whole}`"


def spf_without_relay(evidence: Evidence) -> Iterator[Sign]:
    for domain in evidence.domains:
        name = domain["spf_at"]
        found = evidence[f"spf {name}"] or []
        lacking = _lacking(found[0], domain["spf"], name, _reached(evidence, name)) if len(found) == 1 else []
        if lacking:
            yield Sign(f"{name}: {found[0]} lacks {' '.join(lacking)}", _of(evidence, name))


def _of(evidence: Evidence, name: str) -> str:
    """The domain, and the relays that look at this record before they take its mail."""
    relays = [domain["relay"] for domain in evidence.domains if domain["spf_at"] == name and "relay" in domain]
    return " ".join([home(evidence, name), *relays])


def _reached(evidence: Evidence, name: str) -> set[str]:
    """The terms that the record leads to, through whatever it includes."""
    tree = evidence[f"spf-tree {name}"] or {"terms": []}
    return {term.lower().lstrip("+") for term in tree["terms"]}


def _lacking(record: str, wanted: str, owner: str, reached: set[str]) -> list[str]:
    """What of the relay's mechanisms neither stands there nor is reached; nothing, where the record cannot be read."""
    try:
        stands, asked = spf.parse(record), spf.of(wanted.split())
    except SpfError:
        return []
    return [t.text for t in asked.tested if t.name != "all" and not (stands.has(t, owner) or t.text.lower() in reached)]


def spf_lookups(evidence: Evidence) -> Iterator[Sign]:
    for name, tree in evidence.under("spf-tree"):
        if tree["lookups"] > LOOKUPS:
            most = ", ".join(tree["terms"][: LOOKUPS + 2])
            said = f"{name}: {tree['lookups']} terms ask DNS, the limit is {LOOKUPS}: {most}"
            yield Sign(said, home(evidence, name))


def spf_invalid(evidence: Evidence) -> Iterator[Sign]:
    for name, tree in evidence.under("spf-tree"):
        for problem in tree["problems"]:
            yield Sign(f"{name}: {problem}", home(evidence, name))
        if tree["voids"] > VOIDS:
            yield Sign(f"{name}: {tree['voids']} terms find nothing, the limit is {VOIDS}", home(evidence, name))


SPF_RULES = (
    Rule(
        id="spf-missing",
        cause="receivers cannot tell who may send for the domain",
        needs=("spf",),
        match=spf_missing,
        fix="run stage 04",
        ref="RFC 7208 4.5",
        mended_by=DNS,
        cell=PUBLISH,
        entails=("relay-domain-unverified",),
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="spf-twice",
        cause="two SPF records are none: receivers answer permerror",
        needs=("spf",),
        match=spf_twice,
        fix="put the one record that is named in the place of all, in the DNS panel",
        ref="RFC 7208 4.5",
        excludes=("spf-invalid",),
        entails=("relay-domain-unverified",),
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="spf-without-relay",
        cause="SPF does not name the relay that sends for the domain",
        needs=("spf",),
        match=spf_without_relay,
        fix="run stage 04: it merges the relay's mechanism into the record",
        ref="RFC 7208 5",
        cell=PUBLISH,
        entails=("relay-domain-unverified",),
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="spf-lookups",
        cause="the SPF record costs receivers too many lookups: they answer permerror",
        needs=("spf-tree",),
        match=spf_lookups,
        fix="take out, in the DNS panel, the terms of services that send nothing any more; move another service's mail "
        "to a subdomain with a record of its own",
        ref="RFC 7208 4.6.4",
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
    Rule(
        id="spf-invalid",
        cause="the SPF record leads receivers to permerror",
        needs=("spf-tree",),
        match=spf_invalid,
        fix="correct, in the DNS panel, the term that is named, or take it out",
        ref="RFC 7208 2.6.7",
        symptoms=(Symptom.JUNK, Symptom.BOUNCED),
    ),
)
