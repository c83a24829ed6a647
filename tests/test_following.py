"""Bad days of a message on its way: each is a row that says what is known, what is not, and what to do next."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import sites
from letters import AT, KEPT, MARKER, RELAYED, SUBMITTED, TAKEN, Out

from runbooklib.delivery import duplicates, following, returning
from runbooklib.delivery.arriving import Arrived, Copy, Kind, Parcel, Trouble, answering
from runbooklib.delivery.cases import Case
from runbooklib.delivery.handover import Fate, Handed, Sent
from runbooklib.delivery.messages import Form, Letter, Letters, Route
from runbooklib.delivery.proving import Proven
from runbooklib.maillog import Attempt, Refusal
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN, PENDING = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN, Status.PENDING
HI, FRIEND, NOBODY = "hi@lantern.example", "friend@stranger.example", "nobody@stranger.example"
OUT = Letter(1, Route.OUTBOUND, "lantern.example", HI, FRIEND, FRIEND, HI)
IN = Letter(1, Route.INBOUND, "lantern.example", FRIEND, HI, HI)
BOUNCE = Letter(1, Route.BOUNCE, "lantern.example", HI, NOBODY)
RELAY, MX = "smtp.example.net[198.51.100.5]:587", "mx.stranger.example[198.51.100.6]:25"
GREY = f"host {MX[:-3]} said: 451 4.7.1 Greylisting in action, please come back later (in reply to RCPT TO command)"
FULL = f"host {MX[:-3]} said: 452 4.2.2 The recipient's mailbox is full (in reply to RCPT TO command)"


def attempt(
    status: str = "sent", said: str = "250 2.0.0 Ok: queued as C60332F61DD", relay: str = RELAY, **at: str
) -> Attempt:
    return Attempt(at.get("time", "2026-11-21T20:16:14+00:00"), "postfix/smtp", FRIEND, relay, "2.0.0", status, said)


def copy(raw: bytes, kind: Kind = "message", box: str = FRIEND, **more: Any) -> Copy:
    return Copy(1, kind, box, more.get("folder", "INBOX"), AT + 2, raw, more.get("junk", False))


def case(
    letter: Letter = OUT,
    copies: tuple[Copy, ...] = (),
    tries: tuple[Attempt, ...] = (attempt(),),
    troubles: dict[str, Trouble] | None = None,
    fate: Fate = "accepted",
    refusals: tuple[Refusal, ...] = (),
    reply: str = "250 Ok: queued as 9EAA32F83C2",
    **changes: Any,
) -> Case:
    handed = Handed(letter, fate, reply, AT, "9EAA32F83C2", "TLSv1.3 X")
    parcel = Parcel(handed, copies, None, tries, (), refusals)
    sent = Sent(Letters("run", MARKER, (letter,)), (handed,), applied=True)
    return Case(sites.make(**changes), Proven(Arrived(sent, (parcel,), (), troubles or {}, 30)), parcel)


def dsn(recipient: str, status: str = "5.1.1", action: str = "failed", said: str = "550 5.1.1 no such user") -> bytes:
    """A bounce as Postfix writes it (RFC 3464)."""
    lines = [
        "From: MAILER-DAEMON@smtp.example.net", f"To: {HI}", "Subject: Undelivered Mail Returned to Sender",
        "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "",
        "--b", "", "I'm sorry to have to inform you.", "--b", "Content-Type: message/delivery-status", "",
        "Reporting-MTA: dns; smtp.example.net", "", f"Final-Recipient: rfc822; {recipient}", f"Action: {action}",
        f"Status: {status}", f"Diagnostic-Code: smtp; {said}", "", "--b", "Content-Type: text/rfc822-headers", "",
        f"Subject: runbook test {MARKER}.1: bounce", f"Message-ID: <{MARKER}.1@lantern.example>", "", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("form", "expected"), [(Form.SUB_ADDRESS, WARN), (Form.ALIAS, WARN), (Form.PLAIN, FAIL), (Form.HTML, FAIL)]
)
def test_a_relay_that_takes_only_mailboxes_as_senders_is_a_limit(form: Form, expected: Status) -> None:
    refused = attempt("bounced", f"host {RELAY[:-4]} said: 550 Sender verify failed")
    row = following.relayed(case(replace(OUT, form=form), tries=(refused,)))
    assert row.status is expected
    assert "Sender verify failed" in row.observed
    assert row.fix


@pytest.mark.parametrize("letter", [OUT, IN])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("RCPT TO: 451 4.7.1 try again", UNKNOWN),
        ("MAIL FROM: 421 4.7.0 too many connections", UNKNOWN),
        ("DATA: 421 4.3.2 shutting down", UNKNOWN),
        ("452 4.3.1 Insufficient system storage", UNKNOWN),  # after the message
        ("RCPT TO: 554 5.7.1 Service unavailable; Client host [198.51.100.7] blocked using zen.spamhaus.org", UNKNOWN),
        ("MAIL FROM: 553 5.7.1 <hi@lantern.example>: Sender address rejected: not owned by user", FAIL),
        ("RCPT TO: 550 5.1.2 Domain not found", FAIL),
        ("DATA: 554 5.3.0 no", FAIL),
    ],
)
def test_submission_that_puts_us_off_is_not_known_to_refuse(letter: Letter, said: str, expected: Status) -> None:
    row = following.accepted(case(letter, fate="refused", reply=said))
    assert (row.status, row.observed.startswith(said), bool(row.fix)) == (expected, True, True)
    there = case(IN, copies=())
    refused = replace(there.parcel, answer=Handed(IN, "refused", said, AT))
    assert following.answered(replace(there, parcel=refused)).status is expected


# put off


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (GREY, PENDING),
        ("host mx[192.0.2.1] said: 450 4.2.0 <a@b.c>: Recipient address rejected: Greylisted, see http://x", PENDING),
        ("host mx[192.0.2.1] said: 421-4.7.28 Gmail has detected an unusual rate of unsolicited mail", PENDING),
        ("host mx[192.0.2.1] said: 421 4.7.0 [TSS04] Messages from 192.0.2.9 temporarily deferred", PENDING),
        ("host mx[192.0.2.1] said: 451 4.7.650 The mail server has been temporarily rate limited", PENDING),
        ("host mx[192.0.2.1] said: 450 4.3.2 Service currently unavailable", PENDING),
        (FULL, UNKNOWN),
        ("host mx[192.0.2.1] said: 454 4.7.1 Relay access denied", UNKNOWN),
        ("SASL authentication failed; server smtp.example.net[198.51.100.5] said: 535 5.7.8 no", FAIL),
        ("connect to smtp.example.net[198.51.100.5]:587: Connection refused", FAIL),
        ("Server certificate not trusted", FAIL),
    ],
)
def test_what_time_alone_mends_is_told_from_what_it_does_not(said: str, status: Status) -> None:
    row = following.relayed(case(tries=(attempt("deferred", said),)))
    assert row.status is status
    assert said in row.observed
    assert row.fix


def test_greylisted_and_taken_later_says_by_whom_in_which_words_and_when() -> None:
    later = attempt(time="2026-11-21T20:21:20+00:00", relay=MX)
    row = following.relayed(case(tries=(attempt("deferred", GREY, MX), later), domains__0__relay="direct"))
    assert row.status is PASS
    assert "put off once before, first at 20:16:14, taken at 20:21:20, by mx.stranger.example" in row.observed
    assert "451 4.7.1 Greylisting in action" in row.observed


def test_put_off_past_wait_is_pending_and_so_is_its_arrival() -> None:
    put_off = case(tries=(attempt("deferred", GREY, MX),) * 2, domains__0__relay="direct")
    rows = [following.relayed(put_off), following.arrived_at(put_off)]
    assert [row.status for row in rows] == [PENDING, PENDING]
    assert "not there within 30 s; put off by mx.stranger.example" in rows[1].observed
    assert all("tries again by itself" in row.fix for row in rows)


def test_our_own_server_greylists_what_comes_in() -> None:
    said = "450 4.2.0 <hi@lantern.example>: Recipient address rejected: Greylisted"
    refusal = Refusal(
        "2026-11-21T20:16:13+00:00", "mx.stranger.example[198.51.100.6]", FRIEND, HI, said, permanent=False
    )
    row = following.arrived_at(case(IN, tries=(), refusals=(refusal,)))
    assert (row.status, said in row.observed) == (PENDING, True)
    row = following.arrived_at(case(IN, tries=(), refusals=(replace(refusal, said="554 5.7.1 no", permanent=True),)))
    assert (row.status, "refused it" in row.observed) == (FAIL, True)


def test_an_answer_that_does_not_come_back_says_where_it_was_left() -> None:
    there = case(copies=(copy(Out().raw()),))
    answer = Handed(OUT, "accepted", "250 2.0.0 Ok: queued as 4ABC", AT + 3)
    gone = replace(there, parcel=replace(there.parcel, answer=answer))
    row = following.answered(gone)
    assert row.status is UNKNOWN
    assert "not there within 30 s; the answer was handed over there: 250 2.0.0 Ok: queued as 4ABC" in row.observed
    assert "MX record" in row.fix
    said = "450 4.7.1 <hi@lantern.example>: Greylisted"
    grey = Refusal("2026-11-21T20:16:20+00:00", "mx[198.51.100.6]", FRIEND, HI, said, permanent=False)
    put_off = replace(gone, parcel=replace(gone.parcel, refusals=(grey,)))
    assert (following.answered(put_off).status, said in following.answered(put_off).observed) == (PENDING, True)
    assert (
        "put it off" not in following.arrived_at(replace(put_off, parcel=replace(put_off.parcel, copies=()))).observed
    )


def test_a_notice_of_delay_is_no_bounce() -> None:
    late = dsn(FRIEND, "4.4.1", "delayed", "connect to mx.stranger.example: Connection timed out")
    row = following.arrived_at(case(copies=(copy(late, "delay", HI),)))
    assert row.status is PENDING
    assert "it is still tried" in row.observed
    assert "4.4.1" in row.observed


# given back


def test_the_relay_accepts_and_then_bounces() -> None:
    bounced = case(copies=(copy(dsn(FRIEND, "5.2.2", said="552 5.2.2 mailbox full"), "bounce", HI),))
    assert following.relayed(bounced).status is PASS
    row = following.arrived_at(bounced)
    assert row.status is FAIL
    for word in ("smtp.example.net[198.51.100.5]:587 had accepted it", "5.2.2", FRIEND, "552 5.2.2 mailbox full"):
        assert word in row.observed
    assert row.fix
    assert row.ref


def test_a_bounce_without_a_readable_part_still_says_what_it_can() -> None:
    raw = b"From: postmaster@x.example\r\nSubject: Undeliverable: test\r\n\r\nNobody knows.\r\n"
    row = following.arrived_at(case(copies=(copy(raw, "bounce", HI),)))
    assert (row.status, "Undeliverable: test" in row.observed) == (FAIL, True)


def test_our_own_server_gives_up() -> None:
    row = following.relayed(case(tries=(attempt("bounced", "host r[192.0.2.1] said: 550 5.7.1 not verified"),)))
    assert (row.status, "bounced for good" in row.fix) == (FAIL, True)


def back(letter: Letter = BOUNCE, *notices: bytes, **more: Any) -> Check:
    row = returning.returned(case(letter, tuple(copy(raw, "bounce", HI) for raw in notices), **more))
    assert row
    return row


@pytest.mark.parametrize(
    ("notice", "status"),
    [
        (dsn(NOBODY), PASS),
        (dsn(NOBODY, "5.0.0", said="550 no"), PASS),
        (dsn(NOBODY, "5.7.1", said="550 5.7.1 spam"), FAIL),  # for another reason than the one that was asked for
        (dsn(NOBODY, "4.4.1", "delayed", "timed out"), FAIL),
        (dsn(FRIEND), WARN),  # about somebody else
        (b"From: MAILER-DAEMON@x.example\r\nSubject: Undelivered\r\n\r\nno\r\n", WARN),
    ],
)
def test_the_bounce_that_was_asked_for(notice: bytes, status: Status) -> None:
    row = back(BOUNCE, notice)
    assert (row.name, row.status) == ("delivery.bounced bounce lantern.example", status)
    assert "given back by" in row.observed


def test_no_bounce_is_unknown_and_the_mailbox_may_be_why() -> None:
    late = back()
    assert (late.status, "no bounce within 30 s; last known: smtp.example.net" in late.observed) == (UNKNOWN, True)
    dark = back(troubles={HI: Trouble("login refused", "an app password")})
    assert (dark.status, dark.fix, "login refused" in dark.observed) == (UNKNOWN, "an app password", True)


def test_a_bounce_to_the_providers_return_path_is_not_looked_for_here() -> None:
    assert returning.returned(case(BOUNCE, relays__office__return_path="send")) is None
    assert returning.returned(case(OUT)) is None


def test_refused_at_once_is_a_way_to_bounce() -> None:
    row = following.relayed(case(BOUNCE, tries=(attempt("bounced", "host r[192.0.2.1] said: 550 5.1.1 no"),)))
    assert row.status is PASS


# elsewhere, unread, twice


def test_filed_as_junk_says_what_the_filter_wrote() -> None:
    raw = b"X-Spam-Status: Yes, score=7.3 required=5\r\n" + Out().raw()
    row = following.arrived_at(case(copies=(copy(raw, folder="Werbung", junk=True),)))
    assert row.status is WARN
    assert "in Werbung after 2.0 s; X-Spam-Status: Yes, score=7.3" in row.observed
    assert "SPF" in row.fix


def test_filed_by_a_rule_is_told_from_junk() -> None:
    row = following.arrived_at(case(copies=(copy(Out().raw(), folder="Work"),)))
    assert (row.status, "a rule" in row.fix) == (WARN, True)


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble("IMAP login as friend: no", "make an app password"),
        Trouble("imap.example.org:993: no answer", "firewalls"),
    ],
)
def test_a_mailbox_that_cannot_be_read_says_why_and_what_to_do(trouble: Trouble) -> None:
    row = following.arrived_at(case(troubles={FRIEND: trouble}))
    assert (row.status, row.fix) == (UNKNOWN, trouble.fix)
    assert trouble.said in row.observed


def test_not_there_in_time_says_where_it_was_last_seen() -> None:
    row = following.arrived_at(case())
    assert row.status is UNKNOWN
    assert "not there within 30 s; last known: smtp.example.net[198.51.100.5]:587: 250 2.0.0 Ok" in row.observed
    assert "smtp.example.net's own log" in row.fix
    assert "does not know it" in following.arrived_at(case(IN, tries=())).observed
    assert "does not know it" not in following.arrived_at(case(IN, tries=(), troubles={"log": Trouble("x")})).observed


def test_no_attempt_is_wrong_only_of_what_was_taken_and_waited_for_long_enough() -> None:
    hanging = case(tries=())
    assert following.relayed(hanging).status is FAIL
    soon = replace(hanging, proven=replace(hanging.proven, arrived=replace(hanging.arrived, wait=3)))
    assert following.relayed(soon).status is UNKNOWN
    assert following.relayed(case(tries=(), fate="unknown")).status is UNKNOWN


def arrived_by(*ways: tuple[str, ...]) -> str:
    return duplicates.origin([copy(("\n".join([*reversed(way), "Subject: x"]) + "\n\n").encode()) for way in ways])


def again(header: str) -> str:
    """The same hop with another queue id."""
    return re.sub(r"\bid \w+", "id ANOTHER", header)


@pytest.mark.parametrize(
    ("ways", "words"),
    [
        (((SUBMITTED, RELAYED, TAKEN), (SUBMITTED, RELAYED, again(TAKEN))), "smtp.example.net had one"),
        (((SUBMITTED, RELAYED, TAKEN), (SUBMITTED, again(RELAYED), again(TAKEN))), "mail.lantern.example had one"),
        (((SUBMITTED, TAKEN, KEPT), (SUBMITTED, TAKEN, again(KEPT))), "mx.stranger.example had one"),
        (((SUBMITTED, TAKEN), (SUBMITTED, TAKEN)), "mx.stranger.example, which stored it twice"),
        (((SUBMITTED, TAKEN), (again(SUBMITTED), again(TAKEN))), "handed over twice"),
        (((), ()), "handed over twice"),
    ],
)
def test_which_host_made_two_of_one(ways: tuple[tuple[str, ...], ...], words: str) -> None:
    assert words in arrived_by(*ways)


def test_two_copies_warn_and_say_whose_doing_it_is() -> None:
    raw = Out().raw()
    row = following.once(case(copies=(copy(raw), copy(raw))))
    assert row.status is WARN
    assert "2 copies; both came the same way up to mx.stranger.example" in row.observed


def test_one_message_of_each_kind_is_answered_the_plain_one_where_it_left() -> None:
    html = replace(OUT, number=2, form=Form.HTML)
    other = replace(OUT, number=3, domain="pier.example")
    plan = Letters("run", MARKER, (html, OUT, other, BOUNCE))
    handed = tuple(Handed(letter, "accepted", "") for letter in plan)
    assert answering(Sent(plan, handed, applied=True)) == {1, 3}
    refused = tuple(replace(h, fate="refused") if h.letter is OUT else h for h in handed)
    assert answering(Sent(plan, refused, applied=True)) == {2, 3}


def parcels(*letters: Letter, copies: tuple[Copy, ...] = (), fate: Fate = "accepted") -> tuple[Parcel, ...]:
    handed = (Handed(letter, fate, "250 Ok", AT, f"9EAA32F83C{letter.number}") for letter in letters)
    return tuple(Parcel(each, copies, None, (attempt(),) if copies else ()) for each in handed)


def shown(*found: Parcel, troubles: dict[str, Trouble] | None = None) -> list[tuple[str, ...]]:
    letters = tuple(parcel.letter for parcel in found)
    sent = Sent(Letters("run", MARKER, letters), tuple(p.handed for p in found), applied=True)
    return list(Arrived(sent, found, (), troubles or {}, 30).table().rows)


def test_how_far_each_message_came_with_the_ids_it_had_on_its_way() -> None:
    (row,) = shown(*parcels(OUT, copies=(copy(Out().raw()), copy(b"", "answer", HI))))
    assert row == (
        "answered", f"outbound lantern.example {FRIEND}", "9EAA32F83C1", "smtp.example.net as C60332F61DD",
        f"message in {FRIEND} INBOX; answer in {HI} INBOX", "2.0",
    )  # fmt: skip


def test_messages_of_one_kind_that_came_equally_far_are_one_row() -> None:
    forms = [replace(OUT, number=n, form=form) for n, form in enumerate((Form.PLAIN, Form.HTML, Form.ALIAS), 1)]
    late = replace(copy(Out().raw()), at=AT + 5)
    some = (*parcels(*forms[:2], copies=(copy(Out().raw()),)), *parcels(forms[2], copies=(late,)))
    assert [(row[0], row[1], row[5]) for row in shown(*some)] == [
        ("arrived", f"outbound lantern.example {FRIEND}: 3 messages", "2.0 to 5.0")
    ]
    lost = shown(*some[:2], *parcels(forms[2]), *parcels(IN, fate="unsent"), troubles={HI: Trouble("no login")})
    assert [row[0] for row in lost] == ["arrived", "accepted", "unsent", "not readable"]


@pytest.mark.parametrize(
    ("kinds", "tries", "step"),
    [
        (("message", "bounce"), ("sent",), "came back"),
        ((), ("deferred", "sent"), "handed on"),
        ((), ("deferred",), "deferred"),
        ((), (), "accepted"),
    ],
)
def test_the_furthest_step_counts(kinds: tuple[Kind, ...], tries: tuple[str, ...], step: str) -> None:
    found = case(copies=tuple(copy(b"", kind) for kind in kinds), tries=tuple(attempt(status) for status in tries))
    assert found.parcel.step == step
