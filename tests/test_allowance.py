"""How much a run takes of a provider's allowance, and how fast: counted and paced before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest
from sites import given
from test_delivery import FRIEND, TEST, site
from test_letters import REHEARSED, RESEND, RUN

from runbooklib.delivery import allowance, pacing, planning, sending
from runbooklib.delivery.allowance import Use
from runbooklib.delivery.messages import Route
from runbooklib.params import load
from runbooklib.results import UnsafePlanError

REAL = {"recipients": [FRIEND | {"address": f"{name}@lantern.dev"} for name in ("a", "b")], "reflector": "echo@x.dev"}


@pytest.mark.parametrize(
    ("use", "excessive", "said"),
    [
        (
            Use("r", 10, "100/d"),
            False,
            "10 recipients, 10 % of its allowance of 100 a day; a run",
        ),
        (Use("r", 11, "100/d"), True, "11 recipients, 11 % of its allowance"),
        (Use("r", 1, "300/h"), False, "1 recipient, 0.33 % of its allowance of 300 an hour"),
        (Use("r", 1, "9/d"), True, "1 recipient, 11 % of its allowance of 9 a day"),
        (Use("r", 10), False, "10 recipients; its allowance is not known, so 10 at most"),
        (Use("r", 11), True, "11 recipients; its allowance is not known, so 10 at most"),
    ],
)
def test_a_tenth_of_the_allowance_is_the_most(use: Use, excessive: bool, said: str) -> None:
    assert use.excessive is excessive
    assert str(use).startswith(said)


def test_reflector_and_bounce_count_and_what_comes_in_does_not() -> None:
    here = site(relays__office=RESEND, test=REAL)
    assert allowance.uses(here, planning.plan(here)) == (Use("office", 4, "100/d"),)
    direct = site(domains__0__relay="direct")
    assert allowance.uses(direct, planning.plan(direct)) == ()


def test_each_relay_is_counted_by_itself() -> None:
    told = given(test=REAL)
    told["domains"].append({"name": "pier.example", "relay": "pier", "mailboxes": [
        {"address": "post@pier.example", "password": "env:P"}]})  # fmt: skip
    told["relays"]["pier"] = RESEND
    here = load(told)
    assert allowance.uses(here, planning.plan(here)) == (Use("office", 3), Use("pier", 4, "100/d"))


def test_what_a_catch_all_sends_on_counts_too() -> None:
    here = site(domains__0__catch_all="hi@lantern.dev")
    plan = planning.plan(here).only(lambda letter: letter.route is Route.CATCH_ALL)
    assert allowance.uses(here, plan) == (Use("office", 1),)
    assert allowance.uses(site(), plan) == ()


def test_too_much_is_refused_before_anything_is_sent() -> None:
    here = site(relays__office=RESEND, test=REAL | {"matrix": True})
    plan = planning.plan(here)
    assert "set relays.office.allowance to what your plan allows" in str(plan)
    with pytest.raises(UnsafePlanError, match=r"relays\.office: 26 recipients, 26 % of its allowance of 100 a day"):
        sending.send(here, plan, apply=True)
    assert not sending.send(here, plan, apply=False)


def paced(**changes: Any) -> dict[str, float]:
    here = site(**changes)
    plan = planning.plan(here, RUN)
    found = pacing.times(here, plan)
    return {a.name: found[a.number] for a in plan if not a.inbound}


def test_two_seconds_lie_between_two_messages_to_one_domain() -> None:
    assert paced(test=REAL) == {
        "outbound lantern.example a@lantern.dev": 0,
        "outbound lantern.example b@lantern.dev": 2,
        "reflector lantern.example": 0,
    }


def test_a_provider_is_not_outpaced() -> None:
    times = paced(relays__office=RESEND, test=REAL)
    assert times == {
        "outbound lantern.example a@lantern.dev": 0,
        "outbound lantern.example b@lantern.dev": 2,
        "reflector lantern.example": 2.5,
        "bounce lantern.example": 3,
    }
    assert all(b - a >= 0.5 for a, b in zip(sorted(times.values()), sorted(times.values())[1:], strict=False))


def test_the_testbed_gets_all_at_once_but_not_who_is_real() -> None:
    assert set(paced(server=REHEARSED).values()) == {0}
    assert len(paced(server=REHEARSED)) == 14
    assert set(paced(server=REHEARSED, test=TEST | REAL).values()) == {0, 2}


def test_no_message_waits_longer_than_the_pauses_before_it() -> None:
    here = site(test=REAL | {"matrix": True}, relays__office__allowance="1000/d")
    plan = planning.plan(here, RUN)
    found = pacing.times(here, plan)
    to = [sorted(found[a.number] for a in plan if a.recipient.endswith(domain)) for domain in ("lantern.dev", "x.dev")]
    assert to == [[2.0 * i for i in range(24)], [0.0]]
