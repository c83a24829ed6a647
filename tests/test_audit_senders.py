"""The audit of SPF, DKIM and DMARC: each check green, red and unknown."""

from __future__ import annotations

import pytest
from audits import KEY, NAME, Case, assert_told, down, named, rows, stub

from runbooklib import audit, zone
from runbooklib.audit import dkim, dmarc, spf
from runbooklib.results import Check

SEND = {"return_paths": (f"send.{NAME}",)}
WIDE = "a" * 100
INCLUDES = [f'"include:s{n}.lantern.example "' for n in range(11)]  # a string each: together they are too long for one
TARGETS = "\n".join(f's{n} TXT "v=spf1 -all"' for n in range(11))
MANY = '@ TXT "v=spf1 " {} "-all"\n{}'


def record(text: str, *more: str) -> str:
    return "\n".join([f'@ TXT "{text}"', *more])


SPF = (
    Case("dns.spf.record", "pass"),
    Case("dns.spf.record", "warn", "-@ TXT"),
    Case("dns.spf.record", "fail", "-@ TXT", known={"sends": True}),
    Case("dns.spf.record", "warn", "-@ TXT", known={"sends": False}),
    Case("dns.spf.record", "pass", '-@ TXT\nsend TXT "v=spf1 ip4:5.2.20.1 ~all"', known=SEND),  # MAIL FROM is below it
    Case("dns.spf.record", "fail", "-@ TXT", known=SEND),
    Case("dns.spf.record", "fail", '@ TXT "\\"v=spf1 mx -all\\""'),  # a panel that adds quotes
    Case("dns.spf.record", "fail", record("v=spf1; mx -all")),
    Case("dns.spf.record", "unknown", outages=down(NAME)),
    Case("dns.spf.single", "pass"),
    Case("dns.spf.single", "fail", record("v=spf1 mx -all", '@ TXT "v=spf1 ip4:5.2.20.1 -all"')),
    Case("dns.spf.syntax", "pass"),
    Case("dns.spf.syntax", "fail", record("v=spf1 ipv4:5.2.20.1 -all")),
    Case("dns.spf.syntax", "fail", '@ TXT "v=spf1 ip4:5.2.20.1" "ip4:5.2.20.2 -all"'),  # joined without a blank
    Case("dns.spf.lookup-limit", "pass"),
    Case("dns.spf.lookup-limit", "fail", MANY.format(" ".join(INCLUDES), TARGETS)),
    Case("dns.spf.lookup-limit", "warn", MANY.format(" ".join(INCLUDES[1:]), TARGETS)),
    Case("dns.spf.lookup-limit", "unknown", outages=down("relay.example")),
    Case("dns.spf.void-limit", "pass"),
    Case("dns.spf.void-limit", "warn", record("v=spf1 a:x.relay.example a:y.relay.example -all")),
    Case("dns.spf.void-limit", "fail", record("v=spf1 a:x.relay.example a:y.relay.example a:z.relay.example -all")),
    Case("dns.spf.void-limit", "unknown", outages=down("relay.example")),
    Case("dns.spf.targets", "pass"),
    Case("dns.spf.targets", "fail", relay="-@ TXT"),
    Case("dns.spf.targets", "fail", relay=record("v=spf1 include:lantern.example -all")),
    Case("dns.spf.targets", "fail", record("v=spf1 redirect=gone.relay.example")),
    Case("dns.spf.targets", "unknown", outages=down("relay.example")),
    Case("dns.spf.ending", "pass"),
    Case("dns.spf.ending", "pass", record("v=spf1 mx ~all")),
    Case("dns.spf.ending", "pass", record("v=spf1 redirect=relay.example")),
    Case("dns.spf.ending", "warn", record("v=spf1 mx ?all")),
    Case("dns.spf.ending", "warn", record("v=spf1 mx")),
    Case("dns.spf.ending", "warn", record("v=spf1 redirect=relay.example"), relay=record("v=spf1 mx")),
    Case("dns.spf.ending", "fail", record("v=spf1 mx +all")),
    Case("dns.spf.ending", "fail", record("v=spf1 redirect=relay.example"), relay=record("v=spf1 all")),
    Case("dns.spf.ending", "unknown", record("v=spf1 redirect=relay.example"), outages=down("relay.example")),
    Case("dns.spf.ptr", "pass"),
    Case("dns.spf.ptr", "warn", record("v=spf1 ptr -all")),
    Case("dns.spf.size", "pass"),
    Case("dns.spf.size", "warn", record("v=spf1 mx -all", *(f'@ TXT "{n}{WIDE}"' for n in range(5)))),
    Case("dns.spf.breadth", "pass"),
    Case("dns.spf.breadth", "warn", record("v=spf1 ip4:5.0.0.0/12 -all")),
    Case("dns.spf.breadth", "warn", record("v=spf1 a:mail.lantern.example/8 -all")),
    Case("dns.spf.breadth", "fail", record("v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all")),
    Case("dns.spf.breadth", "fail", record("v=spf1 ip6:2000::/3 -all")),
    Case("dns.spf.breadth", "fail", relay=record("v=spf1 +all")),
    Case("dns.spf.breadth", "pass", record("v=spf1 -ip4:10.0.0.0/8 mx -all")),
    Case("dns.spf.cdn", "pass"),
    Case("dns.spf.cdn", "warn", record("v=spf1 a -all", "@ A 104.16.1.1")),
    Case("dns.spf.cdn", "warn", record("v=spf1 a:www.cdn.example -all")),
    Case("dns.spf.cdn", "warn", record("v=spf1 mx -all", "mail A 104.16.1.1")),
    Case("dns.spf.sends", ""),
    Case("dns.spf.sends", "pass", known={"senders": ("5.2.10.10", "2a0e:b100::10", "5.2.20.7")}),
    Case("dns.spf.sends", "fail", known={"senders": ("5.2.10.10", "5.2.66.6")}),
    Case("dns.spf.sends", "fail", record("v=spf1 mx ~all"), known={"senders": ("5.2.66.6",)}),
    Case("dns.spf.sends", "unknown", known={"senders": ("5.2.66.6",)}, outages=down("relay.example")),
)
MINE = {"selectors": ("k",)}
DKIM = (
    Case("dns.dkim.published", "warn"),
    Case("dns.dkim.published", "fail", known={"sends": True}),
    Case("dns.dkim.published", "pass", record("v=spf1 -all")),  # nobody sends
    Case("dns.dkim.published", "unknown", f'k._domainkey TXT "p={KEY}"'),  # something is below; that is no proof
    Case("dns.dkim.published", "unknown", f'* TXT "v=DKIM1; p={KEY}"'),  # a zone that answers anything
    Case("dns.dkim.published", "unknown", outages=down(f"_domainkey.{NAME}")),
    Case("dns.dkim.published", "pass", f'k._domainkey TXT "p={KEY}"', known=MINE),
    Case("dns.dkim.published", "pass", "k._domainkey CNAME k.relay.example.", relay=f'k TXT "p={KEY}"', known=MINE),
    Case("dns.dkim.published", "fail", "k._domainkey CNAME k.relay.example.", known=MINE),
    Case("dns.dkim.published", "fail", known=MINE),
    Case("dns.dkim.published", "unknown", known=MINE, outages=down(f"k._domainkey.{NAME}")),
    Case("dns.dkim.single", "pass", f'k._domainkey TXT "p={KEY}"', known=MINE),
    Case("dns.dkim.single", "fail", f'k._domainkey TXT "p={KEY}"\nk._domainkey TXT "p="', known=MINE),
    Case("dns.dkim.syntax", "pass", f'k._domainkey TXT "p={KEY}"', known=MINE),  # Resend's has no v=
    Case("dns.dkim.syntax", "pass", f'k._domainkey TXT "v=DKIM1; k=rsa; p={KEY}"', known=MINE),
    Case("dns.dkim.syntax", "fail", f'k._domainkey TXT "v=DKIM2; p={KEY}"', known=MINE),
    Case("dns.dkim.syntax", "fail", 'k._domainkey TXT "k=rsa"', known=MINE),
    Case("dns.dkim.key", "warn", f'k._domainkey TXT "p={KEY}"', known=MINE),
    Case(
        "dns.dkim.key",
        "pass",
        'k._domainkey TXT "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="',
        known=MINE,
    ),
    Case("dns.dkim.key", "fail", 'k._domainkey TXT "v=DKIM1; p="', known=MINE),
    Case("dns.dkim.key", "fail", f'k._domainkey TXT "p={KEY[:100]}"', known=MINE),  # cut short
    Case("dns.dkim.key", "fail", f'k._domainkey TXT "s=tlsrpt; p={KEY}"', known=MINE),
    Case("dns.dkim.key", "fail", f'k._domainkey TXT "h=sha1; p={KEY}"', known=MINE),
    Case("dns.dkim.key", "fail", f'k._domainkey TXT "k=dsa; p={KEY}"', known=MINE),
    Case("dns.dkim.testing", "pass", f'k._domainkey TXT "p={KEY}"', known=MINE),
    Case("dns.dkim.testing", "warn", f'k._domainkey TXT "t=y; p={KEY}"', known=MINE),
)


