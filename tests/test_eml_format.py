"""A message's form: each defect is found, and a good message has none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import RELAYED, SUBMITTED, Out
from proofs import with_field

from runbooklib import eml
from runbooklib.eml import sanity
from runbooklib.results import Status

WARN, FAIL = Status.WARN, Status.FAIL


def found(raw: bytes) -> list[tuple[Status, str]]:
    return [(d.status, d.said) for d in sanity.defects(eml.read(raw))]


def test_a_good_message_has_no_defect() -> None:
    assert found(Out().raw()) == []
    assert found(Out(date="Date: Sat, 21 Nov 2026 20:16:13 GMT").raw()) == []
    assert sanity.judge(eml.read(Out().raw()), "x").status is Status.PASS


MIME = "Content-Type: text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("message", "status", "said"),
    [
        (Out(date=""), FAIL, "no Date"),
        (Out(date="Date: 1 Jan 2026 00:00:00 -999999999999999999999999"), FAIL, "Date cannot be read"),
        (Out(date="Date: yesterday"), FAIL, "Date cannot be read: 'yesterday'"),
        (Out(date="Date: Sat, 21 Nov 2026 20:16:13"), WARN, "Date without a numeric zone"),
        (Out(date="Date: Sat, 21 Nov 2026 20:16:13 EST"), WARN, "Date without a numeric zone"),
        (Out(date="Date: Sat, 21 Nov 2026 20:16:13 -0000"), WARN, "Date without a numeric zone"),
        (Out(date="Date: Sat, 21 Nov 2026 20:46:13 +0000"), WARN, "Date lies 30 minutes in the future"),
        (Out(date="Date: Fri, 20 Nov 2026 20:16:13 +0000"), WARN, "Date lies 24 hours before it was sent"),
        (Out(ident=""), FAIL, "no Message-ID"),
        (Out(ident="Message-ID: 1@lantern.example"), FAIL, "Message-ID is not <left@right>"),
        (Out(ident="Message-ID: <1>"), FAIL, "Message-ID is not <left@right>"),
        (Out(ident="Message-ID: <1@localhost>"), WARN, "Message-ID ends in localhost, which is nobody's name"),
        (Out(ident="Message-ID: <1@laptop.local>"), WARN, "Message-ID ends in laptop.local"),
        (Out(ident="Message-ID: <1@a.example>\nMessage-ID: <2@a.example>"), FAIL, "2 Message-ID fields"),
        (Out(sender=""), FAIL, "no From"),
        (Out(sender="From: a@a.example\nFrom: b@b.example"), FAIL, "2 From fields"),
        (Out(sender="From: a@a.example, b@b.example"), FAIL, "several authors in From and no Sender"),
        (with_field("Subject: again"), FAIL, "2 Subject fields"),
        (with_field("Bcc: boss@lantern.example"), WARN, "a Bcc that everybody reads"),
        (Out(changed={"To: friend": "X-To: friend"}), WARN, "neither To nor Cc"),
        (with_field(MIME), WARN, "MIME-Version is missing"),
        (with_field(MIME, "MIME-Version: 2"), WARN, "MIME-Version is 2"),
        (with_field("this is no field"), FAIL, "a line in the header that is no field: 'this is no field'"),
        (with_field("X-Name: J\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen"), FAIL, "octets outside ASCII in X-Name"),
        (Out(body="x" * 999), FAIL, "a line of 999 octets, 998 are allowed"),
        (Out(changed={"Hello,": "Hello,\0"}), FAIL, "a NUL"),
        (Out(changed={"Hello,\r\n": "Hello,\n"}), FAIL, "a bare LF"),
        (Out(changed={"Hello,\r\n": "Hello,\r\r\n"}), FAIL, "a bare CR"),
    ],
)
def test_each_defect_is_found(message: Out, status: Status, said: str) -> None:
    assert any(s is status and said in told for s, told in found(message.raw())), found(message.raw())
    row = sanity.judge(eml.read(message.raw()), "x")
    assert row.status in {status, FAIL}
    assert said in row.observed
    assert row.fix


def test_a_line_may_have_998_octets() -> None:
    assert found(Out(body="x" * 998).raw()) == []


def test_letters_outside_ascii_are_right_where_it_went_by_smtputf8() -> None:
    named = with_field("X-Name: J\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen")
    utf8 = Out(relayed=RELAYED.replace("ESMTPSA", "UTF8SMTPSA"), changed=named.changed)
    assert found(utf8.raw()) == []
    latin = utf8.raw().replace("J\N{LATIN SMALL LETTER U WITH DIAERESIS}".encode(), b"J\xfc")
    assert found(latin) == [(FAIL, "octets outside ASCII in X-Name, and no SMTPUTF8")]


def test_the_first_server_s_clock_counts() -> None:
    """A message that waited on its way is not late."""
    later = RELAYED.replace("20:16:13", "22:16:13")
    assert found(Out(relayed=later).raw()) == []
    assert found(Out(submitted=SUBMITTED.replace("20:16:13", "22:16:13")).raw()) == [
        (WARN, "Date lies 2 hours before it was sent, by the first server's clock")
    ]


LINES = st.lists(st.one_of(st.sampled_from(Out().raw().split(b"\r\n")), st.binary(max_size=20)), max_size=20)


@settings(max_examples=50, deadline=None)
@given(LINES)
def test_nothing_a_stranger_writes_raises(lines: list[bytes]) -> None:
    sanity.defects(eml.read(b"\r\n".join(lines)))
