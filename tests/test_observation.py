"""Observing: wildcards, servers that differ, resolvers that lie or remember, and the clock of what changed."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import dns.message
import dns.rdatatype
import pytest
import sites
from test_records import AUTHORITY, GOOD, HEAD, RELAY_ZONE, RESOLVER, REVERSE, changed, row, site, wanted, world

from runbooklib import records, zone
from runbooklib.answers import Answer, Question, Word
from runbooklib.records import Observed, RecordChange
from runbooklib.records.clock import duration, newer, newest_serial
from runbooklib.records.planned import RecordOutcome
from runbooklib.results import MIME, Checklist, Outcome, Plan, Status

SECOND = "192.0.2.54"
BOTH = {"resolvers": [RESOLVER, SECOND], "authoritative": [AUTHORITY]}
AGREE = "dns.resolvers.agree"


def walked(wire: zone.Wire, **changes: Any) -> tuple[Plan, Checklist]:
    """The unapplied stage, two resolvers asked."""
    here = site(dns=BOTH, **changes)
    seen = zone.observe(here, wanted(here), wire=wire)
    plan = records.diff(wanted(here), seen)
    return plan, records.verify(wanted(here), seen, plan)


def seen_by(zones: dict[str, str], outages: Any = None, text: str = GOOD) -> zone.Literal:
    """A right zone, a resolver that follows it, and a second one with text of its own."""
    ours = {"lantern.example": HEAD + text}
    servers = {AUTHORITY: ours | REVERSE | RELAY_ZONE, SECOND: zones}
    return zone.Literal(servers, {RESOLVER, SECOND}, outages or {})


# resolvers that say otherwise

WEAKER = changed(GOOD, "p=none", "p=nothing")
LIES = [
    ("asks elsewhere", {"lantern.example": changed(HEAD, "SOA ns1", "SOA internal") + WEAKER}),
    ("asks an old copy", {"lantern.example": changed(HEAD, " 7 ", " 6 ") + WEAKER}),
    ("forges", {"mail.lantern.example": "@ 60 SOA rpz h 1 2 3 4 60"}),
    ("filters", {"mail.lantern.example": "@ 60 SOA rpz h 1 2 3 4 60\n@ 60 A 0.0.0.0"}),
    ("stale", {"mail.lantern.example": "@ 60 SOA rpz h 1 2 3 4 60\n@ 0 A 198.51.100.66"}),
]


@pytest.mark.parametrize(("said", "zones"), LIES, ids=[said for said, _ in LIES])
def test_a_resolver_that_no_cache_excuses_is_named_and_the_zone_stays_right(said: str, zones: dict[str, str]) -> None:
    plan, checks = walked(seen_by(zones))
    assert not plan
    found = checks[AGREE]
    assert found.status is Status.WARN
    assert f"({said}" in found.observed
    assert SECOND in found.fix
    assert {c.name for c in checks if c.status is not Status.PASS} == {AGREE}


def test_where_no_resolver_sees_the_zone_that_is_a_failure() -> None:
    lie = {"mail.lantern.example": "@ 60 SOA rpz h 1 2 3 4 60"}
    wire = seen_by(lie)
    wire = replace(wire, servers={**wire.servers, RESOLVER: lie})
    assert walked(wire)[1][AGREE].status is Status.FAIL


def test_where_something_may_stand_by_mistake_is_shown_only_when_it_does() -> None:
    here, wrong = site(dns=BOTH), "_dmarc.lantern.example.lantern.example"
    assert "lantern.example.lantern.example" not in str(zone.observe(here, wanted(here), wire=seen_by({}, text="")))
    doubled = '_dmarc.lantern.example 300 TXT "v=DMARC1; p=none"'
    seen = zone.observe(here, wanted(here), wire=seen_by({}, text=doubled))
    assert wrong in str(seen)
    assert wrong in row(records.verify(wanted(here), seen, Plan("")), "dns.dmarc").observed


def test_what_a_cache_may_hold_is_waited_for() -> None:
    _, checks = walked(seen_by({"lantern.example": HEAD + changed(GOOD, "10 mail", "20 mail.old")}))
    assert (checks[AGREE].status, row(checks, "dns.mx").status) == (Status.PENDING, Status.PENDING)
    assert SECOND in checks[AGREE].observed


def test_resolvers_that_agree_pass_and_none_asked_is_no_row() -> None:
    assert walked(seen_by({}))[1][AGREE].status is Status.PASS
    assert AGREE not in {c.name for c in walked(seen_by({}, text=""))[1]}


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.SERVFAIL, Word.REFUSED])
def test_silent_resolvers_prove_nothing(word: Word) -> None:
    one = walked(seen_by({}, {(SECOND, "*"): word}))[1]
    assert (one[AGREE].status, row(one, "dns.mx").status) == (Status.PASS, Status.PASS)
    both = walked(seen_by({}, {(SECOND, "*"): word, (RESOLVER, "*"): word}))[1]
    assert (both[AGREE].status, row(both, "dns.mx").status) == (Status.UNKNOWN, Status.UNKNOWN)
    assert both[AGREE].advisory


def test_bogus_is_a_fault_and_no_silence() -> None:
    found = row(walked(seen_by({}, {(AUTHORITY, "lantern.example"): Word.BOGUS}))[1], "dns.mx")
    assert found.status is Status.FAIL
    assert "bogus" in found.observed
    assert "DS record" in found.fix


# servers that differ

FOUR = [f"192.0.2.{n}" for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    ("last", "outage", "status"),
    [
        (GOOD, None, Status.PASS),
        (changed(GOOD, "10 mail", "10 mail.old"), None, Status.WARN),
        (changed(GOOD, "@ 300 MX 10 mail.lantern.example.", ""), None, Status.FAIL),
        (GOOD, Word.TIMEOUT, Status.PASS),
    ],
    ids=["all alike", "one with an old MX", "one without", "one silent"],
)
def test_one_of_four_nameservers_stale_or_silent(last: str, outage: Word | None, status: Status) -> None:
    held = {server: {"lantern.example": HEAD + (last if server == FOUR[3] else GOOD)} for server in FOUR}
    outages = {(FOUR[3], "*"): outage} if outage else {}
    wire = zone.Literal({**held, "192.0.2.9": REVERSE | RELAY_ZONE}, {RESOLVER}, outages)
    here = site(dns={"resolvers": [RESOLVER], "authoritative": FOUR})
    seen = zone.observe(here, wanted(here), wire=wire)
    plan = records.diff(wanted(here), seen)
    assert not plan  # nothing is planned over a server that has yet to fetch the zone
    found = row(records.verify(wanted(here), seen, plan), "dns.mx")
    assert found.status is status
    assert "zone transfer" in found.fix or status is not Status.FAIL


# wildcards

ANYTHING = """mail 300 A 203.0.113.10
@ 300 MX 10 mail.lantern.example.
* 300 TXT "v=spf1 -all"
* 300 A 203.0.113.99
* 300 MX 10 mx.elsewhere.example.
"""


def test_what_a_wildcard_says_is_not_what_stands() -> None:
    here = site()
    seen = zone.observe(here, wanted(here), wire=world(ANYTHING))
    (policy,) = [w for w in wanted(here) if w.kind == "dmarc"]
    (answer,) = seen.at_authority(policy)
    assert (answer.wildcard, answer.specific.word, answer.specific.raw) == ("*.lantern.example", Word.NXDOMAIN, ())
    assert "(from *.lantern.example)" in str(seen)
    plan = records.diff(wanted(here), seen)
    made = {c.name: c for c in plan if isinstance(c, RecordChange)}
    for name in ("_dmarc.lantern.example", "mail._domainkey.lantern.example"):
        assert (made[name].stands, made[name].removed, len(made[name].added)) == ((), (), 1)


def test_a_wildcard_that_says_what_is_wanted_is_enough() -> None:
    text = changed(GOOD, "mail 300 A 203.0.113.10", "* 300 A 203.0.113.10")
    plan, checks = walked(seen_by({}, text=text))
    assert not plan
    assert row(checks, "dns.address").status is Status.PASS


# until when


def soa(server: str, serial: int, minimum: int = 300, ttl: int = 3600, refresh: int = 900) -> Answer:
    text = f"ns1.lantern.example h.lantern.example {serial} {refresh} 600 86400 {minimum}"
    return Answer(Question("lantern.example", "SOA"), server, Word.NOERROR, values=(text,), ttl=ttl)


def change(stood_ttl: int = 0) -> RecordChange:
    name, stands = "lantern.example", ("10 old.example.",) if stood_ttl else ()
    planned = RecordChange(1, f"{name} MX", "", "", "", name=name, type="MX", zone=name)
    return replace(planned, ttl=60, stood_ttl=stood_ttl, added=("10 mail.lantern.example",), stands=stands)


def clock(*soas: Answer, stood_ttl: int = 0, applied: bool = True) -> list[tuple[str, int, int]]:
    plan = Plan("DNS", (change(stood_ttl),))
    outcome = Outcome(plan, plan.changes if applied else (), applied)
    seen = Observed((), ("lantern.example",), outcome, soas=soas, since=soas[0].at)
    return [(s.server, s.held, s.lag) for s in records.visibility(seen)]


@pytest.mark.parametrize(
    ("stood_ttl", "minimum", "ttl", "held"),
    [(7200, 300, 3600, 7200), (0, 300, 3600, 300), (0, 7200, 3600, 3600), (0, 0, 3600, 0)],
    ids=["what stood", "an absence by SOA minimum", "an absence by SOA TTL", "no negative caching"],
)
def test_old_data_lives_as_long_as_its_ttl(stood_ttl: int, minimum: int, ttl: int, held: int) -> None:
    assert clock(soa("a", 8, minimum, ttl), stood_ttl=stood_ttl) == [("a", held, 0)]


def test_a_secondary_that_is_behind_has_until_its_refresh() -> None:
    assert clock(soa("a", 8), soa("b", 7), soa("c", 8), stood_ttl=60) == [("a", 60, 0), ("b", 60, 900), ("c", 60, 0)]


def test_before_publishing_every_secondary_may_lag() -> None:
    assert clock(soa("a", 7), soa("b", 7), stood_ttl=60, applied=False) == [("a", 60, 900), ("b", 60, 900)]
    assert clock(soa("a", 7), stood_ttl=60, applied=False) == [("a", 60, 0)]


def test_what_was_seen_before_publishing_tells_nothing_of_who_has_it() -> None:
    plan, at = Plan("DNS", (change(60),)), soa("a", 7).at + timedelta(seconds=40)
    done = RecordOutcome(plan, plan.changes, applied=True, serials={"lantern.example": (7, 8)}, at=at)
    before = Observed((), ("lantern.example",), soas=(soa("a", 7), soa("b", 7)))
    assert [(s.lag, s.since) for s in records.visibility(before, done)] == [(900, at), (900, at)]
    alone = replace(before, soas=(soa("a", 7),))
    assert [(s.lag, s.since) for s in records.visibility(alone, done)] == [(0, at)]
    hidden = replace(before, after=done)  # published at a primary that nobody is led to
    assert [(s.lag, s.since) for s in records.visibility(hidden)] == [(900, at), (900, at)]


def test_a_wildcards_answer_is_kept_for_its_ttl() -> None:
    here = site()
    text = changed(ANYTHING, "* 300 TXT", "* 86400 TXT")
    seen = zone.observe(here, wanted(here), wire=world(text))
    spans = {(s.name, s.held, s.why) for s in records.visibility(seen, Outcome(records.diff(wanted(here), seen)))}
    assert ("_dmarc.lantern.example", 86400, "TTL 86400 of what a wildcard said here") in spans


def test_the_clock_is_a_table_with_moments_or_with_durations() -> None:
    plan = Plan("DNS", (change(3600),))
    seen = Observed((), ("lantern.example",), Outcome(plan), soas=(soa("a", 7),))
    assert "1 hour after it is published" in str(records.visibility(seen))
    done = replace(seen, after=Outcome(plan, plan.changes, applied=True))
    shown = records.visibility(done)
    assert "TTL 3600 of what stood" in str(shown)
    assert shown.until("lantern.example", "MX") == done.soas[0].at + timedelta(seconds=3600)
    assert shown.until("lantern.example", "TXT") is None
    assert shown._repr_mimebundle_()[MIME]["rows"]
    assert not records.visibility(replace(seen, after=None))
    assert "no old data" in str(records.visibility(replace(seen, after=None)))


def test_serials_wrap_around() -> None:
    assert newer(5, 2**32 - 3)
    assert not newer(2**32 - 3, 5)
    assert newest_serial([soa("a", 2**32 - 3), soa("b", 5)]) == 5
    assert newest_serial([]) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 seconds"), (60, "1 minute"), (5400, "90 minutes"), (7200, "2 hours"), (86400, "1 day")],
)
def test_durations_in_words(seconds: int, said: str) -> None:
    assert duration(seconds) == said


# waiting


class Forgetful:
    """A world whose resolver repeats old data until it has been asked `patience` times for it."""

    def __init__(self, old: zone.Literal, new: zone.Literal, patience: int) -> None:
        self.old, self.new, self.patience = old, new, patience

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        remembered = server == RESOLVER and query.question[0].rdtype == dns.rdatatype.MX and self.patience > 0
        self.patience -= remembered
        return await (self.old if remembered else self.new).exchange(query, server)


def cached(mx: str, ttl: int) -> zone.Literal:
    text = {"lantern.example": HEAD + f"@ {ttl} MX 10 {mx}.lantern.example.\nmail 60 A 203.0.113.10"}
    return zone.Literal({AUTHORITY: text, RESOLVER: text}, {RESOLVER})


def waited(patience: int, ttl: int, wait: float) -> tuple[records.Observed, records.Desired, Any, float]:
    here = sites.make(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY]})
    want = records.Desired(tuple(w for w in records.desired(here) if w.kind in {"mx", "address"}))
    empty = zone.Literal({AUTHORITY: {"lantern.example": HEAD}, RESOLVER: {}}, {RESOLVER})
    plan = records.diff(want, zone.observe(here, want, wire=empty))
    done = Outcome(plan, plan.changes, applied=True)
    started = time.monotonic()
    wire = Forgetful(cached("old", ttl), cached("mail", 60), patience)
    seen = zone.observe(here, want, after=done, wait=wait, wire=wire)
    return seen, want, plan, time.monotonic() - started


def test_waits_until_resolvers_forget_and_no_longer() -> None:
    seen, want, plan, took = waited(patience=2, ttl=0, wait=30)
    assert records.verify(want, seen, plan).status is Status.PASS
    assert 0.9 < took < 15


def test_what_outlasts_the_wait_is_pending_at_once() -> None:
    seen, want, plan, took = waited(patience=99, ttl=600, wait=30)
    assert took < 15
    found = records.verify(want, seen, plan)["dns.mx lantern.example"]
    assert found.status is Status.PENDING
    assert "cached until" in found.observed
    assert "caches elsewhere may hold the old data until" in found.observed


def test_stops_at_wait() -> None:
    seen, want, plan, took = waited(patience=10**6, ttl=0, wait=0.7)
    assert took < 15
    assert records.verify(want, seen, plan)["dns.mx lantern.example"].status is Status.PENDING


@pytest.mark.parametrize(
    ("serials", "held", "status"),
    [
        ({"lantern.example": (6, 8)}, 7, Status.PENDING),  # published at a hidden primary, nobody has fetched it yet
        ({"lantern.example": (6, 7)}, 7, Status.FAIL),  # it is there, and the record is not
        ({}, 7, Status.PENDING),  # a provider's API says no serial
    ],
    ids=["not fetched", "fetched without it", "a provider"],
)
def test_what_servers_have_yet_to_fetch_is_pending(
    serials: dict[str, tuple[int, int]], held: int, status: Status
) -> None:
    here = site(dns=BOTH)
    want = wanted(here)
    wire = seen_by({}, text="")
    plan = records.diff(want, zone.observe(here, want, wire=wire))
    done = RecordOutcome(plan, plan.changes, applied=True, serials=serials)
    seen = zone.observe(here, want, after=done, wire=wire)
    assert {soa.values[0].split()[2] for soa in seen.soas} == {str(held)}
    found = row(records.verify(want, seen, plan), "dns.mx")
    assert found.status is status
    assert ("SOA refresh" in found.fix) == (status is Status.PENDING)
