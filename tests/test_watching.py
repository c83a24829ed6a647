"""Watching a run's messages: when it ends, what breaks, what counts as an answer, what the log adds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Timer

import pytest
import sites
from letters import AT, MARKER
from postoffice import PostOffice
from scripts import Authority
from test_searching import letter as written

from runbooklib.credentials import Secret
from runbooklib.delivery.arriving import LOG, Copy, Kind
from runbooklib.delivery.handover import Fate, Handed, Sent
from runbooklib.delivery.messages import Account, Letter, Letters, Route
from runbooklib.delivery.watching import Watch, look
from runbooklib.endpoint import Endpoint
from runbooklib.results import Status

HI, FRIEND = "hi@lantern.example", "friend@stranger.example"
IN = Letter(1, Route.INBOUND, "lantern.example", FRIEND, HI, HI)
OUT = Letter(2, Route.OUTBOUND, "lantern.example", HI, FRIEND, FRIEND, HI)
BOUNCE = Letter(3, Route.BOUNCE, "lantern.example", HI, "nobody@stranger.example")
REFLECTED = Letter(4, Route.REFLECTOR, "lantern.example", HI, "echo@stranger.example", answered_in=HI)
LOGIN = {"host": "127.0.0.1", "port": 1, "username": "friend", "password": "env:HI_PASSWORD"}
TEST = {"recipients": [{"address": FRIEND, "imap": LOGIN, "submission": LOGIN}]}


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def office(ca: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[PostOffice]:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")
    with PostOffice(ca.serving("mail.lantern.example"), {HI: "hi-Passw0rd"}) as office:
        yield office


def account(office: PostOffice, ca: Authority, port: int = 0) -> Account:
    where = Endpoint("mail.lantern.example", port or office.imaps, "implicit", ca.pem)
    return Account(where, HI, Secret("env:HI_PASSWORD"), "127.0.0.1")


LONG = 4  # seconds; more than a busy machine needs, less than waiting for nothing takes
SETTLES = 0.4  # seconds; longer than a look at a mailbox takes


def watching(*letters: Letter, wait: float = 20, fate: Fate = "accepted", at: float = 0.0) -> Watch:
    handed = tuple(Handed(each, fate, "250 Ok", at or time.time(), f"9EAA32F83C{each.number}") for each in letters)
    return Watch(
        sites.make(test=TEST), Sent(Letters("run", MARKER, letters), handed, applied=True), wait, settles=SETTLES
    )


def copy(number: int, kind: Kind, box: str, raw: bytes = b"Subject: x\r\n\r\n") -> Copy:
    return Copy(number, kind, box, "INBOX", AT, raw)


def kinds(watch: Watch, number: int) -> set[str]:
    """What is still awaited of a message."""
    return {kind for n, kind, _ in watch.due if n == number}


def test_a_watch_ends_soon_after_the_last_message_came(office: PostOffice, ca: Authority) -> None:
    watch = watching(IN, wait=60)
    Timer(0.3, office.messages.append, [written(1)]).start()
    look(watch, HI, account(office, ca))
    assert time.monotonic() < watch.deadline - 30
    assert not watch.due
    assert [c.number for c in watch.parcel(watch.handed[1]).copies] == [1]


def test_a_second_copy_that_comes_right_after_is_seen(office: PostOffice, ca: Authority) -> None:
    office.messages.append(written(1))
    Timer(SETTLES / 4, office.messages.append, [written(1)]).start()
    watch = watching(IN)
    look(watch, HI, account(office, ca))
    assert len(watch.copies) == 2


def test_time_is_up_and_the_rest_stays_due(office: PostOffice, ca: Authority) -> None:
    office.folders = {"Work": [written(1)]}
    watch, began = watching(IN, replace(IN, number=9), wait=0.5), time.monotonic()
    look(watch, HI, account(office, ca))
    assert time.monotonic() - began >= 0.5
    assert [c.folder for c in watch.copies] == ["Work"]  # where a rule filed it: looked into when time was up
    assert kinds(watch, 9) == {"message"}


def test_a_wrong_password_is_tried_once_and_said(
    office: PostOffice, ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HI_PASSWORD", "not-the-password")
    office.says_no = "[ALERT] Application-specific password required"
    watch = watching(IN)
    look(watch, HI, account(office, ca))
    assert office.logins == [HI]
    assert "Application-specific password" in watch.troubles[HI].said
    assert "app password" in watch.troubles[HI].fix
    assert "not-the-password" not in str(watch.troubles)
    assert not watch.due


def test_nobody_listens_there(office: PostOffice, ca: Authority) -> None:
    watch = watching(IN)
    look(watch, HI, account(office, ca, port=1))
    assert "connection refused" in watch.troubles[HI].said
    assert "firewalls" in watch.troubles[HI].fix


def test_a_connection_that_breaks_is_opened_once_more_and_nothing_is_read_twice(
    office: PostOffice, ca: Authority
) -> None:
    office.messages.append(written(1))
    office.breaks = 1
    watch = watching(IN)
    look(watch, HI, account(office, ca))
    assert (len(watch.copies), watch.troubles, len(office.logins)) == (1, {}, 2)


def test_one_that_keeps_breaking_is_unreadable(office: PostOffice, ca: Authority) -> None:
    office.breaks = 9
    watch = watching(IN)
    look(watch, HI, account(office, ca))
    assert (list(watch.troubles), len(office.logins)) == ([HI], 2)


def test_what_cannot_be_seen_to_arrive_cannot_be_answered() -> None:
    watch = watching(OUT)
    assert kinds(watch, 2) == {"message", "answer", "attempt"}
    watch.unreadable(FRIEND, OSError("no"))
    assert kinds(watch, 2) == {"attempt"}


def test_what_was_not_taken_is_not_awaited() -> None:
    watch = watching(IN, OUT, fate="refused")
    assert (watch.due, watch.readers()) == (set(), set())


def test_a_copy_in_another_mailbox_is_not_the_one_that_arrived() -> None:
    watch = watching(OUT)
    watch.found([copy(2, "message", HI), copy(77, "message", FRIEND)])  # a sent copy, and another run's
    assert (watch.copies, kinds(watch, 2)) == ([], {"message", "answer", "attempt"})


def test_a_machine_s_answer_is_none_but_the_reflectors_is() -> None:
    watch, automatic = watching(OUT, REFLECTED), b"Auto-Submitted: auto-replied\r\nSubject: Re: x\r\n\r\n"
    watch.found([copy(2, "answer", HI, automatic), copy(4, "answer", HI, automatic)])
    assert [c.kind for c in watch.copies] == ["notice", "answer"]
    assert "answer" in kinds(watch, 2)
    assert "answer" not in kinds(watch, 4)


def test_an_answer_that_could_not_be_written_is_not_awaited(office: PostOffice) -> None:
    del office
    watch = watching(OUT)  # whose recipient submits where nobody listens
    watch.found([copy(2, "message", FRIEND, written(2))] * 2)
    watch.stop()
    assert len(watch.writing) == 1  # once, however many copies came
    assert watch.answers[2].fate == "unsent"
    assert watch.parcel(watch.handed[2]).answer is watch.answers[2]


def test_what_an_earlier_walk_answered_is_not_answered_again() -> None:
    watch = watching(OUT)
    watch.answers[2] = Handed(OUT, "accepted", "250 Ok", earlier=True)
    watch.found([copy(2, "message", FRIEND, written(2))])
    assert (watch.writing, kinds(watch, 2)) == ([], {"answer", "attempt"})


def test_a_bounce_ends_the_waiting_for_a_message_and_is_what_one_waits_for() -> None:
    watch = watching(OUT, BOUNCE)
    assert kinds(watch, 3) == {"bounce", "attempt"}
    watch.found([copy(2, "bounce", HI), copy(3, "bounce", HI), copy(2, "delay", HI)])
    assert not kinds(watch, 2) | kinds(watch, 3)


TO_RELAY = "to=<friend@stranger.example>, relay=smtp.example.net[198.51.100.5]:587, delay=1, dsn=2.0.0, status=%s (%s)"


def line(text: str, program: str = "postfix/smtp", clock: str = "2026-11-21T20:16:14+00:00") -> str:
    return f"{clock} mail {program}[1]: {text}\n"


def attempt(number: int, status: str = "sent", said: str = "250 Ok: queued as C6") -> str:
    return line(f"9EAA32F83C{number}: {TO_RELAY % (status, said)}")


def test_the_log_ends_the_waiting_for_an_attempt_and_what_scrolled_out_stays_known() -> None:
    watch = watching(OUT)
    watch.followed(attempt(2, "deferred", "host mx[192.0.2.1] said: 451 4.7.1 Greylisted"))
    assert "attempt" in kinds(watch, 2)
    watch.followed(attempt(2))
    assert "attempt" not in kinds(watch, 2)
    assert [a.status for a in watch.parcel(watch.handed[2]).attempts] == ["deferred", "sent"]


def test_what_our_own_server_gave_up_is_awaited_nowhere_but_its_bounce_is() -> None:
    watch = watching(OUT, BOUNCE)
    watch.followed(attempt(2, "bounced", "550 no") + attempt(3, "bounced", "550 no"))
    assert (kinds(watch, 2), kinds(watch, 3)) == (set(), {"bounce"})


def test_what_was_perhaps_taken_is_found_in_the_log_by_its_message_id() -> None:
    watch = watching(OUT, fate="unknown")
    watch.handed[2] = replace(watch.handed[2], queue_id="")
    told = line(f"4AB832F83C2: message-id=<{MARKER}.2@lantern.example>", "postfix/cleanup")
    watch.followed(told + line(f"4AB832F83C2: {TO_RELAY % ('sent', '250 Ok')}"))
    assert [a.status for a in watch.parcel(watch.handed[2]).attempts] == ["sent"]


@pytest.mark.parametrize(
    ("clock", "seen"),
    [("2026-11-21T20:16:14+00:00", True), ("2026-11-21T19:16:14+00:00", False), ("Nov 21 20:16:14", False)],
)
def test_what_our_server_put_off_is_of_this_message_only_since_it_left(clock: str, seen: bool) -> None:
    watch = watching(IN, at=AT)
    said = "450 4.2.0 <hi@lantern.example>: Recipient address rejected: Greylisted"
    told = (
        f"NOQUEUE: reject: RCPT from mx.stranger.example[198.51.100.6]: {said}; from=<{FRIEND}> to=<{HI}> proto=ESMTP"
    )
    watch.followed(line(told, "postfix/smtpd", clock))
    refusals = watch.parcel(watch.handed[1]).refusals
    assert [(r.said, r.permanent) for r in refusals] == [(said, False)] * seen


def test_an_unreadable_log_is_said_and_forgotten_once_it_can_be_read() -> None:
    watch = watching(OUT)
    watch.unreadable(LOG, OSError("SSH broke"))
    assert (watch.troubles[LOG].said, "attempt" in kinds(watch, 2)) == ("SSH broke", False)
    watch.followed("")
    assert watch.troubles == {}


def test_the_next_look_comes_at_once_when_nothing_is_awaited_any_more() -> None:
    watch, began = watching(IN), time.monotonic()
    Timer(0.1, watch.found, [[copy(1, "message", HI)]]).start()
    watch.rest(2 * LONG)
    assert time.monotonic() - began < LONG


def test_the_way_back_of_an_answer_is_seen_in_the_log() -> None:
    watch = watching(IN, OUT, REFLECTED, at=AT)
    told = f"NOQUEUE: reject: RCPT from mx.x[198.51.100.6]: 450 4.7.1 Greylisted; from=<{FRIEND}> to=<{HI}> proto=ESMTP"
    watch.followed(line(told, "postfix/smtpd"))
    assert [len(watch.traces.refusals[number]) for number in (1, 2, 4)] == [1, 1, 0]


def test_postscreens_and_milters_refusals_are_read_like_smtpds() -> None:
    watch = watching(IN, at=AT)
    told = [
        "NOQUEUE: reject: RCPT from [198.51.100.6]:4025: 450 4.3.2 Service currently unavailable; {}",
        "4C72: milter-reject: END-OF-MESSAGE from mx.x[198.51.100.6]: 4.7.1 Greylisted; {}",
        "4C73: milter-reject: END-OF-MESSAGE from mx.x[198.51.100.6]: 5.7.1 Spam; {}",
    ]
    envelopes = [f"from=<{FRIEND}>, to=<{HI}>, proto=ESMTP", *[f"from=<{FRIEND}> to=<{HI}> proto=ESMTP"] * 2]
    told = [text.format(envelope) for text, envelope in zip(told, envelopes, strict=True)]
    watch.followed("".join(line(text, "postfix/smtpd") for text in told))
    refusals = watch.parcel(watch.handed[1]).refusals
    assert [r.permanent for r in refusals] == [False, False, True]


# what nobody thought of


def answered(raw: bytes) -> tuple[Watch, Handed]:
    """What becomes of the answer to a message that arrived so."""
    watch = watching(OUT)
    watch.found([copy(2, "message", FRIEND, raw)])
    watch.stop()
    for written_back in watch.writing:
        written_back.result()
    return watch, watch.answers[2]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (b"From: hi@lantern.example\r\nReply-To: c@evil.dev", "would go to c@evil.dev"),
        (b"From: hi@lantern.example\r\nReply-To: leaked@lantern.example", "would go to leaked@lantern.example"),
        (b"From: undisclosed:;", "would go to nobody"),
        (b"X: y", "would go to nobody"),
    ],
)
def test_an_answer_goes_to_nobody_but_us(header: bytes, words: str) -> None:
    watch, answer = answered(header + b"\r\nSubject: x\r\n\r\n")
    assert (answer.fate, words in answer.said, bool(answer.fix)) == ("unsent", True, True)
    assert "answer" not in kinds(watch, 2)


def test_an_answer_that_nobody_can_write_costs_no_other_evidence() -> None:
    watch = watching(replace(OUT, recipient="who@stranger.example", lands=FRIEND))  # of whom no login is known
    watch.found([copy(2, "message", FRIEND, b"From: hi@lantern.example\r\n\r\n")])
    watch.stop()
    assert watch.answers[2].said.startswith("KeyError: ")
    assert (watch.answers[2].fate, watch.answers[2].verdict) == ("unsent", Status.UNKNOWN)
    assert len(watch.copies) == 1


def test_a_mailbox_that_breaks_in_a_new_way_costs_no_other_evidence(office: PostOffice, ca: Authority) -> None:
    watch = watching(IN, OUT, at=1e15)  # a year that no calendar has
    watch.found([copy(2, "message", FRIEND, written(2))])
    look(watch, HI, account(office, ca))
    assert watch.troubles[HI].said.startswith("ValueError: ")
    assert watch.troubles[HI].fix
    assert [c.number for c in watch.copies] == [2]
