"""The audit of a zone and its names: each check green, red and unknown."""

from __future__ import annotations

import pytest
from audits import ELSEWHERE, FIRST, NAME, RESOLVER, SECOND, TOP, Case, assert_told, down, named, rows, world

from runbooklib import audit, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.audit import delegation, dnssec, issuance, names, parents
from runbooklib.results import Status

HOST = {"host": "mail.lantern.example"}
SIGNED = frozenset({"example", NAME})
DS = "lantern DS 20326 {} {} E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
DELEGATION = (
    Case("dns.zone", "pass"),
    Case("dns.zone", "pass", known={"domain": "mail.lantern.example"}),
    Case("dns.zone", "fail", known={"domain": "nobody.example"}),
    Case("dns.zone", "fail", known={"domain": "gone.lantern.example"}),
    Case("dns.zone", "unknown", outages=down(NAME)),
    Case("dns.ns.count", "pass"),
    Case("dns.ns.count", "pass", known={"domain": "mail.lantern.example"}),
    Case("dns.ns.count", "warn", "@ NS ns1"),
    Case("dns.ns.count", "warn", f"ns2 A {FIRST}"),
    Case("dns.ns.count", "unknown", outages=down(NAME)),
    Case("dns.ns.names", "pass"),
    Case("dns.ns.names", "fail", "-ns2"),
    Case("dns.ns.names", "fail", "-ns2\nns2 CNAME ns1"),
    Case("dns.ns.names", "fail", "ns2 A 10.0.0.1"),
    Case("dns.ns.names", "unknown", outages=down("ns2.lantern.example")),
    Case("dns.ns.answers", "pass"),
    Case("dns.ns.answers", "fail", outages={(SECOND, "*"): Word.LAME}),
    Case("dns.ns.answers", "fail", outages={(SECOND, "*"): Word.REFUSED}),
    Case("dns.ns.answers", "unknown", outages={(SECOND, "*"): Word.TIMEOUT}),
    Case("dns.ns.answers", "pass", "ns1 AAAA 2a0e:b100::1"),  # this machine has no IPv6
    Case("dns.ns.parent", "pass"),
    Case("dns.ns.parent", "warn", "@ NS ns1"),
    Case("dns.ns.parent", "warn", parent="lantern NS ns1.lantern"),
    Case("dns.ns.parent", "fail", parent=f"ns2.lantern A {ELSEWHERE}", outages={(ELSEWHERE, "*"): Word.TIMEOUT}),
    Case("dns.ns.ipv6", "pass"),
    Case("dns.ns.ipv6", "pass", "ns1 AAAA 2a0e:b100::1"),
    Case("dns.ns.ipv6", "warn", "-ns1\n-ns2\nns1 AAAA 2a0e:b100::1\nns2 AAAA 2a0e:b100::2"),
    Case("dns.soa.serial", "pass"),
    Case("dns.soa.serial", "warn", second="@ SOA ns1 hostmaster 6 3600 600 86400 300"),
    Case("dns.soa.serial", "unknown", outages={(SECOND, "*"): Word.TIMEOUT}),
)
DNSSEC = (
    Case("dns.dnssec", "pass"),
    Case("dns.dnssec", "pass", parent=DS.format(13, 2), secure=SIGNED),
    Case("dns.dnssec", "fail", outages=down(NAME, word=Word.BOGUS)),
    Case("dns.dnssec", "unknown", parent=DS.format(13, 2)),
    Case("dns.dnssec", "unknown", outages=down(NAME)),
    Case("dns.dnssec.algorithm", ""),
    Case("dns.dnssec.algorithm", "pass", parent=DS.format(13, 2), secure=SIGNED),
    Case("dns.dnssec.algorithm", "pass", parent=DS.format(13, 2), known={"domain": "mail.lantern.example"}),
    Case("dns.dnssec.algorithm", "warn", parent=DS.format(5, 2), secure=SIGNED),
    Case("dns.dnssec.algorithm", "warn", parent="lantern DS 1 13 1 2BB183AF5F22588179A53B0A98631FAD1A292118"),
    Case("dns.mx.dnssec", "pass"),
    Case("dns.mx.dnssec", "pass", secure=SIGNED),
    Case("dns.mx.dnssec", "pass", "@ MX 10 relay.example.", relay="@ A 5.2.10.10", secure=SIGNED),
    Case(
        "dns.mx.dnssec",
        "warn",
        "@ MX 10 relay.example.",
        relay=f"@ A 5.2.10.10\n_25._tcp TLSA 3 1 1 {64 * 'a'}",
        secure=SIGNED,
    ),
    Case("dns.mx.dnssec", "fail", outages=down("mail.lantern.example", word=Word.BOGUS)),
)
NAMES = (
    Case("dns.wildcard", "pass"),
    Case("dns.wildcard", "warn", '* TXT "anything"'),
    Case("dns.wildcard", "warn", "* A 5.2.9.9"),
    Case("dns.wildcard", "warn", "* CNAME mail"),
    Case("dns.wildcard", "unknown", outages=down(f"_tcp.{NAME}", f"no-such-name-f3a91c.{NAME}")),
    Case("dns.alias", "pass"),
    Case("dns.alias", "fail", "alias CNAME mail", known={"domain": "alias.lantern.example"}),
    Case("dns.alias", "unknown", outages=down(NAME)),
    Case("dns.web.address", "pass"),
    Case("dns.web.address", "pass", "-@ A"),
    Case("dns.web.address", "warn", "@ A 192.168.1.2"),
    Case("dns.web.address", "warn", "@ AAAA fe80::1", known=HOST),
    Case("dns.web.address", "warn", "@ A 198.18.0.1"),
    Case("dns.web.address", "pass", "@ A 198.18.0.1", known={"rehearsed": True}),
    Case("dns.web.address", "unknown", outages=down(NAME)),
    Case("dns.names.doubled", "pass"),
    Case("dns.names.doubled", "pass", '* TXT "anything"'),
    Case("dns.names.doubled", "fail", f'-_dmarc\n_dmarc.{NAME} TXT "v=DMARC1; p=none"'),
    Case("dns.names.doubled", "warn", f'_dmarc.{NAME} TXT "v=DMARC1; p=none"'),
    Case("dns.names.doubled", "fail", f'k._domainkey.{NAME} TXT "p=MAo="', known={"selectors": ("k",)}),
    Case("dns.names.doubled", "warn", f"www.{NAME} A 5.2.9.9"),
    Case(
        "dns.names.doubled",
        "fail",
        f'd.blog TXT "x"\n_dmarc.blog.{NAME} TXT "v=DMARC1; p=none"',
        known={"domain": f"blog.{NAME}"},
    ),
    Case("dns.names.doubled", "unknown", outages=down(f"{NAME}.{NAME}")),
    Case("dns.names.stripped", "pass"),
    Case("dns.names.stripped", "fail", '-_dmarc\ndmarc TXT "v=DMARC1; p=none"'),
    Case("dns.names.stripped", "pass", 'dmarc TXT "v=DMARC1; p=none"'),
    Case("dns.names.stripped", "fail", 'k.domainkey TXT "p=MAo="', known={"selectors": ("k",)}),
    Case("dns.names.stripped", "unknown", "-_dmarc", outages=down(f"dmarc.{NAME}")),
    Case("dns.names.stripped", "unknown", outages=down(f"_dmarc.{NAME}")),
    Case("dns.names.doubled", "unknown", f"-_dmarc\n_dmarc.{NAME} A 5.2.9.9", outages=down(f"_dmarc.{NAME}.{NAME}")),
)
CAA = (
    Case("dns.caa", "pass"),
    Case("dns.caa", "pass", '@ CAA 0 issue "letsencrypt.org; validationmethods=dns-01"'),
    Case("dns.caa", "pass", '@ CAA 0 issue ";"\nmail CAA 0 issue "letsencrypt.org"'),
    Case("dns.caa", "pass", '@ CAA 0 issue ";"\n@ MX 0 .'),
    Case("dns.caa", "fail", '@ CAA 0 issue ";"', known=HOST),
    Case("dns.caa", "fail", '@ CAA 0 issue ";"'),
    Case("dns.caa", "fail", '@ CAA 0 issue "letsencrypt.org"\n@ CAA 128 future "1"'),
    Case("dns.caa", "warn", '@ CAA 0 issue "letsencrypt.org"\n@ CAA 0 issue "%%%"'),
    Case("dns.caa", "unknown", outages=down(NAME)),
)
CHECKS = {delegation.checks: DELEGATION, dnssec.checks: DNSSEC, names.checks: NAMES, issuance.checks: CAA}
CASES = [(checks, case) for checks, table in CHECKS.items() for case in table]


