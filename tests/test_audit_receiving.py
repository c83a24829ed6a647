"""The audit of where mail goes, what protects it on its way, and what mail programs look for."""

from __future__ import annotations

import pytest
from audits import NAME, RESOLVER, Case, assert_told, down, named, rows, world

from runbooklib import audit, zone
from runbooklib.answers import Word
from runbooklib.audit import clients, receiving, transport
from runbooklib.audit.policies import PolicyError, SilentPolicyError

HOST = {"host": "mail.lantern.example"}
SIGNED = frozenset({"example", NAME})
PIN = "8d02536c887482bc34ff54e41d2ba659bf85b341a0a20afadb5813dcfbcf286d"
STS = '_mta-sts TXT "v=STSv1; id=1"\nmta-sts A 5.2.9.9'
PARKED = '@ MX 0 .\n@ TXT "v=spf1 -all"'


def served(text: str) -> object:
    async def fetch(domain: str) -> str:
        assert domain == NAME
        return text

    return fetch


def refused(error: PolicyError) -> object:
    async def fetch(domain: str) -> str:
        del domain
        raise error

    return fetch


def policy(mode: str = "enforce", mx: str = "mail.lantern.example", age: int = 604800) -> object:
    return served(f"version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: {age}\r\n")


RECEIVING = (
    Case("dns.mx", "pass"),
    Case("dns.mx", "pass", PARKED),
    Case("dns.mx", "warn", "-@ MX"),
    Case("dns.mx", "warn", "-@ MX\n-@ A"),
    Case("dns.mx", "pass", "-@ MX\n-@ A", known={"receives": False}),
    Case("dns.mx", "fail", "-@ MX\n-@ A", known=HOST),
    Case("dns.mx", "fail", known={"domain": "nobody.example", "receives": True}),
    Case("dns.mx", "unknown", outages=down(NAME)),
    Case("dns.mx", "unknown", "-@ MX\n-@ A\nx A 5.2.9.9", known={"domain": f"x.{NAME}"}, outages=down(f"x.{NAME}")),
    Case("dns.mx.null", "pass"),
    Case("dns.mx.null", "pass", PARKED),
    Case("dns.mx.null", "fail", "@ MX 0 .\n@ MX 10 mail"),
    Case("dns.mx.null", "fail", PARKED, known={"receives": True}),
    Case("dns.mx.null", "fail", "@ MX 0 .", known={"sends": True}),
    Case("dns.mx.name", "pass"),
    Case("dns.mx.name", "fail", "@ MX 10 5.2.10.10."),
    Case("dns.mx.name", "fail", "@ MX 10 alias\nalias CNAME mail"),
    Case("dns.mx.address", "pass"),
    Case("dns.mx.address", "fail", "@ MX 10 gone"),
    Case("dns.mx.address", "fail", "mail A 10.1.2.3"),
    Case("dns.mx.address", "fail", "mail A 127.0.0.1"),
    Case("dns.mx.address", "fail", "mail A 104.16.1.1"),
    Case("dns.mx.address", "fail", "mail A 198.18.0.1"),
    Case("dns.mx.address", "pass", "mail A 198.18.0.1\nmail AAAA 2001:db8::1", known={"rehearsed": True}),
    Case("dns.mx.address", "unknown", outages=down("mail.lantern.example")),
    Case("dns.mx.ipv6", "pass"),
    Case("dns.mx.ipv6", "pass", "-mail AAAA"),  # IPv4 alone is as good
    Case("dns.mx.ipv6", "warn", "-mail A"),
    Case("dns.mx.ipv6", "unknown", outages=down("mail.lantern.example")),
    Case("dns.mx.ours", ""),
    Case("dns.mx.ours", "pass", known=HOST),
    Case("dns.mx.ours", "warn", "@ MX 10 mail\n@ MX 20 other\nother A 5.2.11.11", known=HOST),
    Case("dns.mx.ours", "warn", "@ MX 10 other\nother A 5.2.11.11", known=HOST),
    Case("dns.mx.ours", "pass", "@ MX 10 mx\nmx A 5.2.10.10", known=HOST),  # another name of the same machine
    Case("dns.mx.ours", "fail", PARKED, known=HOST),
)
TRANSPORT = (
    Case("dns.mta-sts.record", "pass"),
    Case("dns.mta-sts.record", "pass", '_mta-sts TXT "something else"'),
    Case("dns.mta-sts.record", "pass", STS, fetch=policy()),
    Case("dns.mta-sts.record", "fail", f'{STS}\n_mta-sts TXT "v=STSv1; id=2"'),
    Case("dns.mta-sts.record", "fail", '_mta-sts TXT "v=STSv1; id=2026-11-22"'),
    Case("dns.mta-sts.record", "unknown", outages=down(f"_mta-sts.{NAME}")),
    Case("dns.mta-sts.policy", "pass", STS, fetch=policy()),
    Case("dns.mta-sts.policy", "unknown", STS),
    Case("dns.mta-sts.policy", "unknown", STS, fetch=refused(SilentPolicyError("no answer"))),
    Case("dns.mta-sts.policy", "fail", STS, fetch=refused(PolicyError("HTTP 404"))),
    Case("dns.mta-sts.policy", "fail", STS, fetch=served("<html>")),
    Case("dns.mta-sts.policy", "fail", '_mta-sts TXT "v=STSv1; id=1"'),
    Case("dns.mta-sts.mx", "pass", STS, fetch=policy()),
    Case("dns.mta-sts.mx", "pass", STS, fetch=policy(mx="*.lantern.example")),
    Case("dns.mta-sts.mx", "fail", STS, fetch=policy(mx="old.lantern.example")),
    Case("dns.mta-sts.mx", "warn", STS, fetch=policy("testing", "old.lantern.example")),
    Case("dns.mta-sts.mx", "warn", STS, fetch=policy(mx="mail.lantern.example\r\nmx: old.lantern.example")),
    Case("dns.mta-sts.mx", "pass", STS, fetch=policy("none", "old.lantern.example")),
    Case("dns.mta-sts.mx", "unknown", STS, fetch=policy(), outages=down(NAME)),
    Case("dns.mta-sts.age", "pass", STS, fetch=policy()),
    Case("dns.mta-sts.age", "warn", STS, fetch=policy(age=86400)),
    Case("dns.tls-rpt", "pass"),
    Case("dns.tls-rpt", "pass", '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@lantern.example"'),
    Case("dns.tls-rpt", "fail", '_smtp._tls TXT "v=TLSRPTv1; rua=tls@lantern.example"'),
    Case(
        "dns.tls-rpt",
        "fail",
        '_smtp._tls TXT "v=TLSRPTv1; rua=mailto:a@x.example"\n_smtp._tls TXT "v=TLSRPTv1; rua=mailto:b@x.example"',
    ),
    Case("dns.tls-rpt", "unknown", outages=down(f"_smtp._tls.{NAME}")),
    Case("dns.dane", ""),
    Case("dns.dane", "pass", known=HOST),
    Case("dns.dane", "pass", f"_25._tcp.mail TLSA 3 1 1 {PIN}", secure=SIGNED),
    Case("dns.dane", "warn", f"_25._tcp.mail TLSA 3 1 1 {PIN}", known=HOST),
    Case("dns.dane", "warn", f"_25._tcp.mail TLSA 1 1 1 {PIN}", secure=SIGNED),
    Case("dns.dane", "fail", f"_25._tcp.mail TLSA 3 1 7 {PIN}", secure=SIGNED),
    Case("dns.dane", "fail", secure=SIGNED, outages=down("_25._tcp.mail.lantern.example", word=Word.BOGUS)),
    Case("dns.dane", "unknown", secure=SIGNED, outages=down("_25._tcp.mail.lantern.example")),
)
CLIENTS = (
    Case("dns.srv", "pass"),
    Case("dns.srv", "pass", "_imaps._tcp SRV 0 1 993 mail"),
    Case("dns.srv", "pass", "_imap._tcp SRV 0 0 0 ."),
    Case("dns.srv", "pass", "x._tcp A 5.2.9.9"),
    Case("dns.srv", "fail", "_imaps._tcp SRV 0 1 993 gone"),
    Case("dns.srv", "fail", "_submissions._tcp SRV 0 1 465 alias\nalias CNAME mail"),
    Case("dns.srv", "unknown", outages=down(f"_tcp.{NAME}")),
    Case("dns.srv", "unknown", "_imaps._tcp SRV 0 1 993 mail", outages=down("mail.lantern.example")),
    Case("dns.autoconfig", ""),
    Case("dns.autoconfig", "pass", known=HOST),
    Case("dns.autoconfig", "pass", "autoconfig CNAME mail", known=HOST),
    Case("dns.autoconfig", "fail", "autodiscover CNAME gone", known=HOST),
    Case("dns.autoconfig", "unknown", known=HOST, outages=down(f"autoconfig.{NAME}")),
)
CHECKS = {receiving.checks: RECEIVING, transport.checks: TRANSPORT, clients.checks: CLIENTS}
CASES = [(checks, case) for checks, table in CHECKS.items() for case in table]


