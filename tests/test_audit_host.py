"""The audit of a mail host and of blocklists, with the traps that others fall into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from audits import FIRST, RESOLVER, down, worst

from runbooklib import zone
from runbooklib.audit import Machine, Subject, addresses, blocklists, domain, host, mailhost

HEAD = "@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns.lantern.example.\n"
LISTS = ("zen.example",)
ALIVE = "2.0.0.127 60 A 127.0.0.2\n"
FORWARD = 'mail 60 A 5.2.10.10\nmail 60 AAAA 2a0e:b100::10\nmail 60 TXT "v=spf1 a -all"\n'
REVERSE = "10.10 60 PTR mail.lantern.example.\n"
SIX = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.b.e.0.a.2.ip6.arpa"
OWN = Machine("mail.lantern.example", ("5.2.10.10",), sends=True, blocklists=LISTS, domain_blocklists=())


def world(
    forward: str = FORWARD,
    reverse: str = REVERSE,
    lists: str = ALIVE,
    domains: str = "test 60 A 127.0.1.2\n",
    outages: Mapping[tuple[str, str], Any] | None = None,
    six: str = "@ 60 PTR mail.lantern.example.\n",
) -> zone.Literal:
    zones = {
        "lantern.example": f"{HEAD}ns 60 A {FIRST}\n{forward}",
        "2.5.in-addr.arpa": HEAD + reverse,
        SIX: HEAD + six,
        "zen.example": HEAD + lists,
        "dbl.example": HEAD + domains,
    }
    return zone.Literal({FIRST: zones}, resolvers={RESOLVER}, outages=outages or {})


def audited(machine: Machine = OWN, **bent: Any) -> dict[str, str]:
    """The worst row of each id."""
    found = tuple(zone.together([host(zone.Stub(world(**bent), [RESOLVER]), machine)])[0])
    for row in found:
        assert row.observed
        assert bool(row.fix) is (row.status != "pass"), row
    return {row.name.split()[0]: worst(found, row.name.split()[0]) for row in found}


def relayed(**more: Any) -> Machine:
    return Machine("mail.lantern.example", ("5.2.10.10",), blocklists=LISTS, domain_blocklists=(), **more)


GONE = "ns2 60 A 5.2.1.2\n"
HOST = [  # id, when the host sends itself, when it does not, and what is bent
    ("dns.host.address", "pass", "pass", {}),
    ("dns.host.address", "fail", "fail", {"forward": GONE}),
    ("dns.host.address", "fail", "fail", {"forward": "mail 60 A 104.16.1.1\n"}),
    ("dns.host.address", "fail", "fail", {"forward": "mail 60 A 5.2.10.10\nmail 60 A 5.2.10.99\n"}),
    ("dns.host.address", "fail", "fail", {"forward": "mail 60 CNAME www\nwww 60 A 5.2.10.10\n"}),
    ("dns.host.address", "fail", "fail", {"forward": "mail 60 A 127.0.1.1\n"}),
    ("dns.host.address", "unknown", "unknown", {"outages": down("mail.lantern.example")}),
    ("dns.host.spf", "pass", "pass", {"forward": FORWARD.replace("2a0e:b100::10", "2a0e:b100::11")}),
    ("dns.host.spf", "warn", "pass", {"forward": "mail 60 A 5.2.10.10\n"}),
    ("dns.host.spf", "fail", "pass", {"forward": 'mail 60 A 5.2.10.10\nmail 60 TXT "v=spf1 -all"\n'}),
    ("dns.host.spf", "unknown", "pass", {"outages": down("mail.lantern.example")}),
    ("dns.ptr", "pass", "pass", {}),
    ("dns.ptr", "fail", "warn", {"reverse": ""}),
    ("dns.ptr", "unknown", "unknown", {"outages": down("10.10.2.5.in-addr.arpa")}),
    ("dns.ptr.confirmed", "pass", "pass", {}),
    ("dns.ptr.confirmed", "fail", "warn", {"reverse": "10.10 60 PTR ns.lantern.example.\n"}),
    ("dns.ptr.confirmed", "unknown", "unknown", {"outages": down("mail.lantern.example")}),
    ("dns.ptr.host", "pass", "pass", {}),
    ("dns.ptr.host", "fail", "warn", {"reverse": "10.10 60 PTR www.lantern.example.\n"}),
    ("dns.ptr.generic", "pass", "pass", {}),
    ("dns.ptr.generic", "warn", "warn", {"reverse": "10.10 60 PTR static.10.10.2.5.provider.example.\n"}),
    ("dns.dnsbl", "pass", "pass", {}),
    ("dns.dnsbl", "fail", "warn", {"lists": f"{ALIVE}10.10.2.5 60 A 127.0.0.4\n"}),
    ("dns.dnsbl", "unknown", "unknown", {"outages": down("10.10.2.5.zen.example")}),
    ("dns.dnsbl.health", "pass", "pass", {}),
    ("dns.dnsbl.health", "warn", "warn", {"lists": ""}),
    ("dns.dnsbl.health", "warn", "warn", {"lists": "2.0.0.127 60 A 127.0.0.2\n1.0.0.127 60 A 127.0.0.2\n"}),
    ("dns.dnsbl.health", "unknown", "unknown", {"outages": down("2.0.0.127.zen.example")}),
]


@pytest.mark.parametrize(("id_", "sending", "behind", "bent"), HOST)
def test_host(id_: str, sending: str, behind: str, bent: dict[str, Any]) -> None:
    four = {**bent, "forward": bent.get("forward", FORWARD).replace("mail 60 AAAA 2a0e:b100::10\n", "")}
    assert audited(**four)[id_] == sending
    assert audited(relayed(), **four)[id_] == behind


def test_a_host_behind_a_relay_over_ipv4_alone_is_all_green() -> None:
    said = audited(relayed(), forward="mail 60 A 5.2.10.10\n")
    assert set(said.values()) == {"pass"}


def test_both_families_are_confirmed() -> None:
    both = Machine(
        "mail.lantern.example", ("5.2.10.10", "2a0e:b100::10"), sends=True, blocklists=(), domain_blocklists=()
    )
    assert set(audited(both).values()) == {"pass"}
    assert audited(both, six="")["dns.ptr"] == "fail"
    assert audited(both, forward="mail 60 A 5.2.10.10\n")["dns.ptr.confirmed"] == "fail"
    assert audited(both, forward="mail 60 A 5.2.10.10\n")["dns.host.address"] == "warn"


def test_a_resolver_that_repeats_its_hosts_file_proves_nothing() -> None:
    lying = world(forward="mail 60 A 5.2.10.10\n")
    servers = {**lying.servers, RESOLVER: {"mail.lantern.example": f"{HEAD}@ 60 A 127.0.1.1\n"}}
    stub = zone.Stub(zone.Literal(servers, resolvers={RESOLVER}), [RESOLVER])
    found = zone.together([mailhost.checks(stub, OWN)])[0]
    assert worst(found, "dns.host.address") == worst(found, "dns.ptr.confirmed") == "unknown"


@pytest.mark.parametrize("code", ["127.255.255.252", "127.255.255.254", "127.255.255.255"])
def test_spamhaus_error_codes_are_no_listing(code: str) -> None:
    said = audited(lists=f"* 60 A {code}\n")
    assert said["dns.dnsbl"] == said["dns.dnsbl.health"] == "unknown"


def test_an_answer_outside_the_loopback_network_is_no_listing() -> None:
    """A list that was given up, or a resolver that invents answers."""
    said = audited(lists="* 60 A 5.2.99.80\n")
    assert said["dns.dnsbl"] == said["dns.dnsbl.health"] == "unknown"


@pytest.mark.parametrize("lists", ["10.10.2.5 60 A 127.0.0.2\n", "1.0.0.127 60 A 127.0.0.2\n* 60 A 127.0.0.2\n"])
def test_a_dead_list_proves_nothing(lists: str) -> None:
    assert audited(lists=lists)["dns.dnsbl"] == "unknown"


def test_a_list_that_holds_no_ipv6_is_not_asked_for_it() -> None:
    six = Machine("mail.lantern.example", ("2a0e:b100::10",), blocklists=LISTS, domain_blocklists=())
    assert "dns.dnsbl" not in audited(six)
    entry = f"{blocklists.reversed_name('::ffff:7f00:2', '')[:-1]} 60 A 127.0.0.2\n"
    assert audited(six, lists=ALIVE + entry)["dns.dnsbl"] == "pass"
    held = f"{blocklists.reversed_name('2a0e:b100::10', '')[:-1]} 60 A 127.0.0.3\n"
    assert audited(six, lists=ALIVE + entry + held)["dns.dnsbl"] == "warn"


DOMAINS = [
    ("dns.dnsbl.domain", "pass", "test 60 A 127.0.1.2\n"),
    ("dns.dnsbl.domain", "fail", "test 60 A 127.0.1.2\nmail.lantern.example 60 A 127.0.1.2\n"),
    ("dns.dnsbl.domain", "unknown", "mail.lantern.example 60 A 127.0.1.255\n"),
    ("dns.dnsbl.domain", "unknown", ""),
]


@pytest.mark.parametrize(("id_", "status", "domains"), DOMAINS)
def test_a_list_of_domains(id_: str, status: str, domains: str) -> None:
    machine = Machine(OWN.hostname, OWN.addresses, sends=True, blocklists=(), domain_blocklists=("dbl.example",))
    assert audited(machine, domains=domains)[id_] == status


def test_a_mail_domain_is_looked_up_where_lists_are_named() -> None:
    listed = world(domains="test 60 A 127.0.1.2\nlantern.example 60 A 127.0.1.4\n")
    subject = Subject("lantern.example", blocklists=("dbl.example",))
    found = zone.together([domain(zone.Stub(listed, [RESOLVER]), subject)])[0]
    assert worst(tuple(found), "dns.dnsbl.domain") == "fail"


NUMBERED = [
    ("mail.lantern.example", "5.2.10.10", False),
    ("mx10.lantern.example", "5.2.10.10", False),
    ("static.10.10.2.5.clients.provider.example", "5.2.10.10", True),
    ("ip-5-2-10-10.provider.example", "5.2.10.10", True),
    ("005002010010.provider.example", "5.2.10.10", True),
    ("05020a0a.provider.example", "5.2.10.10", True),
    ("a.dyn.provider.example", "5.2.10.10", True),
    ("dynamo.lantern.example", "5.2.10.10", False),
    ("2a0e-b100-0000-0000-0000-0000-0000-0010.provider.example", "2a0e:b100::10", True),
    ("mail6.lantern.example", "2a0e:b100::10", False),
]


@pytest.mark.parametrize(("name", "address", "expected"), NUMBERED)
def test_numbered_names(name: str, address: str, *, expected: bool) -> None:
    assert addresses.numbered(name, address) is expected


REACH = [
    ("5.2.10.10", False),
    ("100.64.1.1", True),
    ("169.254.1.1", True),
    ("203.0.113.10", True),
    ("198.18.0.1", True),
    ("2a0e:b100::10", False),
    ("fc00::1", True),
    ("::ffff:5.2.10.10", True),
]


@pytest.mark.parametrize(("address", "expected"), REACH)
def test_what_the_world_cannot_reach(address: str, *, expected: bool) -> None:
    assert addresses.unreachable(address) is expected


def test_the_testbeds_addresses_count_as_public_there_only() -> None:
    assert not addresses.unreachable("198.18.0.1", rehearsed=True)
    assert not addresses.unreachable("2001:db8::1", rehearsed=True)
    assert addresses.unreachable("10.0.0.1", rehearsed=True)
