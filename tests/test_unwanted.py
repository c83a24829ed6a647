"""What retired keys and relays left in DNS: taken away when nothing needs it, and nothing else with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from test_records import AUTHORITY, DKIM, GOOD, KEY, OTHER_KEY, RESOLVER, changed, key, row, site, world

from runbooklib import records, relays, zone
from runbooklib.answers import Word
from runbooklib.params import Site
from runbooklib.records import Desired, RecordChange, Unwanted
from runbooklib.results import Outcome, Plan, Status

OLD = "old._domainkey.lantern.example"
OLD_KEY = Unwanted(OLD, "TXT", (f"v=DKIM1; h=sha256; k=rsa; p={OTHER_KEY}",), "a key retired on 2026-11-14")
OLD_ALIAS = Unwanted("s1._domainkey.lantern.example", "CNAME", ("s1.pool.example",), "for pool, left on 2026-11-14")
OLD_SPF = Unwanted("lantern.example", "TXT", (), "for pool, left on 2026-11-14", ("include:pool.example",))
OLD_MX = Unwanted("send.lantern.example", "MX", ("10 feedback.pool.example",), "for pool, left on 2026-11-14")
BESIDE = changed(GOOD, "v=spf1 include:spf", "v=spf1 include:pool.example include:spf")
STANDING = f"""{BESIDE}
old._domainkey 300 TXT "v=DKIM1; p={OTHER_KEY}"
s1._domainkey 300 CNAME s1.pool.example.
send 300 MX 10 feedback.pool.example.
"""
EVERY = (OLD_KEY, OLD_ALIAS, OLD_SPF, OLD_MX)


def wanted(unwanted: Iterable[Unwanted], here: Site | None = None) -> Desired:
    here = here or site()
    return records.desired(here, [key()], relays.records(here), unwanted=unwanted)


def planned(text: str, unwanted: Iterable[Unwanted] = EVERY, **outages: Word) -> tuple[Plan, Any]:
    want, here = wanted(unwanted), site()
    seen = zone.observe(here, want, wire=world(text, **outages))
    plan = records.diff(want, seen)
    return plan, records.verify(want, seen, plan)


def removals(plan: Plan) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {c.target: (c.removed, c.added) for c in plan if isinstance(c, RecordChange)}


def test_what_is_left_of_a_key_and_a_relay_is_planned_away_and_nothing_else() -> None:
    plan, checks = planned(STANDING)
    assert removals(plan) == {
        f"{OLD} TXT": ((f'"v=DKIM1; p={OTHER_KEY}"',), ()),
        "s1._domainkey.lantern.example CNAME": (("s1.pool.example.",), ()),
        "send.lantern.example MX": (("10 feedback.pool.example.",), ()),
        "lantern.example TXT": (
            ('"v=spf1 include:pool.example include:spf.example.net ~all"',),
            ("v=spf1 include:spf.example.net ~all",),
        ),
    }
    assert not plan.refusals
    assert not records.dangers(plan)
    for unwanted in EVERY:
        assert row(checks, unwanted.check).status is Status.PENDING


def test_where_nothing_stands_nothing_is_planned() -> None:
    plan, checks = planned(GOOD)
    assert not plan
    for unwanted in EVERY:
        assert row(checks, unwanted.check).status is Status.PASS


def test_only_a_retirement_lets_a_value_go_without_a_successor() -> None:
    plan, _ = planned(STANDING, [OLD_KEY])
    (removal,) = plan
    assert isinstance(removal, RecordChange)
    assert records.dangers([replace(removal, retired=False)])


@pytest.mark.parametrize(
    "theirs",
    [
        f'old._domainkey 300 TXT "v=DKIM1; p={KEY}"',
        "old._domainkey 300 CNAME key.elsewhere.example.",
        'old._domainkey 300 TXT "something else"',
        's1._domainkey 300 TXT "v=DKIM1; p="',
        "s1._domainkey 300 CNAME s1.elsewhere.example.",
        "send 300 MX 10 feedback.elsewhere.example.",
        'send 300 TXT "v=spf1 include:pool.example ~all"',
    ],
)
def test_what_others_put_there_stays(theirs: str) -> None:
    plan, checks = planned(f"{GOOD}\n{theirs}\n")
    assert not plan
    assert {row(checks, u.check).status for u in EVERY} == {Status.PASS}


def test_a_value_of_others_beside_ours_stays_and_ours_goes() -> None:
    plan, _ = planned(f'{STANDING}\nold._domainkey 300 TXT "a note"\n', [OLD_KEY])
    (removal,) = plan
    assert isinstance(removal, RecordChange)
    assert removal.removed == (f'"v=DKIM1; p={OTHER_KEY}"',)
    assert set(removal.stands) == {f'"v=DKIM1; p={OTHER_KEY}"', '"a note"'}


def test_what_is_wanted_again_is_not_unwanted() -> None:
    again = Unwanted("mail._domainkey.lantern.example", "TXT", key().values, "a key retired on 2026-11-14")
    alias = Unwanted(f"{DKIM['selector']}._domainkey.lantern.example", "CNAME", (DKIM["cname"],), "for office, left")
    pool = Unwanted("lantern.example", "TXT", (), "for office, left", ("include:spf.example.net",))
    assert wanted([again, alias, pool]).unwanted == ()
    both = replace(pool, mechanisms=("include:spf.example.net", "include:pool.example"))
    assert wanted([both]).unwanted == (replace(both, mechanisms=("include:pool.example",)),)


def test_a_network_that_lets_a_wanted_address_pass_is_not_unwanted() -> None:
    here = site(relays={"office": {"provider": "smtp", "host": "smtp.example.net", "spf": "ip4:192.0.2.7"}})
    pool = Unwanted("lantern.example", "TXT", (), "for office, left", ("ip4:192.0.2.0/24", "ip4:192.0.3.0/24"))
    assert wanted([pool], here).unwanted == (replace(pool, mechanisms=("ip4:192.0.3.0/24",)),)


def test_one_change_an_rrset_the_addition_first() -> None:
    lacking = changed(BESIDE, " include:spf.example.net", "")
    plan, _ = planned(lacking, [OLD_SPF])
    assert removals(plan)["lantern.example TXT"][1] == ("v=spf1 include:pool.example include:spf.example.net ~all",)
    assert len(plan) == 1


def test_a_mechanism_goes_however_it_is_written_and_an_unreadable_record_stays() -> None:
    plan, _ = planned(changed(BESIDE, "include:pool.example", "+include:POOL.example."), [OLD_SPF])
    assert removals(plan)["lantern.example TXT"][1] == ("v=spf1 include:spf.example.net ~all",)
    broken, checks = planned(changed(BESIDE, "include:pool.example", "include:pool.example ip4:x"), [OLD_SPF])
    assert not removals(broken)
    assert row(checks, "dns.spf lantern.example").status is Status.FAIL


def test_nobody_heard_is_unknown_and_stops_nothing() -> None:
    plan, checks = planned(STANDING, [OLD_KEY], **{AUTHORITY.replace(".", "_"): Word.TIMEOUT})
    assert not plan
    found = row(checks, OLD_KEY.check)
    assert (found.status, found.blocks) == (Status.UNKNOWN, False)


def test_accepted_and_still_there_is_a_fault_of_the_server() -> None:
    want, here = wanted([OLD_KEY]), site()
    before = zone.observe(here, want, wire=world(STANDING))
    plan = records.diff(want, before)
    seen = zone.observe(here, want, after=Outcome(plan, tuple(plan), applied=True), wire=world(STANDING))
    assert row(records.verify(want, seen, plan), OLD_KEY.check).status is Status.FAIL
    gone = zone.observe(here, want, after=Outcome(plan, tuple(plan), applied=True), wire=world(GOOD))
    assert row(records.verify(want, gone, plan), OLD_KEY.check).status is Status.PASS


def test_resolvers_are_not_asked_for_what_may_go() -> None:
    want, here = wanted([OLD_KEY]), site()
    seen = zone.observe(here, want, wire=world(STANDING))
    assert {a.server for a in seen if a.question.name == OLD} == {AUTHORITY}
    assert RESOLVER not in {a.server for a in seen if a.question.name == OLD}


def test_by_hand_the_panel_says_what_to_remove() -> None:
    plan, _ = planned(STANDING, [OLD_KEY])
    shown = str(zone.publish(site(), plan, apply=True))
    assert "remove it" in shown
    assert f'; remove: {OLD}. TXT "v=DKIM1; p={OTHER_KEY}"' in shown