@pytest.mark.parametrize(("checks", "case"), CASES, ids=named)
def test_receiving(checks: object, case: Case) -> None:
    fetched = {"fetch": case.fetch} if checks is transport.checks else {}
    assert_told(rows(checks, case, **fetched), case)


def test_another_mx_that_answers_makes_a_silent_one_bearable() -> None:
    case = Case("", "", "@ MX 10 mail\n@ MX 20 other\nother A 5.2.11.11", outages=down("mail.lantern.example"))
    found = {row.name: row for row in rows(receiving.checks, case)}
    assert not found["dns.mx.address mail.lantern.example"].blocks
    alone = Case("", "", outages=down("mail.lantern.example"))
    assert next(r for r in rows(receiving.checks, alone) if r.name.startswith("dns.mx.address")).blocks


def test_a_policy_is_fetched_only_where_a_record_says_so() -> None:
    case = Case("", "", fetch=refused(AssertionError()))
    assert rows(transport.checks, case, fetch=case.fetch)


def test_an_unsigned_domain_of_strangers_is_not_asked_for_tlsa() -> None:
    asked = world(Case("", ""))
    zone.together([transport.checks(zone.Stub(asked, [RESOLVER]), audit.Subject(NAME))])
    assert {kind for _, _, kind in asked.log} >= {"MX", "TXT"}
    assert "TLSA" not in {kind for _, _, kind in asked.log}
