"""What a reader sees as the sender, and where an answer goes; each row turns on the message that is to turn it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import TEXTS, Out, Zone, zone
from proofs import proof, row, with_field

from runbooklib.eml import correspondence
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN


def shown(message: Out | bytes = Out(), look: Zone | None = None) -> Check:  # noqa: B008 - frozen
    return row(correspondence.judge(proof(message, look), "x"), "sender-shown")


def reply(message: Out) -> Check:
    return row(correspondence.judge(proof(message), "x"), "reply-goes")


def test_the_author_alone_is_shown_and_gets_the_answer() -> None:
    assert (shown().status, shown().observed) == (PASS, "hi@lantern.example")
    assert (reply(Out()).status, reply(Out()).observed) == (PASS, "hi@lantern.example, by From")


def test_a_return_path_that_a_relay_rewrote_is_not_shown() -> None:
    found = shown(Out(path="Return-Path: <0107@send.lantern.example>"))
    assert found.status is PASS
    assert found.observed == "hi@lantern.example; MAIL FROM 0107@send.lantern.example is not shown"


@pytest.mark.parametrize(
    ("message", "status", "said"),
    [
        (with_field("Sender: robot@relay.example"), WARN, "Outlook shows robot@relay.example on behalf of hi@lantern"),
        (with_field("Sender: hi@lantern.example"), PASS, "hi@lantern.example"),
        (Out(sender='From: "boss@bank.example" <hi@lantern.example>'), WARN, "another address: boss@bank.example"),
        (Out(sender='From: "HI@lantern.example" <hi@lantern.example>'), PASS, "hi@lantern.example"),
        (
            Out(sender="From: =?utf-8?q?boss=40bank=2Eexample?= <hi@lantern.example>"),
            WARN,
            "another address: boss@bank",
        ),
        (Out(sender="From: hi@lantern.example, b@lantern.example"), WARN, "From names several"),
        (Out(sender="From: nobody"), FAIL, "From names no address"),
        (Out(sender="From: hi@lantern.example\nFrom: b@bank.example"), FAIL, "2 From fields"),
    ],
)
def test_what_is_shown_beside_the_author(message: Out, status: Status, said: str) -> None:
    found = shown(message)
    assert found.status is status
    assert said in found.observed
    assert bool(found.fix) == (status is not PASS)


UNSIGNED = Out(selectors=(), path="Return-Path: <bounce@mail.relay.example>")


def test_gmail_shows_a_via_where_only_another_domain_vouches() -> None:
    look = zone(at={"mail.relay.example": "v=spf1 ip4:198.51.100.5 -all"})
    assert (shown(UNSIGNED, look).status, shown(UNSIGNED, look).observed.split("; ")[-1]) == (
        WARN,
        "Gmail shows it via mail.relay.example",
    )


@pytest.mark.parametrize("path", ["<>", "<hi@lantern.example>"])
def test_where_nobody_vouches_nobody_is_named(path: str) -> None:
    found = shown(Out(selectors=(), path=f"Return-Path: {path}"), zone(lantern=None))
    assert (found.status, found.observed.split("; ")[-1]) == (
        WARN,
        "nobody vouches for the author: Gmail shows a question mark",
    )


def test_a_via_is_not_known_where_dns_is_silent() -> None:
    found = shown(Out(), Zone(TEXTS, ("*",)))
    assert found.status is UNKNOWN
    assert "whether Gmail shows a via is not known" in found.observed


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("Reply-To: team@lantern.example", PASS, "team@lantern.example, by Reply-To"),
        ("Reply-To: team@desk.lantern.example", PASS, "team@desk.lantern.example, by Reply-To"),
        ("Reply-To: x@bank.example", WARN, "x@bank.example, by Reply-To under another domain"),
        ("Reply-To: hi@lantern.example, x@bank.example", WARN, "under another domain"),
        ("Reply-To: nobody", FAIL, "Reply-To names no address: 'nobody'"),
    ],
)
def test_where_a_reply_goes(line: str, status: Status, said: str) -> None:
    found = reply(with_field(line))
    assert found.status is status
    assert said in found.observed
    assert bool(found.fix) == (status is not PASS)


def test_nobody_gets_the_answer_to_nobody() -> None:
    assert reply(Out(sender="From: nobody")).status is FAIL


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["From", "Sender", "Reply-To"]), st.binary(max_size=60).filter(lambda b: b"\n" not in b))
def test_nothing_a_stranger_writes_raises(name: str, value: bytes) -> None:
    raw = name.encode() + b": " + value.replace(b"\r", b"") + b"\r\n\r\n"
    assert len(correspondence.judge(proof(raw), "x")) == 2