def asking(*texts: str) -> str:
    return "\n".join(["-_dmarc", *(f'_dmarc TXT "{text}"' for text in texts)])


RUA = "rua=mailto:dmarc@lantern.example"
BLOG = {"domain": f"blog.{NAME}"}
DMARC = (
    Case("dns.dmarc.record", "pass"),
    Case("dns.dmarc.record", "pass", "blog A 5.2.9.9", known=BLOG),  # inherited
    Case("dns.dmarc.record", "warn", "-_dmarc"),
    Case("dns.dmarc.record", "fail", "-_dmarc", known={"sends": True}),
    Case("dns.dmarc.record", "fail", asking("v=DMARC1; p=none", "v=DMARC1; p=reject")),
    Case("dns.dmarc.record", "unknown", outages=down(f"_dmarc.{NAME}")),
    Case("dns.dmarc.single", "pass"),
    Case("dns.dmarc.single", "fail", asking("v=DMARC1; p=none", "v=DMARC1; p=reject")),
    Case("dns.dmarc.syntax", "pass"),
    Case("dns.dmarc.syntax", "fail", asking("v=DMARC1; p=rejct")),
    Case("dns.dmarc.syntax", "fail", asking("v=DMARC1 p=reject")),
    Case("dns.dmarc.syntax", "pass", asking(f"v=DMARC1; p=reject; xyz=1; {RUA}")),
    Case("dns.dmarc.policy", "pass"),
    Case("dns.dmarc.policy", "warn", asking(f"v=DMARC1; p=none; {RUA}")),
    Case("dns.dmarc.policy", "warn", asking("v=DMARC1; p=none")),
    Case("dns.dmarc.policy", "warn", asking(f"v=DMARC1; p=reject; t=y; {RUA}")),
    Case("dns.dmarc.subdomains", "pass"),
    Case("dns.dmarc.subdomains", "warn", asking(f"v=DMARC1; p=reject; sp=none; {RUA}")),
    Case("dns.dmarc.subdomains", "warn", asking(f"v=DMARC1; p=reject; np=quarantine; {RUA}")),
    Case("dns.dmarc.reports", "pass"),
    Case("dns.dmarc.reports", "warn", asking("v=DMARC1; p=reject")),
    Case("dns.dmarc.reports", "pass", asking("v=DMARC1; p=reject") + '\n@ TXT "v=spf1 -all"'),
    Case("dns.dmarc.reports", "fail", asking("v=DMARC1; p=reject; rua=dmarc@lantern.example")),
    Case("dns.dmarc.authorised", ""),
    Case("dns.dmarc.authorised", "warn", asking("v=DMARC1; p=reject; rua=mailto:d@relay.example")),
    Case(
        "dns.dmarc.authorised",
        "pass",
        asking("v=DMARC1; p=reject; rua=mailto:d@relay.example"),
        relay='lantern.example._report._dmarc TXT "v=DMARC1"',
    ),
    Case(
        "dns.dmarc.authorised",
        "unknown",
        asking("v=DMARC1; p=reject; rua=mailto:d@relay.example"),
        outages=down("lantern.example._report._dmarc.relay.example"),
    ),
    Case("dns.dmarc.rfcs", "pass"),
    Case("dns.dmarc.rfcs", "warn", asking(f"v=DMARC1; p=reject; t=y; {RUA}")),
    Case("dns.dmarc.rfcs", "unknown", outages=down(f"_dmarc.{NAME}")),
    Case("dns.dmarc.retired", "pass"),
    Case("dns.dmarc.retired", "pass", asking(f"v=DMARC1; p=reject; pct=100; ri=86400; {RUA}")),
    Case("dns.dmarc.retired", "warn", asking(f"v=DMARC1; p=reject; pct=25; {RUA}")),
)
CHECKS = {spf.checks: SPF, dkim.checks: DKIM, dmarc.checks: DMARC}
CASES = [(checks, case) for checks, table in CHECKS.items() for case in table]


