"""Bounces read: the standard ones, those of servers that follow none, and what their codes mean."""

from __future__ import annotations

from datetime import UTC, datetime

import bounces
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib.eml import dsn
from runbooklib.eml.dsn import Dsn, Fate
from runbooklib.eml.statuses import CODES, GOOGLES, KINDS, LEVELS, NOTHING, OWN, explain

NOBODY = "nobody@stranger.example"


def parsed(raw: bytes) -> Dsn:
    found = dsn.parse(raw)
    assert found is not None
    return found


def test_a_standard_bounce_is_read_whole() -> None:
    found = parsed(bounces.standard())
    assert found.fates == (
        Fate(
            NOBODY, NOBODY, "failed", "5.1.1",
            "550 5.1.1 <nobody@stranger.example>: Recipient address rejected: User unknown", "mx.stranger.example",
        ),
    )  # fmt: skip
    assert (found.form, found.reporter, found.message_id, found.subject, found.action) == (
        dsn.STANDARD,
        "mail.lantern.example",
        "<m.1@lantern.example>",
        "runbook hé",
        "failed",
    )
    assert found.arrived == datetime(2026, 11, 21, 20, 16, 13, tzinfo=UTC)
    assert str(found.fates[0]).startswith(f"{NOBODY}: failed 5.1.1 by mx.stranger.example: 550 5.1.1")


@pytest.mark.parametrize("kind", ["message/delivery-status", "message/global-delivery-status"])
def test_each_recipient_has_a_fate_of_its_own(kind: str) -> None:
    late = "Final-Recipient: rfc822; slow@stranger.example\nAction: delayed\nStatus: 4.4.1\n"
    late += "Will-Retry-Until: Thu, 26 Nov 2026 20:16:13 +0000"
    found = parsed(bounces.standard(bounces.GROUP, late, kind=kind))
    assert [(f.address, f.action, f.permanent) for f in found.fates] == [
        (NOBODY, "failed", True),
        ("slow@stranger.example", "delayed", False),
    ]
    slow = found.of("SLOW@stranger.example")
    assert slow is not None
    assert slow.until == datetime(2026, 11, 26, 20, 16, 13, tzinfo=UTC)
    assert found.action == "failed"


@pytest.mark.parametrize("date", ["1 Jan 2026 00:00:00 -999999999999999999999999", "1 Jan 2026", "x", "9" * 400])
def test_a_date_that_is_none_costs_nothing_else(date: str) -> None:
    late = f"Final-Recipient: rfc822; slow@stranger.example\nAction: delayed\nWill-Retry-Until: {date}"
    raw = bounces.standard(bounces.GROUP, late).replace(b"Arrival-Date:", f"Arrival-Date: {date}\nX:".encode())
    found = parsed(raw)
    assert date.encode() in raw
    assert ([f.until for f in found.fates], [f.address for f in found.fates][1:]) == (
        [None, None],
        ["slow@stranger.example"],
    )


def test_a_forwarded_recipient_is_found_under_the_name_it_was_written_to() -> None:
    group = bounces.GROUP.replace("Original-Recipient: rfc822;nobody", "Original-Recipient: rfc822;friend")
    found = parsed(bounces.standard(group)).of("friend@stranger.example")
    assert found is not None
    assert found.address == NOBODY


def test_the_remote_code_stands_in_for_a_vague_one() -> None:
    vague = bounces.GROUP.replace("Status: 5.1.1", "Status: 5.0.0")
    assert parsed(bounces.standard(vague)).fates[0].status == "5.1.1"
    other = vague.replace("550 5.1.1 <", "450 4.2.2 <")
    assert parsed(bounces.standard(other)).fates[0].status == "5.0.0"


def test_a_report_in_base64_is_read_too() -> None:
    assert parsed(bounces.encoded()).fates[0].status == "5.1.1"


def test_a_report_without_a_group_for_the_message_is_read_too() -> None:
    assert parsed(bounces.standard(about=bounces.GROUP)).fates[0].address == NOBODY


@pytest.mark.parametrize(
    ("raw", "form", "fates"),
    [
        (bounces.QMAIL, dsn.QMAIL, [(NOBODY, "failed", "5.1.1")]),
        (bounces.EXIM, dsn.EXIM, [(NOBODY, "failed", "5.1.1"), ("full@stranger.example", "failed", "")]),
        (bounces.GMAIL, dsn.TEXT, [(NOBODY, "failed", "5.1.1")]),
        (bounces.QQ, dsn.TEXT, [(NOBODY, "failed", "5.0.0")]),
        (bounces.GMAIL.replace(b"550 5.1.1", b"451 4.2.0"), dsn.TEXT, [(NOBODY, "delayed", "4.2.0")]),
    ],
    ids=["qmail", "exim", "gmail", "qq", "delayed"],
)
def test_bounces_of_no_standard(raw: bytes, form: str, fates: list[tuple[str, str, str]]) -> None:
    found = parsed(raw)
    assert found.form == form
    assert [(f.address, f.action, f.status) for f in found.fates] == fates


