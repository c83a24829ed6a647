"""How messages are written: each form is what it says, the same letter is the same message."""

from __future__ import annotations

import re
from dataclasses import replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from postoffice import PostOffice
from scripts import Authority
from test_delivery import ACCEPTED, FRIEND, SENT_ON, TEST, judge, parcel, site
from test_letters import HI, REHEARSED, RESEND, RUN

from runbooklib.credentials import Secret
from runbooklib.delivery import forms, planning
from runbooklib.delivery.handover import Handed
from runbooklib.delivery.messages import Account, Form, Letter, Letters, Route
from runbooklib.delivery.sending import submit
from runbooklib.endpoint import Endpoint
from runbooklib.params import Site
from runbooklib.results import Status

WIDE = "jürgen@stranger.example"
MATRIX: dict[str, Any] = {"server": REHEARSED, "test": TEST | {"recipients": [FRIEND | {"smtputf8": WIDE}]}}


def letter(plan: Letters, form: Form, port: int = 587) -> Letter:
    return next(a for a in plan if a.route is Route.OUTBOUND and (a.form, a.port) == (form, port))


def written(form: Form) -> tuple[bytes, EmailMessage]:
    here = site(**MATRIX)
    plan = planning.plan(here, RUN)
    raw = forms.compose(here, plan, letter(plan, form))
    return raw, message_from_bytes(raw, policy=default)


@pytest.mark.parametrize(
    ("form", "types"),
    [
        (Form.PLAIN, ["text/plain"]),
        (Form.HTML, ["multipart/alternative", "text/plain", "text/html"]),
        (Form.ATTACHMENT, ["multipart/mixed", "text/plain", "application/pdf"]),
        (Form.NON_ASCII, ["text/plain"]),
        (Form.SMTPUTF8, ["text/plain"]),
        (Form.SUB_ADDRESS, ["text/plain"]),
        (Form.ALIAS, ["text/plain"]),
    ],
)
def test_each_form_has_its_parts_and_names_its_run(form: Form, types: list[str]) -> None:
    raw, message = written(form)
    plan = planning.plan(site(**MATRIX), RUN)
    mark = plan.mark(letter(plan, form))
    assert [part.get_content_type() for part in message.walk()] == types
    assert mark in message["Subject"]
    assert message["Message-ID"] == f"<{mark[:-1]}@lantern.example>"
    assert message["X-Runbook-Run"] == RUN
    assert b"\n" not in raw.replace(b"\r\n", b"")  # RFC 5321 2.3.8
    assert max(map(len, raw.split(b"\r\n"))) <= 998  # RFC 5322 2.1.1


def test_letters_outside_ascii_arrive_as_they_were_written() -> None:
    raw, message = written(Form.NON_ASCII)
    assert message["Subject"].endswith(f"lantern.example {forms.WIDE}")
    assert forms.WIDE in message.get_content()
    assert raw.isascii()


def test_only_an_address_outside_ascii_needs_headers_in_utf_8() -> None:
    raw, message = written(Form.SMTPUTF8)
    assert message["To"] == WIDE
    assert WIDE.encode() in raw
    assert all(written(form)[0].isascii() for form in Form if form is not Form.SMTPUTF8)


def test_sub_address_and_alias_stand_in_from() -> None:
    assert written(Form.SUB_ADDRESS)[1]["From"] == "hi+runbook@lantern.example"
    assert written(Form.ALIAS)[1]["From"] == "sales@lantern.example"


def test_the_attachment_is_a_pdf_whose_table_points_at_its_objects() -> None:
    pdf = forms.pdf("A test message")
    table = int(re.findall(rb"startxref\n(\d+)", pdf)[0])
    assert pdf[table:].startswith(b"xref")
    starts = [int(start) for start in re.findall(rb"(\d{10}) 00000 n", pdf)]
    assert [pdf[start:].split(b" ")[0] for start in starts] == [b"1", b"2", b"3", b"4", b"5"]
    stream = pdf.partition(b"stream\n")[2].partition(b"\nendstream")[0]
    assert f"/Length {len(stream)} ".encode() in pdf


def keys(here: Site, run: str = RUN) -> dict[str, str]:
    plan = planning.plan(here, run)
    read = {a.name: message_from_bytes(forms.compose(here, plan, a), policy=default) for a in plan}
    return {name: str(message[forms.ONCE]) for name, message in read.items() if message[forms.ONCE]}