@pytest.mark.parametrize(("checks", "case"), CASES, ids=named)
def test_zone(checks: object, case: Case) -> None:
    assert_told(rows(checks, case), case)


def test_servers_that_params_name_are_asked_in_place_of_the_delegation() -> None:
    case = Case("", "")
    own = zone.Stub(world(case), [RESOLVER], [FIRST])
    found = zone.together([delegation.checks(own, audit.Subject(NAME))])[0]
    assert [row.observed for row in found if row.name.startswith("dns.ns.answers")] == [f"{FIRST} NOERROR"]
    assert not [row for row in found if row.name.startswith("dns.ns.parent")]


def test_a_parent_that_cannot_be_asked_proves_nothing() -> None:
    silent = Answer(Question(NAME, "NS"), TOP, Word.TIMEOUT)
    assert [row.status for row in parents.judged(NAME, silent, {})] == [Status.UNKNOWN]


def test_a_resolver_is_asked_for_dnssec_where_the_zones_servers_are_known() -> None:
    signed = Case("", "", parent=DS.format(13, 2), secure=SIGNED)
    both = zone.Stub(world(signed), [RESOLVER], [FIRST])
    found = zone.together([dnssec.checks(both, audit.Subject(NAME))])[0]
    assert {(row.name.split()[0], row.status) for row in found} >= {("dns.dnssec", "pass"), ("dns.mx.dnssec", "pass")}
    assert "validated" in found[0].observed


def test_only_the_zones_own_server_cannot_tell_of_dnssec() -> None:
    own = zone.Stub(world(Case("", "")), [], [FIRST])
    found = zone.together([dnssec.checks(own, audit.Subject(NAME))])[0]
    assert (found[0].status, found[0].blocks) == (Status.UNKNOWN, False)


def test_no_question_is_asked_twice() -> None:
    case = Case("", "")
    asked = world(case)
    quiet = zone.Stub(asked, [RESOLVER])
    zone.together([audit.domain(quiet, audit.Subject(NAME))])
    mine = [(name, kind) for server, name, kind in asked.log if server == RESOLVER]
    assert len(mine) == len(set(mine))


def test_one_domain_costs_at_most_twenty_questions_where_nameservers_are_known() -> None:
    asked = zone.Stub(world(Case("", "")), [], [FIRST])
    zone.together([audit.domain(asked, audit.Subject(NAME))])
    assert asked.asked <= 20 + 5  # two nameservers' addresses and the record above are shared with other domains