@pytest.mark.parametrize(("checks", "case"), CASES, ids=named)
def test_senders(checks: object, case: Case) -> None:
    assert_told(rows(checks, case), case)


def test_hostile_records_cost_bounded_questions() -> None:
    """Hundreds of hosts, terms and destinations in one zone."""
    many = range(300)
    lines = [f"@ MX 10 h{n}" for n in many] + [f"@ NS n{n}" for n in many]
    lines.append("@ TXT " + " ".join(['"v=spf1 "', *(f'"include:i{n} a:b{n} mx:c{n} "' for n in many), '"-all"']))
    lines += [f'i{n} TXT "v=spf1 include:i{n + 1}.lantern.example include:i{n + 2}.lantern.example -all"' for n in many]
    lines.append("_dmarc TXT " + " ".join(['"v=DMARC1; p=none; rua="', *(f'"mailto:a@x{n}.example,"' for n in many)]))
    hostile = stub(Case("", "", "\n".join(lines)))
    zone.together([audit.domain(hostile, audit.Subject(NAME))])
    assert hostile.asked < 400


def blocking(found: list[Check]) -> list[str]:
    return [row.name for row in found if row.blocks]


def test_not_knowing_stops_only_where_mail_depends_on_it() -> None:
    silent = down(NAME, f"k._domainkey.{NAME}", f"_domainkey.{NAME}")
    assert blocking(rows(spf.checks, Case("", "", outages=silent))) == []
    assert blocking(rows(dkim.checks, Case("", "", outages=silent))) == []
    sending = Case("", "", known={"sends": True, "selectors": ("k",)}, outages=silent)
    assert blocking(rows(spf.checks, sending)) == [f"dns.spf.record {NAME}"]
    assert blocking(rows(dkim.checks, sending)) == [f"dns.dkim.published k._domainkey.{NAME}"]


def test_spf_is_judged_where_mail_from_is() -> None:
    case = Case("", "", 'send TXT "v=spf1 include:relay.example ~all"', known=SEND)
    assert {row.name.split()[1] for row in rows(spf.checks, case)} == {NAME, f"send.{NAME}"}
