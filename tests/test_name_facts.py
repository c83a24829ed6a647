"""DNS facts from one look at a literal internet: each outage, wrong record and stale copy ends in the one cause."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sites

from runbooklib.answers import Word
from runbooklib.diagnosis import Evidence, Fact, findings
from runbooklib.endpoint import ResolverError
from runbooklib.params import Site
from runbooklib.probes import gathering, names
from runbooklib.zone import Literal

TOP, NS1, NS2, OTHERS, RESOLVER, SECOND = (f"192.0.2.{n}" for n in (250, 1, 2, 3, 53, 54))
PARENT = f"""@ 60 SOA a.nic h 1 2 3 4 60
@ 60 NS a.nic
a.nic 60 A {TOP}
lantern 60 NS ns1.lantern
lantern 60 NS ns2.lantern
ns1.lantern 60 A {NS1}
ns2.lantern 60 A {NS2}
"""
HEAD = f"@ 60 SOA ns1 h 7 3600 600 86400 60\n@ 60 NS ns1\n@ 60 NS ns2\nns1 60 A {NS1}\nns2 60 A {NS2}\n"
MX = "@ 300 MX 10 mail.lantern.example.\n"
RECORDS = f"""mail 300 A 203.0.113.10
{MX}@ 300 TXT "v=spf1 include:spf.example.net ~all"
_dmarc 300 TXT "v=DMARC1; p=none"
mail._domainkey 300 TXT "v=DKIM1; k=rsa; p=MIIBIjAN"
"""
NET = '@ 60 SOA ns h 1 2 3 4 60\n@ 60 NS ns\nns 60 A 192.0.2.3\nspf 60 TXT "v=spf1 ip4:198.51.100.0/24 -all"\n'
NET += "".join(f"n{n} 60 A 198.51.100.{n}\n" for n in range(10))
MANY = " ".join(f"a:n{n}.example.net" for n in range(10))
REVERSE = "@ 60 SOA ns.example.net. h 1 2 3 4 60\n@ 60 NS ns.example.net.\n10 60 PTR mail.lantern.example.\n"


def site(**dns: Any) -> Site:
    return sites.make(dns={"resolvers": [RESOLVER, SECOND], **dns})


def world(zone: str = HEAD + RECORDS, second: str = "", outages: Any = None, reverse: str = REVERSE) -> Literal:
    """A delegation to two servers, the relay's zone and the address's on a third, and two resolvers."""
    held = {NS1: {"lantern.example": zone}, NS2: {"lantern.example": second or zone}}
    others = {"example.net": NET, "113.0.203.in-addr.arpa": reverse}
    return Literal({TOP: {"example": PARENT}, **held, OTHERS: others}, {RESOLVER, SECOND}, outages or {})


def remembering(records: str) -> Literal:
    """A world in which one resolver holds other records than the zone's servers."""
    wire = world()
    return replace(wire, servers={**wire.servers, SECOND: {"lantern.example": HEAD + records}})


def evidence(wire: Literal, here: Site | None = None) -> Evidence:
    here = here or site()
    return Evidence(gathering.expectations(here), {name: _fact(probe) for name, probe in names.probes(here, wire)})


def _fact(probe: Any) -> Fact:
    try:
        return Fact(probe())
    except ResolverError as error:
        return Fact(unseen=str(error))


def without(record: str) -> str:
    return HEAD + RECORDS.replace(record, "")


def outage(word: Word, *servers: str, name: str = "*") -> dict[tuple[str, str], Word]:
    return {(server, name): word for server in servers}