def test_what_leaves_by_resend_carries_one_key_for_each_message_that_a_resume_repeats() -> None:
    here = site(relays__office=RESEND)
    found = keys(here)
    assert {name.split()[0] for name in found} == {"outbound", "reflector", "bounce"}
    assert len(set(found.values())) == len(found)
    assert keys(here) == found
    assert set(keys(here, "20261122T101500Z").values()).isdisjoint(found.values())
    assert max(map(len, found.values())) <= 256
    assert keys(site()) == {}


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Authority, PostOffice]:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")
    ca = Authority(tmp_path)
    return ca, PostOffice(ca.serving("mail.lantern.example"), {HI: "hi-Passw0rd"})


def hand_over(ca: Authority, office: PostOffice, form: Form) -> Handed:
    here = site(**MATRIX)
    plan = planning.plan(here, RUN)
    sent = letter(plan, form)
    where = Endpoint("mail.lantern.example", office.submission, "starttls", ca.pem)
    account = Account(where, HI, Secret("env:HI_PASSWORD"), "127.0.0.1")
    return submit(here, account, sent, sent.sender, sent.recipient, forms.compose(here, plan, sent))


def test_an_address_outside_ascii_goes_where_smtputf8_is_offered(office: tuple[Authority, PostOffice]) -> None:
    ca, there = office
    there.extensions = ("8BITMIME", "SMTPUTF8")
    with there:
        assert hand_over(ca, there, Form.SMTPUTF8).fate == "accepted"
        assert hand_over(ca, there, Form.PLAIN).fate == "accepted"
    assert there.envelopes == [f"mail FROM:<{HI}> SMTPUTF8", f"mail FROM:<{HI}>"]
    assert WIDE.encode() in there.messages[0]


def test_where_smtputf8_is_not_offered_nothing_is_sent_and_that_is_said(office: tuple[Authority, PostOffice]) -> None:
    ca, there = office
    with there:
        handed = hand_over(ca, there, Form.SMTPUTF8)
    assert (handed.fate, handed.verdict) == ("unsent", Status.PASS)
    assert f"offers no SMTPUTF8, so nobody here can write to {WIDE}" in handed.said
    assert (there.envelopes, there.messages) == ([], [])


@pytest.mark.parametrize(
    ("form", "dsn", "expected"),
    [(Form.SMTPUTF8, "5.6.7", Status.WARN), (Form.SMTPUTF8, "5.1.1", Status.FAIL), (Form.PLAIN, "5.6.7", Status.FAIL)],
)
def test_a_relay_that_takes_no_address_outside_ascii_is_not_broken(form: Form, dsn: str, expected: Status) -> None:
    said = "SMTPUTF8 is required, but was not offered by host smtp.example.net[198.51.100.5]"
    attempt = replace(SENT_ON, status="bounced", dsn=dsn, said=said)
    handed = replace(ACCEPTED, letter=replace(ACCEPTED.letter, form=form, recipient=WIDE))
    found = judge(parcel(None, handed=handed, copies=(), attempts=(attempt,)))
    assert {c.name.split()[0]: c.status for c in found} == {
        "delivery.accepted": Status.PASS,
        "delivery.relayed": expected,
    }


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("From: hi@lantern.example", HI),
        ("From: x@x.example\nReply-To: Hi <hi@lantern.example>, other@lantern.example", HI),
        ("From: undisclosed:;", ""),
        ("From: hi@lantern.example\nReply-To: undisclosed:;", HI),
        ("Subject: x", ""),
        ("From:", ""),
    ],
)
def test_an_answer_goes_where_a_person_s_would(header: str, expected: str) -> None:
    assert forms.answered_to(f"{header}\n\n".encode()) == expected


@pytest.mark.parametrize(
    "header",
    [
        "Subject: =?utf-8?q?a=0D=0ABcc:_x@x.example?=\nMessage-ID: <a@x.example>",
        "Subject: =?utf-8?q?a=E2=80=A8Bcc:_x@x.example?=\nMessage-ID: <a@x.example>",
        "Subject: a\nMessage-ID: =?utf-8?q?=0D=0ABcc:_x@x.example?=",
        "Subject: \udc80=?utf-8?q?=ff?=\nMessage-ID: <a",
        "X: y",
    ],
)
def test_what_stands_in_a_message_adds_no_header_to_its_answer(header: str) -> None:
    plan = planning.plan(site(**MATRIX), RUN)
    sent = letter(plan, Form.PLAIN)
    raw = forms.compose_answer(plan, sent, f"{header}\n\n".encode("utf-8", "surrogateescape"), HI)
    answer = message_from_bytes(raw, policy=default)
    assert (answer["To"], answer["Bcc"], answer["Subject"].startswith("Re:")) == (HI, None, True)
