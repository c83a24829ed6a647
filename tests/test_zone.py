"""Asking, finding the zone and publishing: zone literals, and a real server on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dns.tsig
import pytest
import sites
from nameserver import Nameserver

from runbooklib import records, relays, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.params import Site
from runbooklib.results import Plan, Status, UnsafePlanError

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0IHpvbmU="
HEAD = "@ 3600 SOA ns1.lantern.example. h.lantern.example. 7 3600 600 86400 300\n@ 3600 NS ns1.lantern.example.\n"
ROOT = "@ 60 SOA a. h. 1 2 3 4 60\n@ 60 NS a.\n"
RESOLVER, AUTHORITY, LOCAL = "192.0.2.53", "192.0.2.1", "127.0.0.1"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSIG", SECRET)
    monkeypatch.setenv("WRONG_TSIG", "d3JvbmcgbGlrZSB0aGUgb3RoZXI=")
    monkeypatch.setenv("NO_BASE64", "this is no base64!")


@pytest.fixture
def nameserver() -> Iterator[Nameserver]:
    key = dns.tsig.Key("update.", SECRET, "hmac-sha256.")
    with Nameserver("lantern.example.", HEAD, key) as server:
        yield server


def site(server: Nameserver, **key: Any) -> Site:
    """The small site, its zone on loopback."""
    signer = {"name": "update", "algorithm": "hmac-sha256", "secret": "env:TSIG"} | key
    rfc2136 = {"server": "127.0.0.1", "port": server.port, "key": signer}
    dns = {"publish": "rfc2136", "rfc2136": rfc2136, "resolvers": ["127.0.0.1"], "authoritative": ["127.0.0.1"]}
    return sites.make(dns=dns, relays__office__spf="include:pool.lantern.example")


def planned(here: Site, server: Nameserver) -> tuple[records.Desired, records.Observed, Any]:
    want = records.desired(here, relays.records(here))
    have = zone.observe(here, want, wire=zone.Internet(server.port))
    return want, have, records.diff(want, have)


def asked(server: Nameserver, name: str, kind: str) -> Answer:
    job = zone.ask(zone.Internet(server.port), Question(name, kind), LOCAL, recursive=False)
    return zone.together([job])[0]


# asking


def test_words_for_what_a_zone_says(nameserver: Nameserver) -> None:
    assert asked(nameserver, "lantern.example", "NS").values == ("ns1.lantern.example",)
    assert asked(nameserver, "lantern.example", "MX").word is Word.NODATA
    assert asked(nameserver, "no.lantern.example", "A").word is Word.NXDOMAIN
    assert asked(nameserver, "other.example", "A").word is Word.REFUSED


def test_an_absence_is_cached_for_the_negative_ttl(nameserver: Nameserver) -> None:
    absent = asked(nameserver, "no.lantern.example", "A")
    assert (absent.ttl, absent.zone) == (300, "lantern.example")
    assert (absent.until - absent.at).total_seconds() == 300


def test_a_truncated_answer_is_asked_again_over_tcp(nameserver: Nameserver) -> None:
    nameserver.fault = "truncated"
    assert asked(nameserver, "lantern.example", "NS").word is Word.NOERROR
    assert nameserver.seen == ["udp QUERY", "tcp QUERY"]


def test_a_server_without_edns_is_asked_without(nameserver: Nameserver) -> None:
    nameserver.fault = "formerr"
    assert asked(nameserver, "lantern.example", "NS").word is Word.NOERROR


def test_a_hostile_text_cannot_drive_a_terminal(nameserver: Nameserver) -> None:
    with nameserver.zone.writer() as writer:
        writer.add("lantern.example.", dns.rdataset.from_text("IN", "TXT", 60, '"\\027[2J\\200" "caf\\195\\169"'))
    assert asked(nameserver, "lantern.example", "TXT").values == ("\ufffd[2J\ufffdcafé",)


def test_silence_is_a_timeout_within_bounded_time(nameserver: Nameserver) -> None:
    nameserver.fault = "silent"
    started = time.monotonic()
    job = zone.ask(
        zone.Internet(nameserver.port, patience=0.1), Question("lantern.example", "NS"), LOCAL, recursive=False
    )
    assert zone.together([job])[0].word is Word.TIMEOUT
    assert time.monotonic() - started < 3


def test_questions_work_where_a_loop_already_runs(nameserver: Nameserver) -> None:
    async def cell() -> Answer:
        return asked(nameserver, "lantern.example", "NS")

    assert asyncio.run(cell()).word is Word.NOERROR


# finding the zone


def followed(**servers: dict[str, str]) -> zone.Literal:
    """A resolver that knows the top, the top's server, and lantern.example's own."""
    top = {"example": f"{ROOT}a 60 A 192.0.2.2\n"}
    known = {".": ROOT, "example": "@ 60 SOA a. h. 1 2 3 4 60\n@ 60 NS a.nic.example.\na.nic 60 A 192.0.2.2"}
    lantern = {"lantern.example": HEAD + "ns1 60 A 192.0.2.1"}
    world = {RESOLVER: known | lantern, "192.0.2.2": top | lantern, AUTHORITY: lantern}
    return zone.Literal(world | {k.replace("_", "."): v for k, v in servers.items()}, frozenset({RESOLVER}))


def test_the_delegation_is_followed_from_the_top_and_ends_at_the_zones_own_servers() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER]})
    want = records.desired(here)
    seen = zone.observe(here, want, wire=followed())
    assert seen.zones == ("lantern.example",)
    assert {a.server for a in seen if not a.recursive} == {AUTHORITY}


def test_a_name_nobody_registered_fails_before_anything_is_changed() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER]})
    top = {"example": "@ 60 SOA a. h. 1 2 3 4 60\n@ 60 NS a.nic.example.\na.nic 60 A 192.0.2.2"}
    checks = zone.preflight(here, followed(**{"192_0_2_2": top}))
    assert checks["dns.delegation lantern.example"].status is Status.FAIL
    assert "register" in checks["dns.delegation lantern.example"].fix


def test_preflight_of_a_sound_delegation_passes() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER]})
    checks = zone.preflight(here, followed())
    assert [c.name for c in checks] == [
        "dns.resolvers",
        "dns.delegation lantern.example",
        "dns.authoritative lantern.example",
    ]
    assert checks.status is Status.PASS


def test_servers_the_world_does_not_ask_are_found_out() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER], "authoritative": ["192.0.2.9"]})
    ours = {"lantern.example": HEAD.replace("ns1.", "ns9.")}
    checks = zone.preflight(here, followed(**{"192_0_2_9": ours}))
    assert checks["dns.delegation lantern.example"].status is Status.FAIL


@pytest.mark.parametrize(
    ("word", "status"),
    [
        (Word.TIMEOUT, Status.UNKNOWN),
        (Word.SERVFAIL, Status.UNKNOWN),
        (Word.REFUSED, Status.UNKNOWN),
        (Word.LAME, Status.FAIL),
    ],
)
def test_an_authority_that_says_nothing_is_unknown_and_a_lame_one_fails(word: Word, status: Status) -> None:
    here = sites.make(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY]})
    wire = replace(followed(), outages={(AUTHORITY, "*"): word})
    assert zone.preflight(here, wire)["dns.delegation lantern.example"].status is status


def test_one_silent_or_stale_authority_is_a_warning_and_a_lame_one_fails() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY, "192.0.2.9"]})
    name = "dns.authoritative lantern.example"
    assert zone.preflight(here, followed())[name].status is Status.WARN
    stale = {"lantern.example": HEAD.replace(" 7 ", " 6 ")}
    assert zone.preflight(here, followed(**{"192_0_2_9": stale}))[name].status is Status.WARN
    assert zone.preflight(here, followed(**{"192_0_2_9": {"lantern.example": HEAD}}))[name].status is Status.PASS
    lame = replace(followed(**{"192_0_2_9": stale}), outages={("192.0.2.9", "*"): Word.LAME})
    assert zone.preflight(here, lame)[name].status is Status.FAIL


def test_resolvers_silent_all_or_one() -> None:
    here = sites.make(dns={"resolvers": [RESOLVER, "192.0.2.54"], "authoritative": [AUTHORITY]})
    assert zone.preflight(here, followed())["dns.resolvers"].status is Status.WARN
    silent = replace(followed(), outages={(RESOLVER, "*"): Word.TIMEOUT})
    checks = zone.preflight(here, silent)
    assert checks["dns.resolvers"].status is Status.UNKNOWN
    assert checks["dns.delegation lantern.example"].status is Status.UNKNOWN


# publishing


def test_a_plan_is_published_whole_and_a_second_one_is_empty(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    assert len(plan) == 4
    done = zone.publish(here, plan, apply=True)
    assert done.done == plan.changes
    assert done.serials == {"lantern.example": (7, 8)}
    assert "serial 7 → 8" in str(done)
    assert "serial 7 → 8" in done._repr_mimebundle_()["text/html"]
    assert nameserver.values("lantern.example.", "MX") == ["10 mail.lantern.example."]
    _, _, again = planned(here, nameserver)
    assert not again
    nameserver.seen.clear()
    assert not zone.publish(here, again, apply=True)
    assert nameserver.seen == []
    assert nameserver.serial == 8


def test_without_apply_nothing_is_sent(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.seen.clear()
    shown = zone.publish(here, plan, apply=False)
    assert not shown
    assert not shown.applied
    assert nameserver.seen == []


def test_a_value_is_replaced_and_its_neighbours_stay(nameserver: Nameserver) -> None:
    with nameserver.zone.writer() as writer:
        for text in ('"v=spf1 mx " "-all"', '"verification=1"'):
            writer.add("lantern.example.", dns.rdataset.from_text("IN", "TXT", 120, text))
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    zone.publish(here, plan, apply=True)
    assert nameserver.values("lantern.example.", "TXT") == [
        '"v=spf1 mx include:pool.lantern.example -all"',
        '"verification=1"',
    ]
    assert nameserver.zone.get_rdataset(dns.name.from_text("lantern.example."), "TXT").ttl == 120


def test_what_changed_meanwhile_is_refused_not_overwritten(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    with nameserver.zone.writer() as writer:
        writer.add("lantern.example.", dns.rdataset.from_text("IN", "MX", 120, "10 other.example."))
    with pytest.raises(zone.OvertakenError, match="nothing was written"):
        zone.publish(here, plan, apply=True)
    assert nameserver.values("lantern.example.", "MX") == ["10 other.example."]
    assert nameserver.serial == 7


FAULTS = [
    ("BADKEY", zone.TsigError, "key.name"),
    ("BADSIG", zone.TsigError, "secret"),
    ("BADTIME", zone.TsigError, "clocks"),
    ("BADTRUNC", zone.TsigError, "longer signature"),
    ("BADMODE", zone.TsigError, "log"),
    ("REFUSED", zone.RefusedError, "allow key update"),
    ("SERVFAIL", zone.RefusedError, "SERVFAIL"),
    ("NOTAUTH", zone.NoZoneError, "primary"),
    ("NOTZONE", zone.NoZoneError, "primary"),
]


@pytest.mark.parametrize(("fault", "error", "said"), FAULTS)
def test_every_refusal_has_its_own_words_and_is_seen_before_anything_changes(
    nameserver: Nameserver, fault: str, error: type[zone.ZoneError], said: str
) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.fault = fault
    with pytest.raises(error, match=said) as raised:
        zone.publish(here, plan, apply=True)
    assert SECRET not in str(raised.value)
    row = zone.preflight(here, zone.Internet(nameserver.port))["dns.update lantern.example"]
    assert row.status is Status.FAIL
    assert said in row.fix + row.observed
    assert nameserver.serial == 7


def silenced(server: Nameserver) -> None:
    """The update is taken and answered; nothing after it is."""
    server.fault = "silent"


def muted(server: Nameserver) -> None:
    """The update is taken, and not even that is said."""
    server.fault = "mute"


def test_what_the_server_took_is_published_though_it_then_falls_silent(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.meanwhile = silenced
    done = zone.publish(here, plan, apply=True)
    assert (done.done, done.serials) == (plan.changes, {})
    assert nameserver.values("lantern.example.", "MX") == ["10 mail.lantern.example."]


def test_an_update_without_an_answer_may_be_written_all_the_same(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.meanwhile = muted
    with pytest.raises(zone.UnansweredError, match="may be written all the same"):
        zone.publish(here, plan, apply=True)
    assert nameserver.serial == 8


class Pair(Nameserver):
    """A server with a second zone."""

    second: Nameserver

    def reply(self, wire: bytes, *, datagram: bool) -> bytes | None:
        asked = dns.message.from_wire(wire, keyring=False, question_only=True).question[0].name
        other = asked.is_subdomain(self.second.zone.origin)
        return self.second.reply(wire, datagram=datagram) if other else super().reply(wire, datagram=datagram)


def test_a_partial_failure_says_which_zone_is_in() -> None:
    key = dns.tsig.Key("update.", SECRET, "hmac-sha256.")
    second = Nameserver("other.example.", HEAD.replace("lantern", "other"), key)
    with Pair("lantern.example.", HEAD, key) as server:
        server.second = second
        server.meanwhile = lambda _: silenced(second)
        names = ("lantern.example", "other.example")
        changes = [
            records.RecordChange(1, f"{n} MX", "", "", "", name=n, type="MX", zone=n, ttl=60, added=(f"10 mail.{n}",))
            for n in names
        ]
        with pytest.raises(zone.UnansweredError, match=r"already published: lantern\.example MX"):
            zone.publish(site(server), Plan("DNS", tuple(changes)), apply=True)
        assert server.values("lantern.example.", "MX") == ["10 mail.lantern.example."]


def test_an_unsigned_reply_proves_nothing(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.fault = "unsigned"
    with pytest.raises(zone.TsigError, match="unsigned or broken reply"):
        zone.publish(here, plan, apply=True)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ({"secret": "env:WRONG_TSIG"}, "BADSIG"),
        ({"name": "nobody"}, "BADKEY"),
        ({"secret": "env:NO_BASE64"}, "base64"),
    ],
)
def test_a_wrong_key_is_named_and_never_shown(nameserver: Nameserver, key: dict[str, str], said: str) -> None:
    row = zone.preflight(site(nameserver, **key), zone.Internet(nameserver.port))["dns.update lantern.example"]
    assert row.status is Status.FAIL
    assert said in row.expected + row.observed
    assert "d3Jvbmcg" not in str(row)
    assert "this is no" not in str(row)


def test_a_silent_primary_is_unknown(nameserver: Nameserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runbooklib.zone.updates.PATIENCE", 0.3)
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    nameserver.fault = "silent"
    row = zone.preflight(here, followed())["dns.update lantern.example"]
    assert row.status is Status.UNKNOWN
    with pytest.raises(zone.UnansweredError, match="is it up"):
        zone.publish(here, plan, apply=True)


def test_a_server_without_the_zone_says_so(nameserver: Nameserver) -> None:
    here = replace_domain(site(nameserver))
    row = zone.preflight(here, zone.Internet(nameserver.port))["dns.update elsewhere.example"]
    assert row.status is Status.FAIL
    assert "REFUSED" in row.observed


def replace_domain(here: Site) -> Site:
    domain = here.domains[0].model_copy(update={"name": "elsewhere.example"})
    return here.model_copy(update={"domains": (domain,)})


def test_proving_the_key_changes_nothing(nameserver: Nameserver) -> None:
    here = site(nameserver)
    checks = zone.preflight(here, zone.Internet(nameserver.port))
    assert checks["dns.update lantern.example"].status is Status.PASS
    assert "tcp UPDATE" in nameserver.seen
    assert nameserver.serial == 7


def test_a_key_that_may_write_only_some_records_is_found_out_before_it_publishes(nameserver: Nameserver) -> None:
    here, name = site(nameserver), "dns.update lantern.example"
    granted = {f"{n}lantern.example. {k}" for n, k in [("", "MX"), ("", "TXT"), ("_dmarc.", "TXT"), ("mail.", "A")]}
    nameserver.granted = granted
    row = zone.preflight(here, zone.Internet(nameserver.port))[name]
    assert (row.status, nameserver.serial) == (Status.WARN, 7)
    assert row.observed.endswith("may not write mail._domainkey.lantern.example TXT")
    assert "update-policy" in row.fix
    nameserver.granted = set()
    row = zone.preflight(here, zone.Internet(nameserver.port))[name]
    assert (row.status, nameserver.serial) == (Status.FAIL, 7)
    assert "lantern.example MX, lantern.example TXT" in row.observed
    nameserver.granted = granted | {"mail._domainkey.lantern.example. TXT"}
    assert zone.preflight(here, zone.Internet(nameserver.port))[name].status is Status.PASS


def test_an_unsafe_plan_is_not_published(nameserver: Nameserver) -> None:
    here = site(nameserver)
    _, _, plan = planned(here, nameserver)
    with pytest.raises(UnsafePlanError, match="key in use"):
        zone.publish(here, replace(plan, refusals=("key in use",)), apply=True)
    dropping = records.RecordChange(0, "lantern.example NS", "", "", "", removed=("ns1.lantern.example.",))
    with pytest.raises(UnsafePlanError, match="would drop"):
        zone.publish(here, replace(plan, changes=(dropping,)), apply=True)
    assert nameserver.serial == 7


def test_by_hand_shows_what_to_type_in_every_form(nameserver: Nameserver) -> None:
    here = site(nameserver)
    key = records.Wanted("mail._domainkey.lantern.example", "TXT", (f"p={'A' * 300}",), 60, "r", "x", "03-dkim")
    want = records.desired(here, [key], relays.records(here))
    plan = records.diff(want, zone.observe(here, want, wire=zone.Internet(nameserver.port)))
    by_hand = here.model_copy(update={"dns": here.dns.model_copy(update={"publish": "by-hand"})})
    nameserver.seen.clear()
    shown = zone.publish(by_hand, plan, apply=True)
    assert not shown
    assert nameserver.seen == []
    said, page = str(shown), shown._repr_mimebundle_()["text/html"]
    for text in (
        "mail._domainkey",
        "lantern.example. 3600 IN MX 10 mail.lantern.example.",
        f'"p={"A" * 253}" "{"A" * 47}"',
    ):
        assert text in said
        assert text.replace('"', "&quot;") in page
    assert any(line.split()[:2] == ["MX", "@"] for line in said.splitlines())


def test_by_hand_an_empty_plan_says_nothing_to_change() -> None:
    here = sites.make()
    assert "nothing to change" in str(zone.publish(here, records.diff(records.Desired(()), records.Observed(()))))
