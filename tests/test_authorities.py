"""Whose zone a name is in and who answers for it: delegations as they should be, and as parents get them wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sites

from runbooklib import records, relays, zone
from runbooklib.answers import Word, readable
from runbooklib.params import Site, load
from runbooklib.records import Observed
from runbooklib.results import Checklist, Status
from runbooklib.zone.observation import holders_of
from runbooklib.zone.resolvers import nameservers, resolvers

TOP, NS1, NS2, ELSEWHERE, RESOLVER = "192.0.2.250", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.53"
SOA = "@ 3600 SOA ns1.lantern.example. h 7 3600 600 86400 300\n"
PARENT = f"""@ 60 SOA a.nic h 1 2 3 4 60
@ 60 NS a.nic
a.nic 60 A {TOP}
lantern 60 NS ns1.lantern
lantern 60 NS ns2.lantern
ns1.lantern 60 A {NS1}
ns2.lantern 60 A {NS2}
pool 60 NS ns.pool
ns.pool 60 A {ELSEWHERE}
"""
CHILD = f"{SOA}@ 60 NS ns1\n@ 60 NS ns2\nns1 60 A {NS1}\nns2 60 A {NS2}\n"
POOL = {"pool.example": f"@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nns 60 A {ELSEWHERE}"}
SEND = '@ 60 SOA ns.pool.example. h 3 3600 600 86400 60\n@ 60 NS ns.pool.example.\n@ 60 TXT "v=spf1 ~all"\n'
RESEND = {"office": {"provider": "resend", "password": "env:X"}}


def site(**changes: Any) -> Site:
    return sites.make(**{"dns": {"resolvers": [RESOLVER]}, "relays": RESEND} | changes)


def world(parent: str = PARENT, child: str = CHILD, second: str = "", outages: Any = None) -> zone.Literal:
    """The top, two servers that hold lantern.example, a third for what is elsewhere."""
    held = {NS1: {"lantern.example": child}, NS2: {"lantern.example": second or child}}
    return zone.Literal({TOP: {"example": parent}, **held, ELSEWHERE: POOL}, {RESOLVER}, outages or {})


def preflight(wire: zone.Literal, **changes: Any) -> Checklist:
    return zone.preflight(site(**changes), wire)


def observed(wire: zone.Literal, **changes: Any) -> Observed:
    here = site(**changes)
    return zone.observe(here, records.desired(here, relays.records(here)), wire=wire)


def test_every_server_of_the_zone_is_asked() -> None:
    seen = observed(world())
    assert seen.zones == ("lantern.example",)
    assert {a.server for a in seen if not a.recursive} == {NS1, NS2}


def test_names_that_do_not_stand_yet_are_kept_from_resolvers() -> None:
    wire = world()
    observed(wire)
    asked = {name for server, name, _ in wire.log if server == RESOLVER and name.endswith("lantern.example")}
    assert asked == {"ns1.lantern.example", "ns2.lantern.example"}


def delegated(outages: Any = None) -> zone.Literal:
    """The return path is a zone of its own at another provider."""
    child = f"{CHILD}send 60 NS ns.pool.example.\n"
    wire = world(child=child, outages=outages)
    return replace(wire, servers={**wire.servers, ELSEWHERE: POOL | {"send.lantern.example": SEND}})


def test_records_below_a_cut_are_asked_at_its_own_servers_and_planned_into_its_zone() -> None:
    here = site()
    want = records.desired(here, relays.records(here))
    seen = zone.observe(here, want, wire=delegated())
    assert seen.zones == ("lantern.example", "send.lantern.example")
    below = [w for w in want if w.name == "send.lantern.example"]
    assert {w.type for w in below} == {"MX", "TXT"}
    assert {a.server for w in below for a in seen.at_authority(w)} == {ELSEWHERE}
    changes = {c.name: c.zone for c in records.diff(want, seen) if isinstance(c, records.RecordChange)}
    assert changes["send.lantern.example"] == "send.lantern.example"
    assert changes["lantern.example"] == "lantern.example"


@pytest.mark.parametrize(("word", "status"), [(Word.TIMEOUT, Status.UNKNOWN), (Word.LAME, Status.FAIL)])
def test_a_cut_to_servers_that_do_not_answer_is_seen_before_anything_changes(word: Word, status: Status) -> None:
    checks = preflight(delegated({(ELSEWHERE, "send.lantern.example"): word}))
    assert checks["dns.delegation lantern.example"].status is Status.PASS
    assert checks["dns.delegation send.lantern.example"].status is status


def test_a_cut_to_servers_without_the_zone_fails() -> None:
    found = preflight(world(child=f"{CHILD}send 60 NS ns.pool.example.\n"))["dns.delegation send.lantern.example"]
    assert found.status is Status.FAIL
    assert "ns.pool.example" in found.fix


def test_addresses_that_params_name_hold_what_they_hold() -> None:
    seen = observed(delegated(), dns={"resolvers": [RESOLVER], "authoritative": [NS1, ELSEWHERE]})
    servers = {(a.question.name, a.server) for a in seen if not a.recursive and a.question.type == "MX"}
    assert {("lantern.example", NS1), ("send.lantern.example", ELSEWHERE)} <= servers
    assert not {("lantern.example", ELSEWHERE), ("send.lantern.example", NS1)} & servers


def test_a_sound_delegation_passes() -> None:
    checks = preflight(world())
    assert checks.status is Status.PASS
    assert checks["dns.delegation.parent lantern.example"].observed == "ns1.lantern.example, ns2.lantern.example"


def test_a_server_that_only_the_parent_names_and_that_is_lame() -> None:
    checks = preflight(world(PARENT + "lantern 60 NS ns.pool\n"))
    assert checks["dns.delegation.parent lantern.example"].status is Status.WARN
    assert "ns.pool.example is named only above" in checks["dns.delegation.parent lantern.example"].observed
    assert checks["dns.authoritative lantern.example"].status is Status.WARN  # it refuses, whatever that means
    assert ELSEWHERE in checks["dns.authoritative lantern.example"].fix


def test_a_server_that_only_the_zone_names() -> None:
    found = preflight(world(PARENT.replace("lantern 60 NS ns2.lantern\n", "")))["dns.delegation.parent lantern.example"]
    assert found.status is Status.WARN
    assert "ns2.lantern.example is named only in the zone" in found.observed


def test_glue_that_differs() -> None:
    moved = PARENT.replace(f"ns2.lantern 60 A {NS2}", "ns2.lantern 60 A 192.0.2.99")
    checks = preflight(world(moved))
    found = checks["dns.delegation.parent lantern.example"]
    assert (found.status, found.observed) == (Status.WARN, f"ns2.lantern.example is {NS2}, glue says 192.0.2.99")
    assert "glue" in found.fix
    assert checks["dns.authoritative lantern.example"].status is Status.WARN  # nobody answers at the old address


def test_a_lame_server_named_first_hides_nothing() -> None:
    wire = world(outages={(NS1, "*"): Word.REFUSED})
    assert holders_of(site(), wire)["lantern.example"].zone == "lantern.example"
    assert {a.server for a in observed(wire) if a.heard and not a.recursive} == {NS2}


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.UNREACHABLE, Word.SERVFAIL])
def test_where_no_server_answers_nobody_can_tell(word: Word) -> None:
    checks = preflight(world(outages={(NS1, "*"): word, (NS2, "*"): word}))
    assert checks["dns.delegation lantern.example"].status is Status.UNKNOWN


def test_one_of_two_stale_is_named() -> None:
    found = preflight(world(second=CHILD.replace(" 7 ", " 6 ")))["dns.authoritative lantern.example"]
    assert (found.status, found.fix.split(":")[0]) == (Status.WARN, NS2)


def test_a_machine_without_ipv6_does_not_blame_the_nameservers() -> None:
    six = CHILD + "ns1 60 AAAA 2001:db8::1\n"
    assert preflight(world(child=six))["dns.authoritative lantern.example"].status is Status.PASS


def test_a_mail_domain_that_is_an_alias_has_a_zone_all_the_same() -> None:
    child = f"{CHILD}blog 60 CNAME www.pool.example.\n"
    assert holders_of(of_blog(), world(child=child))["blog.lantern.example"].zone == "lantern.example"


def of_blog() -> Site:
    """The site with a mail domain inside a larger zone."""
    blog = site().domains[0].model_copy(update={"name": "blog.lantern.example"})
    return site().model_copy(update={"domains": (blog,)})


def test_a_mail_domain_inside_a_larger_zone_is_that_zones() -> None:
    found = holders_of(of_blog(), world())["blog.lantern.example"]
    assert (found.zone, found.servers) == ("lantern.example", (NS1, NS2))


@pytest.mark.parametrize("hostname", ["lantern.example", "mail.lantern.example"])
def test_a_host_outside_the_mail_domains_has_its_own_zone(hostname: str) -> None:
    shop = site().domains[0].model_copy(update={"name": "send.pool.example"})
    server = site().server.model_copy(update={"hostname": hostname})
    here = site().model_copy(update={"domains": (shop,), "server": server})
    assert holders_of(here, world())[hostname].zone == "lantern.example"
    found = zone.preflight(here, world())
    assert found["dns.delegation lantern.example"].status is Status.PASS
    assert not [c for c in found if c.name == "dns.delegation example"]


def test_a_name_below_a_public_suffix_that_nobody_registered_has_no_zone() -> None:
    suffix = "@ 60 SOA a.nic.uk. h 1 2 3 4 60\n@ 60 NS a.nic.uk."
    top = f"@ 60 SOA a.nic h 1 2 3 4 60\n@ 60 NS a.nic\na.nic 60 A {TOP}"
    wire = zone.Literal({TOP: {"uk": top, "co.uk": suffix}}, {RESOLVER})
    domain = site().domains[0].model_copy(update={"name": "lantern.co.uk"})
    here = site().model_copy(update={"domains": (domain,)})
    assert not holders_of(here, wire)["lantern.co.uk"].zone
    assert zone.preflight(here, wire)["dns.delegation lantern.co.uk"].status is Status.FAIL


def test_one_resolver_that_sees_another_zone_is_a_warning_and_all_of_them_a_failure() -> None:
    other = {"lantern.example": CHILD.replace("SOA ns1", "SOA internal")}
    wire = zone.Literal({**world().servers, "192.0.2.54": other}, {RESOLVER, "192.0.2.54"})
    both = preflight(wire, dns={"resolvers": [RESOLVER, "192.0.2.54"]})["dns.delegation lantern.example"]
    assert both.status is Status.WARN
    assert "192.0.2.54" in both.fix
    alone = preflight(wire, dns={"resolvers": ["192.0.2.54"], "authoritative": [NS1]})["dns.delegation lantern.example"]
    assert alone.status is Status.FAIL


def test_bogus_is_a_fault_with_its_own_advice() -> None:
    found = preflight(world(outages={(NS1, "lantern.example"): Word.BOGUS}))["dns.delegation lantern.example"]
    assert found.status is Status.FAIL
    assert "DS record" in found.fix


def test_international_names_are_shown_in_both_forms() -> None:
    assert readable("mail.xn--bcher-kva.example") == "mail.xn--bcher-kva.example (mail.bücher.example)"
    assert readable("mail.lantern.example") == "mail.lantern.example"
    assert readable("xn--\x00.example") == "xn--\x00.example"


ROOT = Path(__file__).parents[1]
RESOLV = "# ours\nnameserver 192.0.2.77\nnameserver fe80::1%eth0\nnameserver\noptions edns0\nnameserver 9.9.9.9\n"


def test_the_systems_resolver_is_asked_where_params_name_none(tmp_path: Path) -> None:
    system = tmp_path / "resolv.conf"
    system.write_text(RESOLV)
    assert resolvers(sites.make(), system) == ("9.9.9.9", "1.1.1.1", "8.8.8.8", "192.0.2.77")
    assert resolvers(site(), system) == (RESOLVER,)
    assert nameservers(tmp_path / "missing") == ()


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("example-*.yaml")), ids=lambda p: p.stem)
def test_who_begins_with_an_example_asks_three_public_resolvers_and_the_systems(path: Path, tmp_path: Path) -> None:
    system = tmp_path / "resolv.conf"
    system.write_text(RESOLV)
    asked = resolvers(load(str(path)), system)
    assert "192.0.2.77" in asked
    assert len(asked) > 3
