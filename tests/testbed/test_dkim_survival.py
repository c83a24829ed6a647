"""What a relay on Amazon SES makes of our own signature, seen on messages that really went through it."""

from __future__ import annotations

import asyncio
from email.utils import format_datetime, localtime

import dkim
import pytest
from letters import key
from rehearsed import Rehearsed
from test_relays_of_the_testbed import AUTHOR, FRIEND, VERIFIED, session, teach

from runbooklib.eml import signatures, survival
from runbooklib.records import quoted
from runbooklib.results import Check, Status
from runbooklib.zone import Internet, Stub

DOMAIN = "lantern.example"
OURS = [b"from", b"to", b"subject"]  # as docker-mailserver's OpenDKIM signs: without Date and Message-ID


@pytest.fixture
def ses(clean: Rehearsed) -> Rehearsed:
    """Resend trusts lantern.example, and the zone holds our own key."""
    assert clean.publish(("mail._domainkey", "TXT", quoted(key()[1]))) == "NOERROR"
    teach(clean, "resend", domains={DOMAIN: VERIFIED})
    return clean


def came_through(ses: Rehearsed, subject: str, headers: list[bytes]) -> Check:
    """A message signed over these headers, sent through the relay, and what is said of it at its recipient."""
    lines = [f"From: {AUTHOR}", f"To: {FRIEND}", f"Subject: {subject}", f"Date: {format_datetime(localtime())}"]
    handed = "\r\n".join([*lines, f"Message-ID: <{subject}@{DOMAIN}>", "", "Only a rehearsal.", ""]).encode()
    signature = dkim.sign(handed, b"mail", DOMAIN.encode(), key()[0], include_headers=headers)
    with session(ses, ses.state.resend, 587) as client:
        client.sendmail(AUTHOR, [FRIEND], signature + handed)
    arrived = ses.arrived_bytes(subject)
    made = asyncio.run(signatures.verify(Stub(Internet(), [ses.state.resolver.ipv4]), arrived))
    ours = next(s for s in made if s.selector == "mail")
    return survival.judge("outbound", handed, arrived, ours)


def test_a_signature_that_leaves_out_what_is_rewritten_survives(ses: Rehearsed) -> None:
    row = came_through(ses, "survives", OURS)
    assert row.status is Status.PASS
    assert row.observed == "it does; rewritten on the way and rightly not signed: Date, Message-ID"


def test_a_signature_over_message_id_breaks_and_the_row_names_it(ses: Rehearsed) -> None:
    row = came_through(ses, "breaks", [*OURS, b"message-id"])
    assert (row.status, row.observed) == (Status.FAIL, "broken: Message-ID changed after signing")
    assert row.fix.startswith("leave Message-ID out of h=")
