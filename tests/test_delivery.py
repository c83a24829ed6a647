"""Stage 05's messages and verdicts: each check passes on a good message and turns red on the matching bad one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
import sites
from letters import AT, DATE, KEPT, MARKER, RELAYED, RESULTS, SUBMITTED, TAKEN, In, Out, Zone, key, zone

from runbooklib.delivery import forms, planning
from runbooklib.delivery.arriving import Arrived, Copy, Kind, Parcel, Trouble
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.judging import verdict
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.paths import path
from runbooklib.delivery.proving import Proven, authenticated
from runbooklib.delivery.searching import classify
from runbooklib.delivery.sending import send
from runbooklib.eml import hops
from runbooklib.maillog import Attempt
from runbooklib.params import Site
from runbooklib.results import Checklist, Status

LOGIN = {"host": "mx.stranger.example", "port": 993, "username": "friend", "password": "env:P"}
FRIEND = {"address": "friend@stranger.example", "imap": LOGIN, "submission": LOGIN | {"port": 587}}
TEST = {"recipients": [FRIEND], "reflector": "echo@stranger.example", "smtp25": True}
PASS, WARN, FAIL, UNKNOWN, PENDING = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN, Status.PENDING


def site(**changes: Any) -> Site:
    return sites.make(**({"test": TEST} | changes))


OUTBOUND = Letter(
    1, Route.OUTBOUND, "lantern.example", "hi@lantern.example", "friend@stranger.example",
    "friend@stranger.example", "hi@lantern.example",
)  # fmt: skip
CATCH_ALL = Letter(
    3, Route.CATCH_ALL, "lantern.example", "friend@stranger.example", "probe-x@lantern.example", "hi@lantern.example"
)
ACCEPTED = Handed(OUTBOUND, "accepted", "250 2.0.0 Ok: queued as 9EAA32F83C2", AT, "9EAA32F83C2", "TLSv1.3 X")
SENT_ON = Attempt("", "postfix/smtp", "friend@stranger.example", "smtp.example.net[198.51.100.5]:587", "2.0.0",
                  "sent", "250 2.0.0 Ok: queued as C60332F61DD")  # fmt: skip


def copy(raw: bytes, kind: Kind = "message", box: str = "friend@stranger.example", folder: str = "INBOX") -> Copy:
    return Copy(1, kind, box, folder, AT + 2, raw)


def parcel(message: Out | None = Out(), **changes: Any) -> Parcel:  # noqa: B008 - frozen
    copies = (copy(message.raw()),) if message else ()
    answer = copy(b"Subject: Re: x\r\n\r\n", "answer", "hi@lantern.example")
    return replace(Parcel(ACCEPTED, (*copies, answer), None, (SENT_ON,)), **changes)


def judge(
    found: Parcel, look: Zone | None = None, at: Site | None = None, troubles: dict[str, Trouble] | None = None
) -> Checklist:
    return verdict(at or site(), proven(found, look, at, troubles))


def proven(
    found: Parcel, look: Zone | None = None, at: Site | None = None, troubles: dict[str, Trouble] | None = None
) -> Proven:
    sent = Sent(Letters("20261121T201613Z", MARKER, (found.letter,)), (found.handed,), applied=True)
    arrived = Arrived(sent, (found,), (), troubles or {}, 30)
    return asyncio.run(authenticated(look or zone(), at or site(), arrived))


def status(found: Checklist, what: str) -> Status:
    (check,) = [c for c in found if re.match(rf"delivery\.{what}\b", c.name)]
    return check.status


def test_a_good_message_passes_every_check() -> None:
    found = judge(parcel())
    assert found.status is PASS, str(found)
    assert {c.name.split()[0].removeprefix("delivery.") for c in found} == {
        "accepted", "relayed", "arrived", "answered", "once", "spf", "dkim", "survives", "dmarc", "recipient-says",
        "path", "time", "tls", "envelope", "headers", "sender-shown", "reply-goes", "format", "content", "unsubscribe",
        "rules.gmail", "rules.gmail-bulk", "rules.yahoo", "rules.yahoo-bulk", "rules.microsoft-bulk",
    }  # fmt: skip
    assert all(c.name.count("outbound lantern.example friend@stranger.example") == 1 for c in found)


GOOGLE = f"""Received: from a8.smtp-out.amazonses.com (a8.smtp-out.amazonses.com. [54.240.8.50])
 by mx.google.com with ESMTPS id x for <y@gmail.com>
 (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); {DATE}"""
FOREIGN = RESULTS.replace("mx.stranger.example", "mx.evil.example")


@pytest.mark.parametrize(
    ("what", "message", "expected"),
    [
        ("spf", Out(taken=TAKEN.replace("198.51.100.5", "198.51.100.9")), FAIL),
        ("spf", Out(path="Return-Path: <x@nowhere.example>"), FAIL),
        ("spf", Out(path="", results=""), UNKNOWN),
        ("spf", Out(path=""), PASS),  # the recipient says MAIL FROM in its own result
        ("spf", Out(taken=TAKEN.replace("mx.stranger.example", "mx.evil.example")), UNKNOWN),
        ("recipient-says", Out(results=RESULTS.replace("spf=pass", "spf=fail")), WARN),
        ("recipient-says", Out(results=RESULTS.replace("spf=pass", "spf=softfail")), WARN),
        ("recipient-says", Out(results=RESULTS.replace("spf=pass", "spf=temperror")), WARN),
        ("recipient-says", Out(results=""), UNKNOWN),
        ("recipient-says", Out(results=FOREIGN), UNKNOWN),
        ("recipient-says", Out(results="", submitted=f"{SUBMITTED}\n{RESULTS}"), UNKNOWN),  # it came in with that
        ("dkim", Out(selectors=()), FAIL),
        ("dkim", Out(changed={"test message": "best message"}), FAIL),
        ("dkim", Out(changed={"Subject: runbook": "Subject: [list] runbook"}), FAIL),
        ("dmarc", Out(results=RESULTS.replace("dmarc=pass", "dmarc=fail")), FAIL),
        ("dmarc", Out(path="Return-Path: <x@bounce.example>", selectors=()), FAIL),
        ("dmarc", Out(sender="From: hi@other.example"), FAIL),
        ("path", Out(relayed="", taken=TAKEN.replace("198.51.100.5", "203.0.113.10")), FAIL),
        ("path", Out(relayed="", taken="", submitted=""), FAIL),
        ("tls", Out(relayed=re.sub(r" \(using.*\)\n", "", RELAYED).replace("ESMTPSA", "ESMTPA")), FAIL),
        ("tls", Out(submitted=SUBMITTED.replace("ESMTPSA", "ESMTPA")), FAIL),
        ("tls", Out(taken=re.sub(r" \(using.*\)\n", "", TAKEN).replace("ESMTPS", "ESMTP")), WARN),
        ("envelope", Out(path="Return-Path: <abc@bounces.example.net>"), WARN),
        ("envelope", Out(path=""), UNKNOWN),
        ("headers", Out(sender="From: someone@other.example"), FAIL),
        ("headers", Out(date="Date: Sat, 21 Nov 2026 18:00:00 +0000"), FAIL),
        ("headers", Out(date="Date: yesterday"), FAIL),
        ("headers", Out(date=""), FAIL),
        ("headers", Out(ident=""), FAIL),
        ("headers", Out(ident="Message-ID: <a@x.example>\nMessage-ID: <b@x.example>"), FAIL),
    ],
)
def test_each_check_turns_red(what: str, message: Out, expected: Status) -> None:
    assert status(judge(parcel(message)), what) is expected


def test_what_the_receiver_does_not_say_is_advisory() -> None:
    found = judge(parcel(Out(results="")))
    assert not [c.name for c in found if c.blocks]
    assert "the recipient wrote no DMARC result of its own" in str(found)


def test_a_broken_signature_only_warns_where_another_stands_in_for_it() -> None:
    at = site(relays__office__dkim=[{"selector": "relay", "cname": "x.dkim.example.net"}])
    other = zone(mail="v=DKIM1; k=rsa; p=" + key()[1].partition("p=")[2].replace("A", "B", 1))
    found = judge(parcel(Out(selectors=("mail", "relay"))), other, at)
    by_selector = {c.name.split()[-1]: c.status for c in found if c.name.startswith("delivery.dkim")}
    assert by_selector == {"mail": WARN, "relay": PASS}


@pytest.mark.parametrize(("left", "expected"), [(("relay",), WARN), ((), FAIL)])
def test_a_signature_taken_out_on_the_way_is_told_by_the_servers_log(left: tuple[str, ...], expected: Status) -> None:
    found = judge(parcel(Out(selectors=left), signers=(("lantern.example", "mail"),)))
    row = found["delivery.dkim outbound lantern.example friend@stranger.example mail"]
    assert row.status is expected
    assert "our server's log says that it signed" in row.observed
    assert "smtp.example.net takes it out" in row.fix


def test_a_relay_that_does_not_sign_warns() -> None:
    at = site(relays__office__dkim=[{"selector": "relay", "cname": "x.dkim.example.net"}])
    found = judge(parcel(), at=at)
    assert {c.name.split()[-1]: c.status for c in found if c.name.startswith("delivery.dkim")}["relay"] is WARN


def test_a_relay_with_its_own_return_path_is_expected_to_rewrite() -> None:
    at = site(relays__office__return_path="send")
    results = RESULTS.replace("hi@lantern", "x@send.lantern")
    rewritten = Out(path="Return-Path: <x@send.lantern.example>", results=results)
    found = judge(parcel(rewritten), at=at)
    assert status(found, "envelope") is PASS
    assert (
        "SPF (send.lantern.example)"
        in found["delivery.dmarc outbound lantern.example friend@stranger.example"].observed
    )
    assert status(judge(parcel(), at=at), "envelope") is WARN


def test_without_a_dmarc_record_only_the_same_domain_aligns() -> None:
    rewritten = Out(path="Return-Path: <x@send.lantern.example>", selectors=())
    assert status(judge(parcel(rewritten)), "dmarc") is PASS
    assert status(judge(parcel(rewritten), zone(_dmarc=None)), "dmarc") is FAIL


def test_a_silent_resolver_is_unknown_never_wrong() -> None:
    found = judge(parcel(), zone("*"))
    assert [status(found, what) for what in ("spf", "dkim", "dmarc")] == [UNKNOWN] * 3
    assert found.status is UNKNOWN
    assert status(judge(parcel(), zone("_dmarc")), "dmarc") is PASS  # one and the same domain aligns in any case
    elsewhere = Out(path="Return-Path: <x@send.lantern.example>", selectors=())
    assert status(judge(parcel(elsewhere), zone("_dmarc")), "dmarc") is UNKNOWN


@pytest.mark.parametrize(
    ("what", "changes", "expected"),
    [
        ("relayed", {"attempts": (replace(SENT_ON, status="deferred", said="535 5.7.8 no"),)}, FAIL),
        ("relayed", {"attempts": (replace(SENT_ON, status="bounced", said="550 no"),)}, FAIL),
        ("relayed", {"attempts": ()}, FAIL),
        ("relayed", {"attempts": (replace(SENT_ON, relay="mx.stranger.example[198.51.100.6]:25"),)}, FAIL),
        ("relayed", {"attempts": (replace(SENT_ON, status="deferred"), SENT_ON)}, PASS),
        ("relayed", {"attempts": (replace(SENT_ON, relay="127.0.0.1[127.0.0.1]:10024"),)}, FAIL),
        ("accepted", {"handed": replace(ACCEPTED, fate="refused", said="MAIL FROM: 553 no")}, FAIL),
        ("accepted", {"handed": replace(ACCEPTED, fate="unsent", said="no", verdict=UNKNOWN)}, UNKNOWN),
        ("accepted", {"handed": replace(ACCEPTED, fate="unknown"), "copies": (), "attempts": ()}, UNKNOWN),
        ("accepted", {"handed": replace(ACCEPTED, fate="unknown"), "copies": ()}, PASS),  # the log has it
        ("accepted", {"handed": replace(ACCEPTED, fate="unknown", said="broke off")}, PASS),
        ("relayed", {"handed": replace(ACCEPTED, fate="unknown", earlier=True), "attempts": ()}, UNKNOWN),
        ("accepted", {"handed": replace(ACCEPTED, tls="")}, FAIL),
        ("arrived", {"copies": ()}, UNKNOWN),
        ("arrived", {"copies": (copy(Out().raw(), folder="Junk"),)}, WARN),
        ("arrived", {"copies": (copy(b"Subject: Undelivered\r\n\r\n", "bounce"),)}, FAIL),
        ("answered", {"copies": (copy(Out().raw()),)}, UNKNOWN),
        ("answered", {"answer": replace(ACCEPTED, fate="refused"), "copies": (copy(Out().raw()),)}, FAIL),
        ("answered", {"answer": replace(ACCEPTED, fate="unknown", earlier=True), "copies": ()}, UNKNOWN),
        ("once", {"copies": (copy(Out().raw()), copy(Out().raw()))}, WARN),
    ],
)
def test_each_step_of_the_way_turns_red(what: str, changes: dict[str, Any], expected: Status) -> None:
    assert status(judge(parcel(**changes)), what) is expected


def test_what_did_not_leave_is_one_row_not_four() -> None:
    found = judge(parcel(None, copies=(), attempts=(replace(SENT_ON, status="deferred", said="535 5.7.8 no"),)))
    assert [c.name.split()[0] for c in found] == ["delivery.accepted", "delivery.relayed"]
    assert "535 5.7.8 no" in str(found)


def test_an_unreadable_log_and_mailbox_are_unknown() -> None:
    lost = parcel(None, copies=(), attempts=())
    found = judge(lost, troubles={"log": Trouble("SSH broke"), "friend@stranger.example": Trouble("login refused")})
    assert (status(found, "relayed"), status(found, "arrived")) == (UNKNOWN, UNKNOWN)
    assert "login refused" in str(found)


def test_direct_domains_go_straight_to_the_recipient() -> None:
    at = site(domains__0__relay="direct")
    straight = Out(relayed="", taken=TAKEN.replace("198.51.100.5", "203.0.113.10"))
    found = judge(parcel(straight, attempts=(replace(SENT_ON, relay="mx.stranger.example[198.51.100.6]:25"),)), at=at)
    assert (status(found, "path"), status(found, "relayed")) == (PASS, PASS)
    assert status(judge(parcel(), at=at), "path") is FAIL


def inbound(message: In) -> Checklist:
    handed = replace(ACCEPTED, letter=CATCH_ALL)
    found = Copy(3, "message", "hi@lantern.example", "INBOX", AT + 2, message.raw())
    return judge(Parcel(handed, (found,)))


def test_a_good_message_from_outside_passes_every_check() -> None:
    found = inbound(In())
    assert found.status is PASS, str(found)
    assert {c.name for c in found} == {
        f"delivery.{what} catch-all lantern.example"
        for what in ("accepted", "arrived", "once", "checked", "client-address", "tls", "no-relay", "written-to")
    }


@pytest.mark.parametrize(
    ("what", "message", "expected"),
    [
        ("checked", In(results="", spf=""), WARN),
        ("checked", In(spf="Received-SPF: Fail (mailfrom) client-ip=172.18.0.1"), WARN),
        ("client-address", In(came=In().came.replace("198.51.100.6", "172.18.0.1")), FAIL),
        ("client-address", In(came=In().came.replace("198.51.100.6", "203.0.113.10")), FAIL),
        ("client-address", In(came="", before=""), FAIL),
        ("tls", In(came=re.sub(r" \(using.*\)\n", "", In().came).replace("ESMTPS", "ESMTP")), FAIL),
        ("no-relay", In(came=In().came.replace("from mx.stranger.example", "from smtp.example.net")), FAIL),
        ("written-to", In(to="Delivered-To: hi@lantern.example"), FAIL),
    ],
)
def test_each_inbound_check_turns_red(what: str, message: In, expected: Status) -> None:
    assert status(inbound(message), what) is expected


@pytest.mark.parametrize(
    ("received", "words"),
    [
        ("\n for <probe-x@lantern.example>; Sat", "only in Received"),
        ("; Sat", "in none of X-Original-To"),
    ],
)
def test_how_a_mailcow_stores_mail_is_its_own_and_where_the_address_stands_is_said(received: str, words: str) -> None:
    cow = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}
    message = In(to="Delivered-To: hi@lantern.example")
    message = replace(message, came=message.came.replace("; Sat", received))
    found = Copy(3, "message", "hi@lantern.example", "INBOX", AT + 2, message.raw())
    row = next(
        c
        for c in judge(Parcel(replace(ACCEPTED, letter=CATCH_ALL), (found,)), at=site(mail=cow))
        if "written-to" in c.name
    )
    assert (row.status, words in row.observed) == (WARN, True)


def test_the_plan_names_every_message_and_nothing_is_sent_without_apply() -> None:
    plan = planning.plan(site(), "20261121T201613Z")
    assert [letter.name for letter in plan] == [
        "outbound lantern.example friend@stranger.example",
        "reflector lantern.example",
        "inbound hi@lantern.example",
        "inbound sales@lantern.example",
        "inbound hi+runbook@lantern.example",
        "catch-all lantern.example",
        "direct hi@lantern.example IPv4 STARTTLS",
        "direct hi@lantern.example IPv4",
        "forged hi@lantern.example",
    ]
    assert plan.letters[5].recipient == "probe-20261121t201613z@lantern.example"
    sent = send(site(), plan, apply=False)
    assert not sent
    assert "nothing was sent" in str(sent)
    found = verdict(site(), Proven(Arrived(sent)))
    assert [c.name for c in found if c.status is not PENDING] == ["delivery.bounce lantern.example"]
    assert len(found) == len({letter.subject for letter in plan}) + len(plan.questions) + len(plan.missing)


def test_what_params_do_not_make_possible_is_said_and_stops_nobody() -> None:
    bare = planning.plan(site(test={}))
    assert not bare.letters
    assert {c.name for c in bare.missing} == {
        "delivery.outbound", "delivery.inbound", "delivery.direct", "delivery.open-relay 25",
    }  # fmt: skip
    found = verdict(site(), Proven(Arrived(Sent(bare))))
    assert found.require().status is UNKNOWN
    blind = planning.plan(site(test={"recipients": [{"address": "a@x.example"}]}))
    assert "delivery.arrived a@x.example" in {c.name for c in blind.missing}
    assert [letter.lands for letter in blind] == [""]


def test_the_run_s_name_comes_from_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_RUN", "20261121T193000Z")
    assert planning.plan(site()).marker == "20261121T193000Z-lantern"
    monkeypatch.delenv("RUNBOOK_RUN")
    assert planning.run_id() != planning.run_id()


def test_messages_and_answers_are_told_apart_by_what_stands_in_them() -> None:
    plan = planning.plan(site(), "20261121T201613Z")
    marker = re.compile(re.escape(plan.marker) + r"\.(\d+)\b")
    raw = forms.compose(site(), plan, plan.letters[0])
    number = plan.letters[0].number
    assert classify(raw, marker) == (number, "message")
    assert forms.answered_to(raw) == "hi@lantern.example"
    answer = forms.compose_answer(plan, plan.letters[0], raw, "hi@lantern.example")
    assert classify(answer, marker) == (number, "answer")
    assert f"In-Reply-To: <{plan.marker}.{number}@lantern.example>".encode() in answer
    returned = b"From: MAILER-DAEMON@x.example\r\nSubject: Undelivered Mail Returned to Sender\r\n\r\n550 no\r\n\r\n"
    assert classify(returned + raw, marker) == (number, "bounce")
    assert classify(b"Subject: lunch\r\n\r\n" + raw, marker) == (0, "message")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (TAKEN, ("smtp.example.net", "198.51.100.5", "mx.stranger.example", "ESMTPS", True, False)),
        (SUBMITTED, ("laptop", "192.0.2.77", "mail.lantern.example", "ESMTPSA", True, False)),
        (KEPT, ("mx.stranger.example", "", "mx.stranger.example", "LMTP", False, True)),
        (
            GOOGLE,
            ("a8.smtp-out.amazonses.com", "54.240.8.50", "mx.google.com", "ESMTPS", True, False),
        ),
        (
            f"Received: from x.example ([2001:db8::5] helo=x.example) by y.example with esmtps (TLS1.3) id z; {DATE}",
            ("x.example", "2001:db8::5", "y.example", "esmtps", True, False),
        ),
        (
            f"Received: from x.example (x.example [IPv6:2001:db8::6]) by y.example (Postfix) with ESMTP id 1; {DATE}",
            ("x.example", "2001:db8::6", "y.example", "ESMTP", False, False),
        ),
        (
            f"Received: from localhost (localhost [127.0.0.1]) by mail.lantern.example with ESMTP id 1; {DATE}",
            ("localhost", "127.0.0.1", "mail.lantern.example", "ESMTP", False, True),
        ),
        (f"Received: by y.example (Postfix, from userid 0) id A1; {DATE}", ("", "", "y.example", "", False, True)),
        ("Received: nonsense [999.1.1.1] ; never", ("", "", "", "", False, True)),
    ],
)
def test_received_headers_as_servers_write_them(header: str, expected: tuple[str, str, str, str, bool, bool]) -> None:
    hop = hops.parse(header.partition(":")[2])
    assert (hop.said, hop.address, hop.by, hop.protocol, hop.secure, hop.local) == expected


def test_the_way_is_shown_from_the_first_hop_to_the_last() -> None:
    sent = Sent(Letters("r", MARKER, (OUTBOUND,)), (ACCEPTED,), applied=True)
    table = path(Arrived(sent, (parcel(),)))
    assert [row[4] for row in table.rows if row[1] != "1" or row[2]][:4] == [
        "mail.lantern.example",
        "smtp.example.net",
        "mx.stranger.example",
        "mx.stranger.example",
    ]


def test_dmarc_says_where_the_two_rfcs_align_differently() -> None:
    records = {
        "_dmarc.own.lantern.example": "v=DMARC1; psd=n",
        "_dmarc.lantern.example": "v=DMARC1; p=none",
    }
    message = Out(sender="From: hi@a.own.lantern.example", selectors=())
    found = judge(parcel(message), zone(at=records))
    row = found["delivery.dmarc outbound lantern.example friend@stranger.example"]
    assert row.status is FAIL
    assert "aligned by SPF (lantern.example) under RFC 7489, by nothing under RFC 9989" in row.observed
