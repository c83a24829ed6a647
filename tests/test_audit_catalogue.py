"""Every check of the catalogue turns red in some test, and every DNS-side check of the peers has one here."""

from __future__ import annotations

import re

import pytest
import test_audit_host
import test_audit_receiving
import test_audit_senders
import test_audit_zone

from runbooklib.audit import CATALOGUE

RED = {"warn", "fail"}
CASES = [*test_audit_zone.CASES, *test_audit_receiving.CASES, *test_audit_senders.CASES]
HOSTS = [(id_, status) for id_, *statuses, _ in test_audit_host.HOST for status in statuses]
SAID = {(case.id, case.status) for _, case in CASES} | {*HOSTS} | {row[:2] for row in test_audit_host.DOMAINS}

# What the peers' checks of DNS are called there, and the id that judges it here.
PEERS = {
    "Mail-in-a-Box": {
        "glue of ns1 and ns2": "dns.ns.parent",
        "A and AAAA of the host": "dns.host.address",
        "PTR over IPv4 and IPv6": "dns.ptr.host",
        "TLSA 3 1 1": "dns.dane",
        "NS": "dns.ns.names",
        "secondary nameservers answer": "dns.ns.answers",
        "SOA equal": "dns.soa.serial",
        "DS algorithm 13 and digest 2 or 4": "dns.dnssec.algorithm",
        "MX": "dns.mx.ours",
        "MTA-STS policy": "dns.mta-sts.policy",
        "web A and AAAA": "dns.web.address",
        "ZEN over IPv4 and IPv6": "dns.dnsbl",
        "DBL": "dns.dnsbl.domain",
    },
    "mox": {
        "DNSSEC resolver and zone": "dns.dnssec",
        "IPRev, all addresses, both ways": "dns.ptr.confirmed",
        "MX points to us": "dns.mx.ours",
        "null MX": "dns.mx.null",
        "DANE": "dns.dane",
        "SPF evaluated for each sending address": "dns.spf.sends",
        "SPF of the host": "dns.host.spf",
        "DKIM of each selector": "dns.dkim.key",
        "DMARC p=none": "dns.dmarc.policy",
        "DMARC sp=none": "dns.dmarc.subdomains",
        "DMARC rua": "dns.dmarc.reports",
        "external report authorisation": "dns.dmarc.authorised",
        "TLSRPT": "dns.tls-rpt",
        "MTA-STS policy fetched": "dns.mta-sts.policy",
        "MTA-STS max_age": "dns.mta-sts.age",
        "MTA-STS and MX, both directions": "dns.mta-sts.mx",
        "six SRV records": "dns.srv",
        "autoconfig and autodiscover": "dns.autoconfig",
        "DNSBL": "dns.dnsbl",
        "dnsbl checkhealth": "dns.dnsbl.health",
    },
    "mailcow": {
        "A and AAAA": "dns.host.address",
        "PTR": "dns.ptr.host",
        "TLSA 25": "dns.dane",
        "MX": "dns.mx.ours",
        "autodiscover and autoconfig CNAME": "dns.autoconfig",
        "SRV": "dns.srv",
        "mta-sts CNAME": "dns.mta-sts.policy",
        "_mta-sts id": "dns.mta-sts.record",
        "_smtp._tls": "dns.tls-rpt",
        "SPF": "dns.spf.record",
        "DMARC": "dns.dmarc.record",
        "DKIM p=": "dns.dkim.published",
    },
    "internet.nl": {
        "IPv6 of nameservers": "dns.ns.ipv6",
        "IPv6 of the mail servers": "dns.mx.ipv6",
        "DNSSEC of the domain": "dns.dnssec",
        "DNSSEC of the mail servers": "dns.mx.dnssec",
        "DKIM existence": "dns.dkim.published",
        "DMARC existence": "dns.dmarc.record",
        "DMARC policy": "dns.dmarc.policy",
        "SPF existence": "dns.spf.record",
        "SPF policy": "dns.spf.ending",
        "null MX": "dns.mx.null",
        "DANE existence and validity": "dns.dane",
        "CAA": "dns.caa",
    },
    "checkdmarc": {
        "SOA": "dns.zone",
        "NS": "dns.ns.count",
        "MX": "dns.mx",
        "MX names": "dns.mx.name",
        "MX addresses": "dns.mx.address",
        "TLSA": "dns.dane",
        "SPF syntax": "dns.spf.syntax",
        "SPF single": "dns.spf.single",
        "SPF lookups": "dns.spf.lookup-limit",
        "SPF void lookups": "dns.spf.void-limit",
        "SPF loops": "dns.spf.targets",
        "SPF ptr": "dns.spf.ptr",
        "SPF size": "dns.spf.size",
        "DMARC tree walk": "dns.dmarc.record",
        "DMARC syntax": "dns.dmarc.syntax",
        "DMARC single": "dns.dmarc.single",
        "removed DMARC tags": "dns.dmarc.retired",
        "report destinations": "dns.dmarc.authorised",
        "MTA-STS record": "dns.mta-sts.record",
        "TLSRPT": "dns.tls-rpt",
    },
}
NEEDS_NO_ANSWER = {  # what is judged of an answer that another check heard, or of none: nothing of it can be unknown
    *("dns.ns.ipv6", "dns.dnssec.algorithm", "dns.mx.null", "dns.mx.name", "dns.mx.ours", "dns.mx.dnssec"),
    *("dns.mta-sts.age", "dns.spf.single", "dns.spf.syntax", "dns.spf.ptr", "dns.spf.size", "dns.spf.breadth"),
    *("dns.spf.cdn", "dns.dkim.single", "dns.dkim.syntax", "dns.dkim.key", "dns.dkim.testing", "dns.dmarc.single"),
    *("dns.dmarc.syntax", "dns.dmarc.policy", "dns.dmarc.subdomains", "dns.dmarc.reports", "dns.dmarc.retired"),
    *("dns.ptr.host", "dns.ptr.generic", "dns.ns.parent"),
}


def test_each_check_is_green_and_red_and_unknown_where_it_can_be() -> None:
    seen = {id_: {status for known, status in SAID if known == id_} for id_ in CATALOGUE}
    assert [id_ for id_, statuses in seen.items() if "pass" not in statuses] == []
    assert [id_ for id_, statuses in seen.items() if not statuses & RED] == []
    assert {id_ for id_, statuses in seen.items() if "unknown" not in statuses} <= NEEDS_NO_ANSWER


@pytest.mark.parametrize("peer", PEERS)
def test_each_check_of_a_peer_has_one_here_that_says_so(peer: str) -> None:
    assert [check for check, id_ in PEERS[peer].items() if peer not in CATALOGUE[id_].peers] == []


def test_each_check_names_its_clause() -> None:
    assert [e.id for e in CATALOGUE.values() if not re.fullmatch(r"RFC \d{4}( [0-9A-Z.]+)?", e.ref)] == []
