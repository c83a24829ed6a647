"""The verdict on a whole run: every message has its rows, each name stands once, and what is alike is one row."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
import sites
from letters import AT, MARKER, Out, zone
from test_following import FRIEND, HI, NOBODY, OUT, attempt, dsn

from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.judging import verdict
from runbooklib.delivery.messages import Form, Letter, Letters, Route
from runbooklib.delivery.proving import Proven, authenticated
from runbooklib.results import Checklist, Status

BOUNCE = Letter(9, Route.BOUNCE, "lantern.example", HI, NOBODY)
FORMS = tuple(replace(OUT, number=n, form=form, answered_in="") for n, form in enumerate(Form, 2))
LETTERS = (OUT, *FORMS[1:], BOUNCE)
NAME = f"outbound lantern.example {FRIEND}"


def parcel(letter: Letter, message: Out) -> Parcel:
    """A message that arrived where it should, or came back."""
    handed = Handed(letter, "accepted", "250 Ok: queued as 9EAA", AT, "9EAA", "TLSv1.3 X")
    if letter is BOUNCE:
        return Parcel(handed, (Copy(letter.number, "bounce", HI, "INBOX", AT + 1, dsn(NOBODY)),), None, (attempt(),))
    copies = [Copy(letter.number, "message", FRIEND, "INBOX", AT + 2, message.raw())]
    copies += [Copy(letter.number, "answer", HI, "INBOX", AT + 3, b"Subject: Re: x\r\n\r\n")] * (letter is OUT)
    return Parcel(handed, tuple(copies), None, (attempt(),))


def judged(bent: Letter | None = None, message: Out | None = None) -> Checklist:
    """The verdict on all of them, of which one arrived as another message."""
    parcels = tuple(parcel(each, message if message and each is bent else Out()) for each in LETTERS)
    sent = Sent(Letters("run", MARKER, LETTERS), tuple(p.handed for p in parcels), applied=True)
    arrived, here = Arrived(sent, parcels, (), {}, 30), sites.make()
    return verdict(here, Proven(arrived, asyncio.run(authenticated(zone(), here, arrived)).proofs))


@pytest.fixture(scope="module")
def good() -> Checklist:
    return judged()


def test_a_good_run_is_as_long_as_one_message_of_each_kind(good: Checklist) -> None:
    assert good.status is Status.PASS, str(good)
    about = Counter(name for c in good for name in (NAME, "bounce lantern.example") if name in c.name)
    assert about["bounce lantern.example"] == 3
    assert len(good) == sum(about.values())
    assert good[f"delivery.spf {NAME}"].observed.startswith(f"{len(LETTERS) - 1} messages: spf=pass")


def test_no_two_rows_have_one_name(good: Checklist) -> None:
    for found in (good, judged(FORMS[3], Out(selectors=())), judged(OUT, Out(selectors=()))):
        assert [name for name, times in Counter(c.name for c in found).items() if times > 1] == []


def test_one_form_that_breaks_stands_out_and_the_others_stay_one_row(good: Checklist) -> None:
    found = judged(FORMS[2], Out(selectors=()))
    broken = [c for c in found if c.status is Status.FAIL]
    assert [c.name for c in broken] == [f"delivery.dkim {NAME} attachment 587 mail"]
    assert found[f"delivery.dkim {NAME} mail"].observed.startswith(f"{len(LETTERS) - 2} messages: ")
    assert {c.name for c in good} <= {c.name for c in found}


def test_the_answer_is_awaited_of_one_form_only(good: Checklist) -> None:
    assert not good[f"delivery.answered {NAME}"].observed.startswith("2 messages")
    assert sum("delivery.answered" in c.name for c in good) == 1


def test_what_is_only_shown_is_pending_in_one_row_each() -> None:
    plan = Letters("run", MARKER, LETTERS)
    found = verdict(sites.make(), Proven(Arrived(Sent(plan))))
    assert [(c.name, c.status, c.expected) for c in found] == [
        (f"delivery.sent {NAME}", Status.PENDING, f"{len(LETTERS) - 1} messages sent and seen"),
        ("delivery.sent bounce lantern.example", Status.PENDING, "sent and seen"),
    ]