@pytest.mark.parametrize("raw", [bounces.QMAIL, bounces.EXIM], ids=["qmail", "exim"])
def test_the_message_is_named_that_came_back_as_text(raw: bytes) -> None:
    found = parsed(raw)
    assert (found.message_id, found.subject) == ("<m.1@lantern.example>", "runbook hé")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: Undelivered Mail\r\nFrom: hi@lantern.example\r\n\r\n550 5.1.1 nobody@stranger.example",
        b"Subject: hello\r\nFrom: MAILER-DAEMON@a.example\r\n\r\n550 5.1.1 nobody@stranger.example",
        bounces.RECEIPT,
        b"Content-Type: message/delivery-status\r\n\r\n",
    ],
    ids=["nothing", "a person writes about one", "a daemon writes of something else", "a read receipt", "empty"],
)
def test_what_is_no_bounce(raw: bytes) -> None:
    assert dsn.parse(raw) is None


@pytest.mark.parametrize(
    ("status", "diagnostic", "means"),
    [
        ("5.1.1", "", "nobody there has this address"),
        ("5.1.2", "", "the part after the @ receives no mail"),
        ("5.1.6", "", "the mailbox has moved"),
        ("5.2.1", "", "the mailbox is switched off"),
        ("5.2.2", "", "the mailbox is full"),
        ("5.3.4", "", "larger than the receiver takes"),
        ("4.4.1", "", "nobody answers"),
        ("5.4.4", "", "no way to the receiver"),
        ("5.4.6", "", "goes in a circle"),
        ("5.7.1", "", "policy refuses"),
        ("5.7.23", "", "SPF does not pass"),
        ("5.7.24", "", "SPF check ended in an error"),
        ("5.7.25", "", "no PTR record"),
        ("5.7.26", "", "several checks"),
        ("5.7.27", "", "sends no mail"),
        ("4.7.1", "450 4.7.1 Greylisted, come again", "greylisted"),
        ("4.7.1", "", "put off by the receiver's policy"),
        ("5.7.27", "550 5.7.27 SPF did not pass - gsmtp", "SPF does not pass"),
        ("5.7.26", "550 5.7.26 unauthenticated - gsmtp", "neither SPF nor DKIM passed"),
        ("4.7.28", "421 4.7.28 unusual rate - gsmtp", "too much mail at once"),
        ("5.7.30", "550 5.7.30 DKIM does not pass - gsmtp", "no DKIM signature passed"),
        ("5.7.515", "", "Outlook.com wants SPF, DKIM and aligned DMARC"),
        ("5.7.509", "", "own policy is reject"),
        ("5.7.606", "", "Microsoft has banned the sending address"),
        ("5.7.1", "550 5.7.1 messages from [192.0.2.1] weren't sent. (S3140)", "bad name"),
        ("4.7.0", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred", "Yahoo defers"),
        ("5.7.2", "553 5.7.2 [TSS09] permanently deferred", "Yahoo defers all mail"),
        ("", "550 MI:SPF mx42", "SPF does not pass for MAIL FROM at NetEase"),
        ("", "554 DT:SPM smtp4", "NetEase takes the content"),
        ("", "550 Mail content denied", "taken for spam"),
        ("", "550 Ip frequency limited", "QQ Mail limits"),
        ("5.7.1", "554 5.7.1 blocked using zen.spamhaus.org", "blocklist"),
        ("5.2.99", "", "the mailbox does not take it"),
        ("5.9.9", "", "refused for good"),
        ("2.0.0", "250 2.0.0 spamhaus", "delivered"),
        ("", "", "no code"),
    ],
)
def test_what_a_code_means(status: str, diagnostic: str, means: str) -> None:
    found = explain(status, diagnostic)
    assert means in found.means
    assert found.todo
    assert found.ref


def test_every_meaning_says_what_to_do() -> None:
    known = [*(m for _, m in (*OWN, *GOOGLES)), *CODES.values(), *KINDS.values(), *LEVELS.values(), NOTHING]
    assert all(m.means and m.todo and m.ref for m in known)


PIECES = st.sampled_from([*bounces.standard().split(b"\n"), *bounces.QMAIL.split(b"\n"), *bounces.EXIM.split(b"\n")])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=30)), max_size=30))
def test_nothing_a_stranger_writes_raises(lines: list[bytes]) -> None:
    found = dsn.parse(b"\n".join(lines))
    assert found is None or all(explain(f.status, f.diagnostic).means for f in found.fates)
