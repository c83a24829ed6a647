"""Stage 05's messages and verdicts: each check passes on a good message and turns red on the matching bad one."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sites
from letters import AT, DATE, KEPT, MARKER, RELAYED, RESULTS, SUBMITTED, TAKEN, In, Out, key, zone
from postoffice import PostOffice
from scripts import Authority

from runbooklib.credentials import Secret
from runbooklib.delivery import hops, judging, messages
from runbooklib.delivery.arriving import Arrived, Copy, Kind, Parcel, classify
from runbooklib.delivery.judging import path, verdict
from runbooklib.delivery.messages import Account, Letter, Letters, Route
from runbooklib.delivery.names import Names
from runbooklib.delivery.sending import Asked, Handed, Sent, ask_as, send
from runbooklib.delivery.signatures import verify
from runbooklib.endpoint import Endpoint, ResolverError
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
    found: Parcel, names: Names | None = None, at: Site | None = None, troubles: dict[str, str] | None = None
) -> Checklist:
    sent = Sent(Letters("20261121T201613Z", MARKER, (found.letter,)), (found.handed,), applied=True)
    return verdict(at or site(), Arrived(sent, (found,), (), troubles or {}, 30), names or zone())


def status(found: Checklist, what: str) -> Status:
    (check,) = [c for c in found if re.match(rf"delivery\.{what}\b", c.name)]
    return check.status


def test_a_good_message_passes_every_check() -> None:
    found = judge(parcel())
    assert found.status is PASS, str(found)
    assert {c.name.split()[0].removeprefix("delivery.") for c in found} == {
        "accepted", "relayed", "arrived", "answered", "once", "spf", "dkim", "survives", "dmarc", "path", "tls",
        "envelope", "headers",
    }  # fmt: skip
    assert all(c.name.count("outbound lantern.example friend@stranger.example") == 1 for c in found)


GOOGLE = f"""Received: from a8.smtp-out.amazonses.com (a8.smtp-out.amazonses.com. [54.240.8.50])
 by mx.google.com with ESMTPS id x for <y@gmail.com>
 (version=TLS1_3 cipher=TLS_AES_128_GCM_SHA256 bits=128/128); {DATE}"""
FOREIGN = RESULTS.replace("mx.stranger.example", "mx.evil.example")


@pytest.mark.parametrize(
    ("what", "message", "expected"),
    [
        ("spf", Out(results=RESULTS.replace("spf=pass", "spf=fail")), FAIL),
        ("spf", Out(results=RESULTS.replace("spf=pass", "spf=softfail")), FAIL),
        ("spf", Out(results=RESULTS.replace("spf=pass", "spf=temperror")), UNKNOWN),
        ("spf", Out(results=""), UNKNOWN),
        ("spf", Out(results=FOREIGN), UNKNOWN),
        ("spf", Out(results="", submitted=f"{SUBMITTED}\n{RESULTS}"), UNKNOWN),  # it came in with that header
        ("dkim", Out(selectors=()), FAIL),
        ("dkim", Out(changed={"test message": "best message"}), FAIL),
        ("dkim", Out(changed={"Subject: runbook": "Subject: [list] runbook"}), FAIL),
        ("dmarc", Out(results=RESULTS.replace("dmarc=pass", "dmarc=fail")), FAIL),
        ("dmarc", Out(results=RESULTS.replace("=hi@lantern", "=x@bounce.example"), selectors=()), FAIL),
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
    assert "the receiver wrote no DMARC result of its own" in str(found)


def test_a_broken_signature_only_warns_where_another_stands_in_for_it() -> None:
    at = site(relays__office__dkim=[{"selector": "relay", "cname": "x.dkim.example.net"}])
    names = zone(mail="v=DKIM1; k=rsa; p=" + key()[1].partition("p=")[2].replace("A", "B", 1))
    found = judge(parcel(Out(selectors=("mail", "relay"))), names, at)
    by_selector = {c.name.split()[-1]: c.status for c in found if c.name.startswith("delivery.dkim")}
    assert by_selector == {"mail": WARN, "relay": PASS}


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
    results = RESULTS.replace("hi@lantern", "x@send.lantern").replace("dmarc=pass", "dmarc=none")
    assert status(judge(parcel(Out(results=results)), zone(_dmarc=None)), "dmarc") is FAIL


def test_a_silent_resolver_is_unknown_never_wrong() -> None:
    def silent(name: str) -> list[str]:
        raise ResolverError(f"{name}: no answer in time")

    found = judge(parcel(), Names(silent, silent))
    assert status(found, "dmarc") is UNKNOWN
    assert found.status is UNKNOWN
    (signature,) = verify(Out().raw(), Names(silent, silent).dkim_key)
    assert signature.status is UNKNOWN


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
        ("accepted", {"handed": replace(ACCEPTED, fate="unknown", said="broke off"), "copies": ()}, UNKNOWN),
        ("accepted", {"handed": replace(ACCEPTED, fate="unknown", said="broke off")}, PASS),
        ("accepted", {"handed": replace(ACCEPTED, tls="")}, FAIL),
        ("arrived", {"copies": ()}, UNKNOWN),
        ("arrived", {"copies": (copy(Out().raw(), folder="Junk"),)}, WARN),
        ("arrived", {"copies": (copy(b"Subject: Undelivered\r\n\r\n", "bounce"),)}, FAIL),
        ("answered", {"copies": (copy(Out().raw()),)}, UNKNOWN),
        ("answered", {"answer": replace(ACCEPTED, fate="refused"), "copies": (copy(Out().raw()),)}, FAIL),
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
    found = judge(lost, troubles={"log": "SSH broke", "friend@stranger.example": "login refused"})
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


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked("leaked@lantern.example", "RCPT TO: 550 5.1.1 <leaked@lantern.example>: User unknown"), PASS),
        (Asked("leaked@lantern.example", "RCPT TO: 554 5.7.1 Relay access denied"), FAIL),
        (Asked("leaked@lantern.example", "RCPT TO was accepted"), FAIL),
        (Asked("leaked@lantern.example", "connection refused", UNKNOWN), UNKNOWN),
    ],
)
def test_a_leaked_address_must_answer_550_5_1_1(asked: Asked, expected: Status) -> None:
    sent = Sent(messages.plan(site()), (), applied=True)
    found = verdict(site(), Arrived(sent, (), (asked,)), zone())
    assert found["delivery.refused leaked@lantern.example"].status is expected


def test_the_plan_names_every_message_and_nothing_is_sent_without_apply() -> None:
    plan = messages.plan(site(), "20261121T201613Z")
    assert [letter.name for letter in plan] == [
        "outbound lantern.example friend@stranger.example",
        "reflector lantern.example",
        "inbound hi@lantern.example",
        "catch-all lantern.example",
    ]
    assert plan.refuse == ("leaked@lantern.example",)
    assert plan.letters[-1].recipient == "probe-20261121t201613z@lantern.example"
    sent = send(site(), plan, apply=False)
    assert not sent
    assert "nothing was sent" in str(sent)
    found = verdict(site(), Arrived(sent), zone())
    assert {c.status for c in found} == {PENDING}
    assert len(found) == 5


def test_what_params_do_not_make_possible_is_said_and_stops_nobody() -> None:
    bare = messages.plan(site(test={}))
    assert not bare
    assert {c.name for c in bare.missing} == {"delivery.outbound", "delivery.inbound", "delivery.refused"}
    found = verdict(site(), Arrived(Sent(bare)), zone())
    assert found.require().status is UNKNOWN
    blind = messages.plan(site(test={"recipients": [{"address": "a@x.example"}]}))
    assert "delivery.arrived a@x.example" in {c.name for c in blind.missing}
    assert [letter.lands for letter in blind] == [""]


def test_the_run_s_name_comes_from_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNBOOK_RUN", "20261121T193000Z")
    assert messages.plan(site()).marker == "20261121T193000Z-lantern"
    monkeypatch.delenv("RUNBOOK_RUN")
    assert messages.run_id() != messages.run_id()


def test_messages_and_answers_are_told_apart_by_what_stands_in_them() -> None:
    plan = messages.plan(site(), "20261121T201613Z")
    marker = re.compile(re.escape(plan.marker) + r"\.(\d+)\b")
    raw = messages.compose(site(), plan, plan.letters[0])
    assert classify(raw, marker) == (1, "message")
    goes_to, answer = messages.compose_answer(plan, plan.letters[0], Copy(1, "message", "", "", 0, raw).message)
    assert goes_to == "hi@lantern.example"
    assert classify(answer, marker) == (1, "answer")
    assert f"In-Reply-To: <{plan.marker}.1@lantern.example>".encode() in answer
    bounce = b"Content-Type: multipart/report; boundary=b\r\nSubject: Undelivered\r\n\r\n--b\r\n\r\n" + raw
    assert classify(bounce, marker) == (1, "bounce")
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


SALES = ("sales@lantern.example", "hi@lantern.example")
NOT_OWNED = "553 5.7.1 <sales@lantern.example>: Sender address rejected: not owned by user hi@lantern.example"


def test_who_may_send_as_an_alias_is_asked_where_the_server_keeps_a_list_of_it() -> None:
    assert messages.plan(site()).senders == ()
    plan = messages.plan(site(mail={"server": "postfix"}))
    assert plan.senders == (SALES,)
    pending = verdict(site(), Arrived(Sent(plan)), zone())
    assert pending["delivery.sent as sales@lantern.example"].status is PENDING


@pytest.mark.parametrize(
    ("password", "refuse", "expected"),
    [("hi-Passw0rd", "", PASS), ("hi-Passw0rd", NOT_OWNED, FAIL), ("another-one", "", FAIL)],
)
def test_whether_a_mailbox_may_send_as_its_alias(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, refuse: str, expected: Status
) -> None:
    monkeypatch.setenv("HI_PASSWORD", password)
    ca = Authority(tmp_path)
    office = PostOffice(ca.serving("mail.lantern.example"), {SALES[1]: "hi-Passw0rd"}, refuse=refuse)
    with office:
        where = Endpoint("mail.lantern.example", office.submission, "starttls", ca.pem)
        asked = ask_as(site(), Account(where, SALES[1], Secret("env:HI_PASSWORD"), "127.0.0.1"), *SALES)
    assert judging.as_alias(asked).status is expected
    assert office.messages == []
