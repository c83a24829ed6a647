"""Rules about the records mail needs, as resolvers give them now."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.authres import parse_policy
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Rule
from runbooklib.records import TagError, dkim_key
from runbooklib.results import Status

DNS = "04-dns"


def address_missing(evidence: Evidence) -> Iterator[str]:
    for name, found in evidence.under("address"):
        if not found["A"]:
            yield f"{name} has no A record"


def address_differs(evidence: Evidence) -> Iterator[str]:
    for name, found in evidence.under("address"):
        if found["A"] and found["A"] != [evidence.site["ipv4"]]:
            yield f"{name} A is {', '.join(found['A'])}, the server is {evidence.site['ipv4']}"
        if found["AAAA"] and found["AAAA"] != [evidence.site["ipv6"]]:
            yield f"{name} AAAA is {', '.join(found['AAAA'])}, params say {evidence.site['ipv6'] or 'no IPv6'}"


def mx_missing(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("mx"):
        if not found:
            yield f"{domain} has no MX"


def mx_elsewhere(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("mx"):
        others = [host for host in found if host != evidence.site["hostname"]]
        if others:
            yield f"{domain} MX names {', '.join(others)}"


def spf_missing(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("spf"):
        if not found:
            yield f"{domain} has no SPF record"


def spf_twice(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("spf"):
        if len(found) > 1:
            yield f"{domain} has {len(found)} SPF records"


def spf_without_relay(evidence: Evidence) -> Iterator[str]:
    for domain in evidence.domains:
        (record, *_) = evidence[f"spf {domain['spf_at']}"] or [""]
        stands = {term.lstrip("+") for term in record.lower().split()}
        lacking = [term for term in domain["spf"].lower().split() if term not in stands]
        if record and lacking:
            yield f"{domain['spf_at']}: {record} lacks {' '.join(lacking)}"


def dkim_missing(evidence: Evidence) -> Iterator[str]:
    for name, found in evidence.under("dkim"):
        if not found:
            yield f"{name} has no TXT record"


def dkim_differs(evidence: Evidence) -> Iterator[str]:
    keys = evidence["keys"] or {}
    for name, found in evidence.under("dkim"):
        if found and name in keys and _public(keys[name]) not in map(_public, found):
            yield f"{name} holds another key than the server signs with"


def _public(record: str) -> str:
    try:
        return dkim_key(record).public
    except TagError:
        return ""


def dmarc_missing(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("dmarc"):
        if not found:
            yield f"_dmarc.{domain} has no DMARC record"


def dmarc_wrong(evidence: Evidence) -> Iterator[str]:
    for domain, found in evidence.under("dmarc"):
        if len(found) > 1:
            yield f"_dmarc.{domain} has {len(found)} DMARC records, which count as none"
        elif found and parse_policy(found[0]) is None:
            yield f"_dmarc.{domain} is malformed: {found[0]}"


def ptr_differs(evidence: Evidence) -> Iterator[str]:
    for address, found in evidence.under("ptr"):
        if evidence.site["hostname"] not in found:
            yield f"{address} is {', '.join(found) or 'nameless'}, not {evidence.site['hostname']}"


DNS_RULES = (
    Rule(
        id="address-missing",
        cause="the mail server's name has no address, so nobody finds it",
        needs=("address",),
        match=address_missing,
        fix="run stage 04",
        ref="RFC 5321 5.1",
        mended_by=DNS,
    ),
    Rule(
        id="address-differs",
        cause="the mail server's name leads to another machine",
        needs=("address",),
        match=address_differs,
        fix="correct the A and AAAA records (04), or server.ipv4 and ipv6 in params",
        ref="RFC 5321 5.1",
    ),
    Rule(
        id="mx-missing",
        cause="nobody knows where this domain receives mail",
        needs=("mx",),
        match=mx_missing,
        fix="run stage 04",
        ref="RFC 5321 5.1",
        mended_by=DNS,
    ),
    Rule(
        id="mx-elsewhere",
        cause="mail for the domain goes to another server",
        needs=("mx",),
        match=mx_elsewhere,
        fix="let MX name server.hostname alone; a relay never belongs there (04)",
        ref="RFC 5321 5.1",
    ),
    Rule(
        id="spf-missing",
        cause="receivers cannot tell who may send for the domain",
        needs=("spf",),
        match=spf_missing,
        fix="run stage 04",
        ref="RFC 7208 4.5",
        mended_by=DNS,
    ),
    Rule(
        id="spf-twice",
        cause="two SPF records are none: receivers answer permerror",
        needs=("spf",),
        match=spf_twice,
        fix="merge them into one; stage 04 shows how",
        ref="RFC 7208 4.5",
    ),
    Rule(
        id="spf-without-relay",
        cause="SPF does not name the relay that sends for the domain",
        needs=("spf",),
        match=spf_without_relay,
        fix="run stage 04: it merges the relay's mechanism into the record",
        ref="RFC 7208 5",
    ),
    Rule(
        id="dkim-missing",
        cause="a signature's key is not in DNS, so it cannot be verified",
        needs=("dkim",),
        match=dkim_missing,
        fix="run stage 04",
        ref="RFC 6376 3.6.2",
        mended_by=DNS,
    ),
    Rule(
        id="dkim-differs",
        cause="DNS holds another DKIM key than the server signs with, so every signature fails",
        needs=("dkim", "keys"),
        match=dkim_differs,
        fix="publish the server's key (03, 04); a panel may have cut or quoted it",
        ref="RFC 6376 3.6.1, DMS#1035",
    ),
    Rule(
        id="dmarc-missing",
        cause="no DMARC policy: large receivers refuse or junk such mail",
        needs=("dmarc",),
        match=dmarc_missing,
        fix="run stage 04",
        ref="RFC 9989 4.7",
        mended_by=DNS,
    ),
    Rule(
        id="dmarc-wrong",
        cause="the DMARC record does not count",
        needs=("dmarc",),
        match=dmarc_wrong,
        fix="leave one well-formed record (04)",
        ref="RFC 9989 4.7",
    ),
    Rule(
        id="ptr-differs",
        cause="reverse DNS does not lead to the mail server's name; it matters for what is sent directly",
        needs=("ptr",),
        match=ptr_differs,
        fix="set it in the panel of whoever gave you the address; it cannot be published in your zone",
        ref="RFC 1912 2.1",
        status=Status.WARN,
    ),
)
