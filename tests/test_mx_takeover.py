"""Taking over an MX: who receives today stays until params say otherwise, then mail moves in steps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dns.rdataset
import dns.tsig
import pytest
import sites
from nameserver import Nameserver
from scripts import Script
from test_records import AUTHORITY, GOOD, HEAD, RESOLVER, changed, row, site, wanted, world

from runbooklib import probes, records, zone
from runbooklib.answers import Word
from runbooklib.params import Domain, ParamsError, Site, load
from runbooklib.records import Desired, Observed, RecordChange, RecordPlan, noted
from runbooklib.records.noted import Note
from runbooklib.records.planned import RecordOutcome
from runbooklib.results import Check, Checklist, Outcome, Plan, Status

SECRET = "c2VjcmV0IG9mIHRoZSB0ZXN0IHpvbmU="
OURS, THEIRS = "@ 300 MX 10 mail.lantern.example.", "@ {ttl} MX 1 aspmx.l.example.net.\n@ {ttl} MX 5 alt.l.example.net."
MX, ROW, NOTE = "lantern.example MX", "dns.mx lantern.example", "_runbook-mx.lantern.example TXT"
REMEMBERED = "_runbook-mx.lantern.example."
TAKEN = Checklist("", (Check(records.reception_row("lantern.example"), Status.PASS, "", "taken"),))


def moving(**more: Any) -> Site:
    return site(**{"domains__0__take_over_mx": True, **more})


def elsewhere(ttl: int = 3600, more: str = "") -> str:
    return changed(GOOD, OURS, THEIRS.format(ttl=ttl) + more)


def ago(**time: float) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(**time)


def remembering(note: Note, text: str) -> str:
    """A zone in which a take-over has noted something."""
    return f'{text}\n_runbook-mx 300 TXT "{note}"\n'


def lowered(more: str = "", **time: float) -> str:
    """The zone of others, its TTL lowered from an hour as long ago as is said: by default long enough."""
    return remembering(Note(3600, lowered=ago(**time or {"hours": 2})), elsewhere(300, more))


def switched(**time: float) -> str:
    """The zone once the MX is ours, switched so long ago."""
    return remembering(Note(3600, switched=ago(**time)), GOOD)


def seen(here: Site, text: str, after: Outcome | None = None, **more: Any) -> Observed:
    return zone.observe(here, wanted(here), after, wire=world(text, **more))


def plan(here: Site, text: str, reception: Checklist = TAKEN, **more: Any) -> RecordPlan:
    return records.diff(wanted(here), seen(here, text, **more), reception)


def shown(here: Site, text: str, reception: Checklist = TAKEN, **more: Any) -> Check:
    have = seen(here, text, **more)
    return row(records.verify(wanted(here), have, records.diff(wanted(here), have, reception)), ROW)


def after(here: Site, made: Plan, text: str, **more: Any) -> Check:
    """The row once the plan was applied and the zone holds `text`."""
    have = seen(here, text, Outcome(made, made.changes, applied=True), **more)
    return row(records.verify(wanted(here), have, made), ROW)


def only(made: Plan) -> RecordChange:
    """The change to the MX; beside it only the note may change."""
    (change,) = (c for c in made if c.target != NOTE)
    assert isinstance(change, RecordChange)
    return change


def note(made: Plan) -> str:
    """What the zone is to remember; empty where that does not change."""
    return "".join(c.after for c in made if c.target == NOTE)


@pytest.mark.parametrize("ttl", [60, 3600])
def test_who_receives_today_stays_until_params_say_otherwise(ttl: int) -> None:
    assert not plan(site(), elsewhere(ttl))
    found = shown(site(), elsewhere(ttl))
    assert found.status is Status.WARN
    assert "alt.l.example.net" in found.observed
    assert "take_over_mx: true" in found.fix


def test_a_name_without_an_mx_needs_none_of_it() -> None:
    made = plan(moving(), changed(GOOD, OURS, ""), Checklist(""))
    assert (only(made).target, only(made).after, made.refusals) == (MX, "10 mail.lantern.example", ())


def test_first_the_ttl_is_lowered_whatever_the_new_host_answers() -> None:
    made = plan(moving(), elsewhere(), Checklist(""))
    change = only(made)
    assert made.refusals == ()
    assert (change.ttl, change.stood_ttl) == (300, 3600)
    assert change.removed == change.stands == ("1 aspmx.l.example.net.", "5 alt.l.example.net.")
    assert change.added == ("1 aspmx.l.example.net", "5 alt.l.example.net")
    assert "1 of 2" in change.why
    assert "a run after that switches" in change.why
    assert note(made) == "mx-ttl=3600"
    assert [c.target for c in made] == [NOTE, MX]  # never a low TTL of which nobody knows what it was
    assert "lantern.example. 3600 IN MX 1 aspmx.l.example.net." in change.undo
    assert shown(moving(), elsewhere()).status is Status.PENDING


def test_once_lowered_the_row_says_that_the_next_run_notes_the_time() -> None:
    found = after(moving(), plan(moving(), elsewhere()), remembering(Note(3600), elsewhere(300)))
    assert found.status is Status.PENDING
    assert "lowered from 3600 to 300" in found.observed
    assert "run again" in found.fix


@pytest.mark.parametrize(
    ("text", "noted_ttl"),
    [
        (remembering(Note(3600), elsewhere(300)), "3600"),
        (remembering(Note(3600, switched=ago(days=9)), elsewhere(300)), "3600"),
        (elsewhere(300), "unknown"),
        (f'{elsewhere(300)}\n* 300 TXT "anything"', "unknown"),
    ],
    ids=["lowered before", "switched back", "nothing noted", "a wildcard answers"],
)
def test_the_time_is_noted_by_the_run_that_sees_the_low_ttl(text: str, noted_ttl: str) -> None:
    made = plan(moving(), text)
    assert not made.touches(MX)
    (change,) = made
    assert isinstance(change, RecordChange)
    assert bool(change.stands) is ("_runbook-mx" in text)
    said = noted.parse(note(made))
    assert said is not None
    assert str(said).startswith(f"mx-ttl={noted_ttl}; lowered=")
    assert said.lowered is not None
    assert abs(datetime.now(UTC) - said.lowered) < timedelta(minutes=1)
    assert shown(moving(), text).status is Status.PENDING


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (lowered(minutes=30), "the old TTL of 3600 s until"),
        (remembering(Note(0, lowered=ago(hours=23)), elsewhere(300)), "86400 s at most"),
    ],
    ids=["known", "unknown"],
)
def test_until_the_old_ttl_has_passed_nothing_is_switched_whatever_our_resolvers_say(text: str, told: str) -> None:
    made = plan(moving(), text)
    assert (made.changes, made.refusals) == ((), ())
    found = shown(moving(), text)
    assert found.status is Status.PENDING
    assert told in found.fix


def test_a_cache_that_holds_the_old_ttl_is_waited_for() -> None:
    assert not plan(moving(), lowered(), cached=elsewhere(3600))
    found = shown(moving(), lowered(), cached=elsewhere(3600))
    assert found.status is Status.PENDING
    assert f"{RESOLVER} holds the old TTL until" in found.fix


def test_where_no_resolver_is_heard_nothing_is_switched() -> None:
    silent = {RESOLVER.replace(".", "_"): Word.TIMEOUT}
    assert not plan(moving(), lowered(), **silent)
    assert shown(moving(), lowered(), **silent).status is Status.UNKNOWN


def test_where_the_servers_do_not_remember_alike_nothing_is_switched() -> None:
    second = "192.0.2.2"
    here = moving(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY, second]})
    one, other = world(lowered()), world(lowered(minutes=5))
    wire = zone.Literal({**one.servers, second: other.servers[AUTHORITY]}, frozenset({RESOLVER}))
    have = zone.observe(here, wanted(here), wire=wire)
    made = records.diff(wanted(here), have, TAKEN)
    assert not made
    assert row(records.verify(wanted(here), have, made), ROW).status is Status.UNKNOWN


def test_then_the_mx_is_switched_with_the_way_back() -> None:
    made = plan(moving(), lowered())
    change = only(made)
    assert (made.refusals, note(made)) == ((), "")
    assert (change.ttl, change.removed, change.added) == (300, change.stands, ("10 mail.lantern.example",))
    assert "2 of 2" in change.why
    assert "keep aspmx.l.example.net, alt.l.example.net receiving for 1 hour and 5 days" in change.why
    assert change.undo.splitlines()[1:] == [
        "lantern.example. 3600 IN MX 1 aspmx.l.example.net.",
        "lantern.example. 3600 IN MX 5 alt.l.example.net.",
    ]
    assert records.dangers(made) == ()
    assert shown(moving(), lowered()).status is Status.PENDING


def test_the_run_that_sees_the_switch_notes_it() -> None:
    made = plan(moving(), remembering(Note(3600, lowered=ago(hours=3)), GOOD))
    assert not made.touches(MX)
    assert note(made).startswith("mx-ttl=3600; switched=")


def test_while_the_old_host_has_to_go_on_nothing_changes_and_the_row_says_until_when() -> None:
    assert not plan(moving(), switched(days=5))
    found = shown(moving(), switched(days=5))
    assert found.status is Status.PASS
    assert "keep the old host" in found.fix


def test_at_last_the_old_ttl_stands_again_and_nothing_is_left() -> None:
    made = plan(moving(), switched(days=5, hours=2))
    change = only(made)
    assert (change.ttl, change.stood_ttl, change.added) == (3600, 300, ("10 mail.lantern.example",))
    assert [c.target for c in made] == [MX, NOTE]
    assert note(made) == "removed"
    assert made.refusals == records.dangers(made) == ()
    assert shown(moving(), switched(days=5, hours=2)).status is Status.PENDING


def test_a_ttl_that_nobody_knows_is_not_put_back() -> None:
    made = plan(moving(), remembering(Note(0, switched=ago(days=7)), GOOD))
    assert [c.target for c in made] == [NOTE]


@pytest.mark.parametrize("told", [Note(), Note(3600), Note(60, lowered=ago()), Note(0, switched=ago())])
def test_a_note_is_read_as_it_was_written(told: Note) -> None:
    assert noted.parse(str(told)) == told


@pytest.mark.parametrize(
    "text", ["", "mx-ttl=", "mx-ttl=1e3", "mx-ttl=60; lowered=yesterday", "mx-ttl=60; lowered=2026-13-40T00:00:00Z"]
)
def test_what_is_no_note_is_none(text: str) -> None:
    assert noted.parse(text) is None


def test_a_server_takes_every_step_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSIG", SECRET)
    told = []
    with Nameserver("lantern.example.", HEAD + elsewhere(), dns.tsig.Key("update.", SECRET, "hmac-sha256.")) as server:
        here = published(server, take_over_mx=True)
        want, seen_by = Desired(tuple(w for w in wanted(here) if w.kind == "mx")), zone.Internet(server.port)
        for past in (None, None, Note(3600, lowered=ago(hours=2)), None, Note(3600, switched=ago(days=6)), None):
            if past:  # as if that time had passed
                server.zone.replace_rdataset(REMEMBERED, dns.rdataset.from_text("IN", "TXT", 300, f'"{past}"'))
            step = records.diff(want, zone.observe(here, want, wire=seen_by), TAKEN)
            zone.publish(here, step, apply=True)
            mx = server.zone.get_rdataset("lantern.example.", "MX")
            told.append((len(step), mx.ttl, "mail.lantern.example." in str(mx)))
        left = server.zone.get_rdataset(REMEMBERED, "TXT")
    waits, moved = [(2, 300, False), (1, 300, False)], [(1, 300, True), (1, 300, True), (2, 3600, True)]
    assert told == [*waits, *moved, (0, 3600, True)]
    assert left is None


def published(server: Nameserver, **domain: Any) -> Site:
    """The site with its zone on loopback."""
    signer = {"name": "update", "algorithm": "hmac-sha256", "secret": "env:TSIG"}
    target = {"server": "127.0.0.1", "port": server.port, "key": signer}
    dns_params = {"publish": "rfc2136", "rfc2136": target, "resolvers": ["127.0.0.1"], "authoritative": ["127.0.0.1"]}
    return site(dns=dns_params, **{f"domains__0__{name}": value for name, value in domain.items()})


def test_an_alias_is_no_mx_to_take_over() -> None:
    text = changed(GOOD, "_dmarc", "shop 3600 MX 10 mx.example.net.\nblog 300 CNAME shop.lantern.example.\n_dmarc")
    blog = {"name": "blog.lantern.example", "relay": "office", "take_over_mx": True}
    made = plan(site(domains=[blog, sites.GIVEN["domains"][0]]), text)
    assert not made.touches("blog.lantern.example MX")
    assert not made.refusals


def test_where_we_receive_beside_others_only_they_go() -> None:
    change = only(plan(moving(), lowered(f"\n{OURS}")))
    assert (change.removed, change.added) == (("1 aspmx.l.example.net.", "5 alt.l.example.net."), ())
    assert records.dangers([change]) == ()


@pytest.mark.parametrize(
    ("status", "becomes"), [(Status.FAIL, Status.FAIL), (Status.UNKNOWN, Status.UNKNOWN), (None, Status.UNKNOWN)]
)
def test_without_proof_of_reception_the_whole_plan_is_refused(status: Status | None, becomes: Status) -> None:
    name = records.reception_row("lantern.example")
    asked = Checklist("", (Check(name, status, "", "550 5.1.1 no such user", "make it"),) if status else ())
    made = plan(moving(), changed(lowered(), "_dmarc 300", ";"), asked)
    assert made.changes  # the others, refused with it
    assert not made.touches(MX)
    assert len(made.refusals) == 1
    found = shown(moving(), lowered(), asked)
    assert found.status is becomes
    assert ("550 5.1.1" if status else "nobody asked") in found.fix


def test_after_the_switch_caches_have_the_lowered_ttl_to_forget() -> None:
    made, ours = plan(moving(), lowered()), remembering(Note(3600, lowered=ago(hours=2)), GOOD)
    found = after(moving(), made, ours, cached=elsewhere(300))
    assert found.status is Status.PENDING
    assert "cached until" in found.observed
    found = after(moving(), made, ours)
    assert (found.status, "notes since when mail arrives here" in found.fix) == (Status.PENDING, True)
    assert after(moving(), made, lowered()).status is Status.FAIL


def test_where_no_server_has_fetched_the_switch_yet_it_is_waited_for() -> None:
    made = plan(moving(), lowered())
    done = RecordOutcome(made, made.changes, applied=True, serials={"lantern.example": (7, 8)})
    have = seen(moving(), lowered(), done)
    assert row(records.verify(wanted(moving()), have, made), ROW).status is Status.PENDING


def test_a_secondary_that_lags_is_waited_for() -> None:
    second = "192.0.2.2"
    here = moving(dns={"resolvers": [RESOLVER], "authoritative": [AUTHORITY, second]})
    new, old = world(GOOD), world(lowered())
    wire = zone.Literal({**new.servers, second: old.servers[AUTHORITY]}, frozenset({RESOLVER}))
    have = zone.observe(here, wanted(here), wire=wire)
    made = records.diff(wanted(here), have, TAKEN)
    assert not made
    assert row(records.verify(wanted(here), have, made), ROW).status is Status.PENDING


def test_a_silent_authority_moves_nothing() -> None:
    assert not plan(moving(), lowered(), **{"192_0_2_1": Word.TIMEOUT})


def test_take_over_is_a_yes_or_a_no() -> None:
    with pytest.raises(ParamsError):
        load(site(domains__0__take_over_mx="soon"))


# The probe.

GREETING = ["220 mail", "250-mail\n250 HELP", "250 2.1.0 sender ok"]
YES, NO, LATER = "250 2.1.5 ok", "550 5.1.1 no such user", "450 4.7.1 greylisted"


def no_policy(_site: Site, _domain: Domain) -> tuple[Status, str]:
    return Status.PASS, ""


@pytest.mark.parametrize("status", [Status.FAIL, Status.UNKNOWN])
def test_a_policy_that_senders_keep_shuts_the_new_host_out(status: Status) -> None:
    with Script([*GREETING, YES, YES, YES, YES, NO, "221 bye"]) as script:
        here = moving(server__ipv4="127.0.0.1", test={"smtp25": True})
        (found,) = probes.reception(here, seen(here, elsewhere()), script.port, lambda *_: (status, "not listed"))
    assert (found.status, found.observed) == (status, "not listed")
    assert records.diff(wanted(here), seen(here, lowered()), Checklist("", (found,))).refusals


@pytest.mark.parametrize("text", ["", "@ 300 MX 0 ."], ids=["none", "null MX"])
@pytest.mark.parametrize("status", [Status.PASS, Status.FAIL, Status.UNKNOWN])
def test_a_first_mx_leads_nobody_to_a_host_that_a_kept_policy_lacks(status: Status, text: str) -> None:
    zone_text = changed(GOOD, OURS, text)
    found = probes.reception(site(), seen(site(), zone_text), policy=lambda *_: (status, "not listed"))
    assert [(c.name, c.status) for c in found] == [(records.reception_row("lantern.example"), status)]
    made = plan(site(), zone_text, found)
    assert made.touches(MX)
    assert bool(made.refusals) is (status is not Status.PASS)
    assert "not listed" in "".join(made.refusals) or status is Status.PASS


def asked(answers: list[str], **more: Any) -> tuple[Checklist, list[str]]:
    """What the probe makes of a server that answers RCPT TO so, and what that server heard."""
    with Script([*GREETING, *answers, "221 bye"]) as script:
        here = moving(server__ipv4="127.0.0.1", test={"smtp25": True}, **more)
        found = probes.reception(here, seen(here, elsewhere()), script.port, no_policy)
        return found, script.heard


def test_the_new_host_is_asked_for_every_address_and_gets_no_message() -> None:
    found, heard = asked([YES, YES, YES, NO, NO], domains__0__catch_all=None)
    assert found["dns.mx.reception lantern.example"].status is Status.PASS
    said = [line for line in heard if not line.startswith(("ehlo", "EHLO"))]
    assert [line.lower() for line in said[:5]] == [
        "mail from:<>",
        "rcpt to:<postmaster@lantern.example>",
        "rcpt to:<hi@lantern.example>",
        "rcpt to:<sales@lantern.example>",
        "rcpt to:<leaked@lantern.example>",
    ]
    assert said[5].lower().startswith("rcpt to:<runbook-")
    assert said[6].lower() == "quit"
    assert not any(line.upper() == "DATA" for line in heard)


def test_the_new_host_is_asked_for_the_addresses_that_reports_go_to() -> None:
    reporting = {"domains__0__dmarc": {"rua": "dmarc@lantern.example"}, "domains__0__tls_rpt": "tls@lantern.example"}
    found, heard = asked([YES, YES, YES, YES, NO, YES, NO], **reporting)
    assert (found.status, "tls@lantern.example" in str(found)) == (Status.FAIL, True)
    assert {"rcpt to:<dmarc@lantern.example>", "rcpt to:<tls@lantern.example>"} <= {line.lower() for line in heard}
    assert not any("example.org" in line for line in asked([YES] * 4 + [NO], domains__0__tls_rpt="t@example.org")[1])


@pytest.mark.parametrize(
    ("answers", "status", "told"),
    [
        ([NO, YES, YES, NO, NO], Status.FAIL, "RCPT TO:<postmaster@lantern.example>: 550"),
        ([YES, YES, NO, NO, NO], Status.FAIL, "RCPT TO:<sales@lantern.example>: 550"),
        ([YES, YES, YES, YES, NO], Status.FAIL, "RCPT TO:<leaked@lantern.example>: 250"),
        ([YES, YES, YES, NO, YES], Status.FAIL, "RCPT TO:<runbook-"),
        ([YES, LATER, YES, NO, NO], Status.UNKNOWN, "450"),
        ([YES, YES, YES, NO, LATER], Status.UNKNOWN, "450"),
        ([YES, LATER, NO, NO, NO], Status.FAIL, "550"),
        (["554 5.7.1 blocked using zen.example"] * 5, Status.UNKNOWN, "blocked using"),
        ([YES], Status.UNKNOWN, "broke"),
    ],
)
def test_wrong_is_told_from_could_not_tell(answers: list[str], status: Status, told: str) -> None:
    found, _ = asked(answers, domains__0__catch_all=None)
    (only_row,) = found
    assert only_row.status is status
    assert told in only_row.observed
    assert only_row.fix


def test_a_catch_all_has_to_take_what_is_made_up() -> None:
    assert asked([YES, YES, YES, YES, NO])[0].status is Status.PASS
    assert asked([YES, YES, YES, NO, NO])[0].status is Status.FAIL


def test_a_refused_null_sender_is_a_failure_and_one_put_off_is_unknown() -> None:
    for reply, status in (("550 5.7.1 no", Status.FAIL), ("451 later", Status.UNKNOWN)):
        with Script([*GREETING[:2], reply, "221 bye"]) as script:
            here = moving(server__ipv4="127.0.0.1", test={"smtp25": True})
            (found,) = probes.reception(here, seen(here, elsewhere()), script.port, no_policy)
        assert (found.status, found.observed) == (status, f"MAIL FROM:<>: {reply}")


def test_a_closed_port_is_unknown() -> None:
    with Script(GREETING) as script:
        port = script.port
    here = moving(server__ipv4="127.0.0.1", test={"smtp25": True})
    (found,) = probes.reception(here, seen(here, elsewhere()), port, no_policy)
    assert found.status is Status.UNKNOWN


def test_where_this_machine_may_not_ask_nothing_is_known_and_the_plan_refused() -> None:
    asked_nobody = probes.reception(moving(), seen(moving(), elsewhere()))
    (found,) = asked_nobody
    assert found.status is Status.UNKNOWN
    assert "test.smtp25" in found.fix
    assert plan(moving(), lowered(), asked_nobody).refusals


def test_nobody_is_asked_where_nothing_moves() -> None:
    allowed = {"test": {"smtp25": True}, "server__ipv4": "192.0.2.99"}  # nobody answers there
    assert not len(probes.reception(site(**allowed), seen(site(), elsewhere())))
    assert not len(probes.reception(moving(**allowed), seen(moving(), GOOD)))


def test_the_steps_end_where_nothing_is_left_to_do() -> None:
    made = plan(moving(), GOOD, Checklist(""))
    assert not made
    assert not made.refusals
