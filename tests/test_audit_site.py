"""The audit of a site: what params know, and what the stage judges itself."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sites
from audits import FIRST, KEY, RESOLVER

from runbooklib import audit, zone
from runbooklib.audit.sites import REPEATED
from runbooklib.records import RecordChange
from runbooklib.results import Change, Check, Plan, Status

SOA = "@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\n"
OWN = f"""{SOA}ns 60 A {FIRST}
@ 60 NS ns2
ns2 60 A 5.2.1.2
@ 60 MX 10 mail
@ 60 TXT "v=spf1 include:spf.example.net -all"
mail 60 A 203.0.113.10
mail._domainkey 60 TXT "v=DKIM1; p={KEY}"
_dmarc 60 TXT "v=DMARC1; p=none; rua=mailto:dmarc@lantern.example"
"""
RELAY = f'{SOA}ns 60 A {FIRST}\nspf 60 TXT "v=spf1 ip4:5.2.20.0/24 -all"\n'
LIST = f"{SOA}ns 60 A {FIRST}\n2.0.0.127 60 A 127.0.0.2\ntest 60 A 127.0.0.2\n"
DNS = {"resolvers": [RESOLVER], "blocklists": ["zen.example"], "domain_blocklists": ["dbl.example"]}


def world(own: str = OWN) -> zone.Literal:
    zones = {"lantern.example": own, "example.net": RELAY, "zen.example": LIST, "dbl.example": LIST}
    return zone.Literal({FIRST: zones, "5.2.1.2": {"lantern.example": own}}, resolvers={RESOLVER})


def looked(own: str = OWN, plan: Plan | None = None) -> dict[str, Check]:
    return {row.name: row for row in audit.site(sites.make(dns=DNS), world(own), plan)}


def test_who_may_send_is_told_term_by_term_with_its_cost() -> None:
    shown = audit.senders(sites.make(dns=DNS), world())
    assert [row[:3] for row in shown.rows] == [
        ("lantern.example", "", "1 of 10"),
        ("", "include:spf.example.net", "1"),
        ("", "-all", "0"),
    ]
    assert "whoever passes spf.example.net" in shown.rows[1][3]
    assert "receivers may refuse mail from any other address outright" in shown.rows[2][3]


def test_what_is_included_stands_below_and_what_is_wrong_above() -> None:
    deeper = world(OWN.replace("include:spf.example.net", "include:lantern.example include:a.example.net"))
    head, *rows = audit.senders(sites.make(dns=DNS), deeper).rows
    assert "include:lantern.example" in head[3]
    assert [row[1] for row in rows] == ["include:lantern.example", "include:a.example.net", "-all"]
    none = audit.senders(sites.make(dns=DNS), world(OWN.replace("v=spf1", "v=spf2")))
    assert none.rows == (("lantern.example", "", "0 of 10", "no SPF record"),)


def test_what_the_stage_judges_is_left_out() -> None:
    found = looked()
    assert not {name.split()[0] for name in found} & REPEATED
    assert {"dns.dkim.key mail._domainkey.lantern.example", "dns.dnsbl 203.0.113.10 zen.example"} <= set(found)
    assert not [row.advice() for row in found.values() if row.blocks and "203.0.113" not in row.observed]


def test_what_is_left_out_is_in_the_catalogue() -> None:
    assert set(audit.CATALOGUE) >= REPEATED


def test_what_nobody_else_sees_is_said() -> None:
    broken = looked(OWN.replace("include:spf.example.net", "include:gone.example.net"))
    assert broken["dns.spf.targets lantern.example"].status is Status.FAIL


def test_what_the_plan_changes_is_pending() -> None:
    cut = OWN.replace(KEY, KEY[:90])
    name = "dns.dkim.syntax mail._domainkey.lantern.example"
    assert looked(cut)[name].status is Status.FAIL
    change = Change(1, "mail._domainkey.lantern.example TXT", "", "", "")
    assert looked(cut, Plan("DNS", (change,)))[name].status is Status.PENDING
    other = Change(1, "lantern.example TXT", "", "", "")
    assert looked(cut, Plan("DNS", (other,)))[name].status is Status.FAIL


DEAR = f"v=spf1 {' '.join(f'include:{i}.example.net' for i in range(11))} -all"
PUBLISHED = OWN.replace("v=spf1 include:spf.example.net -all", DEAR)


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [(PUBLISHED, PUBLISHED, Status.FAIL), (PUBLISHED, OWN, Status.PENDING), (OWN, OWN, Status.PASS)],
)
def test_what_every_server_shows_as_planned_is_judged_as_it_is(first: str, second: str, status: Status) -> None:
    change = RecordChange(
        1, "lantern.example TXT", "", "", "", name="lantern.example", type="TXT", zone="lantern.example", added=(DEAR,)
    )
    wire = world(first)
    wire = replace(wire, servers={**wire.servers, "5.2.1.2": {"lantern.example": second}})
    here = sites.make(dns=DNS | {"authoritative": [FIRST, "5.2.1.2"]})
    rows = audit.site(here, wire, Plan("DNS", (change,)))
    assert rows["dns.spf.lookup-limit lantern.example"].status is status


def test_params_name_selectors_return_paths_and_senders() -> None:
    resend = {"provider": "resend", "password": "env:R"}
    site = sites.make(relays={"office": resend}, dns=DNS)
    (subject,) = audit.subjects(site)
    assert subject.selectors == ("mail", "resend")
    assert subject.return_paths == ("send.lantern.example",)
    assert (subject.senders, subject.sends, subject.host) == ((), True, "mail.lantern.example")
    assert subject.blocklists == ("dbl.example",)
    assert audit.machine(site).sends is False


def test_a_direct_domain_sends_from_the_servers_addresses() -> None:
    site = sites.make(domains__0__relay="direct", relays={}, server__ipv6="2a0e:b100::10")
    (subject,) = audit.subjects(site)
    assert subject.senders == audit.machine(site).addresses == ("203.0.113.10", "2a0e:b100::10")
    assert audit.machine(site).sends is True


@pytest.mark.parametrize(("address", "rehearsed"), [("203.0.113.10", False), ("198.18.5.10", True)])
def test_only_a_rehearsal_takes_the_testbeds_addresses_for_public(address: str, *, rehearsed: bool) -> None:
    site = sites.make(server__ipv4=address)
    assert audit.subjects(site)[0].rehearsed is audit.machine(site).rehearsed is rehearsed