CAUSES: list[tuple[str, Literal, list[str]]] = [
    ("nothing", world(), []),
    ("no MX", world(without(MX)), ["mx-missing"]),
    ("null MX", world(without(MX) + "@ 300 MX 0 .\n"), ["mx-null"]),
    ("alias", world(without(MX) + "@ 300 MX 10 mx\nmx 300 CNAME mail\n"), ["mx-cname"]),
    ("relay", world(without(MX) + "@ 300 MX 10 smtp.example.net.\n"), ["mx-at-relay"]),
    ("elsewhere", world(HEAD + RECORDS + "@ 300 MX 20 gone\n"), ["mx-elsewhere"]),
    ("address", world(HEAD + RECORDS.replace("113.10", "113.66")), ["address-differs"]),
    ("no address", world(without("mail 300 A 203.0.113.10\n")), ["address-missing"]),
    ("many lookups", world(HEAD + RECORDS.replace("~all", f"{MANY} ~all")), ["spf-lookups"]),
    ("two SPF", world(HEAD + RECORDS + '@ 300 TXT "v=spf1 -all"\n'), ["spf-twice"]),
    ("no relay", world(HEAD + RECORDS.replace("include:spf.example.net", "mx")), ["spf-without-relay"]),
    ("dead include", world(HEAD + RECORDS.replace("~all", "include:no.example.net ~all")), ["spf-invalid"]),
    ("no PTR", world(reverse=REVERSE.replace("10 60 PTR", "11 60 PTR")), ["ptr-missing"]),
    ("other PTR", world(reverse=REVERSE.replace("mail.lantern", "static.cloud")), ["ptr-mismatch"]),
    ("bogus", world(outages=outage(Word.BOGUS, NS1, NS2)), ["dnssec-bogus"]),
    ("lame", world(outages=outage(Word.LAME, NS1, NS2)), ["lame-delegation"]),
    ("one refuses", world(outages=outage(Word.REFUSED, NS2)), ["lame-delegation"]),
    ("servers silent", world(outages=outage(Word.TIMEOUT, NS1, NS2)), ["dns-server-silent"]),
    ("one silent", world(outages=outage(Word.TIMEOUT, NS2)), ["nameserver-silent"]),
    ("one fails", world(outages=outage(Word.SERVFAIL, NS1)), ["nameserver-silent"]),
    ("resolver silent", world(outages=outage(Word.TIMEOUT, RESOLVER)), ["resolver-silent"]),
    ("resolver fails", world(outages=outage(Word.SERVFAIL, SECOND, name="lantern.example")), ["resolver-fails"]),
    ("old copy", world(second=HEAD.replace(" 7 ", " 6 ") + RECORDS), ["serials-differ"]),
    ("stale MX", remembering(RECORDS.replace(MX, "@ 300 MX 10 old.lantern.example.\n")), ["stale-cache"]),
    ("other NS", world(HEAD + f"@ 60 NS ns3\nns3 60 A {NS2}\n" + RECORDS), ["delegation-differs"]),
]


@pytest.mark.parametrize(("wire", "causes"), [case[1:] for case in CAUSES], ids=[case[0] for case in CAUSES])
def test_what_is_wrong_is_found_and_nothing_else(wire: Literal, causes: list[str]) -> None:
    found = findings(evidence(wire))
    assert [finding.rule.id for finding in found] == causes, [sign.said for one in found for sign in one.signs]


def test_a_domain_that_is_not_registered_is_one_finding() -> None:
    wire = world()
    wire = replace(wire, servers={**wire.servers, TOP: {"example": PARENT.replace("lantern", "pier")}})
    assert [finding.rule.id for finding in findings(evidence(wire))] == ["domain-unregistered"]


def test_resolvers_are_not_asked_for_what_does_not_stand() -> None:
    wire = world(without(MX))
    evidence(wire)
    assert not [asked for asked in wire.log if asked[0] in {RESOLVER, SECOND} and asked[2] == "MX"]


def test_who_is_silent_is_asked_no_more() -> None:
    wire = world(outages=outage(Word.TIMEOUT, RESOLVER) | outage(Word.TIMEOUT, NS2))
    evidence(wire)
    assert {name for server, name, _ in wire.log if server in {RESOLVER, NS2}} <= {"lantern.example"}


def test_one_look_serves_all_facts() -> None:
    wire = world()
    evidence(wire)
    assert len(set(wire.log)) >= len(wire.log) - 4  # the zones' SOA records alone are asked for again


def test_a_look_that_breaks_is_not_taken_again_for_each_fact() -> None:
    asked = list[str]()

    class Broken:
        async def exchange(self, query: Any, server: str) -> Any:
            asked.append(f"{server} {query}")
            raise RuntimeError("nobody foresaw this")

    for _, probe in names.probes(site(), Broken()):
        with pytest.raises(RuntimeError, match="foresaw"):
            probe()
    assert len(asked) <= len(site().dns.resolvers)


def test_what_nobody_could_say_is_unseen_with_the_word_for_it() -> None:
    seen = evidence(world(outages=outage(Word.LAME, NS1, NS2)))
    assert seen["mx lantern.example"] is None
    assert "SERVFAIL" in seen.facts["mx lantern.example"].unseen


def test_an_old_answer_is_told_with_the_moment_of_its_end() -> None:
    seen = evidence(remembering(RECORDS.replace(MX, "@ 300 MX 10 old.lantern.example.\n")))
    (old,) = seen[f"recursor {SECOND}"]["old"]
    assert (old["type"], old["said"], old["stands"]) == ("MX", ["10 old.lantern.example"], ["10 mail.lantern.example"])
    assert old["until"].endswith("Z")
