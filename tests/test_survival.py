"""What a relay's rewriting does to our own signature, on real signatures: which header, and what to leave out of h=."""

from __future__ import annotations

from dataclasses import replace

import dkim
import pytest
from letters import MARKER, SUBMITTED, TAKEN, Zone, key, zone
from test_delivery import ACCEPTED, SENT_ON, copy, judge, site, status

from runbooklib import maillog
from runbooklib.delivery.arriving import Parcel
from runbooklib.results import Check, Checklist, Status

HANDED = (
    b"From: hi@lantern.example\r\nTo: friend@stranger.example\r\nSubject: runbook test\r\n"
    b"Date: Sat, 21 Nov 2026 20:16:13 +0000\r\nMessage-ID: <" + MARKER.encode() + b".1@lantern.example>\r\n"
    b"X-Runbook-Run: 1\r\n\r\nHello,\r\n\r\nthis is a test message.\r\n"
)
OURS = (b"from", b"to", b"subject", b"x-runbook-run")  # docker-mailserver's OpenDKIM omits Date and Message-ID
# As Amazon SES does it, Resend's too: an id and a date of its own.
REWRITTEN = {
    b"Message-ID: <" + MARKER.encode() + b".1@lantern.example>": b"Message-ID: <0107019a@eu-west-1.amazonses.com>",
    b"Date: Sat, 21 Nov 2026 20:16:13 +0000": b"Date: Sat, 21 Nov 2026 20:16:19 +0000",
}


def arrived(headers: tuple[bytes, ...] = OURS, changed: dict[bytes, bytes] | None = None, c: str = "relaxed") -> Parcel:
    """The message signed by our server over these headers, and changed on its way."""
    canon = (c.encode(), b"simple")
    signed = dkim.sign(HANDED, b"mail", b"lantern.example", key()[0], canonicalize=canon, include_headers=list(headers))
    raw = signed + HANDED
    for old, new in (REWRITTEN if changed is None else changed).items():
        assert old in raw
        raw = raw.replace(old, new)
    way = f"Return-Path: <hi@lantern.example>\n{TAKEN}\n{SUBMITTED}\n".replace("\n", "\r\n").encode()
    handed = replace(ACCEPTED, raw=HANDED)
    return Parcel(handed, (copy(way + raw),), None, (SENT_ON,), (("lantern.example", "mail"),))


def survives(parcel: Parcel, look: Zone | None = None) -> Check:
    (row,) = [c for c in judge(parcel, look) if c.name.startswith("delivery.survives")]
    return row


def test_our_signature_survives_what_ses_rewrites() -> None:
    row = survives(arrived())
    assert row.status is Status.PASS
    assert row.observed == "it does; rewritten on the way and rightly not signed: Date, Message-ID"


def test_a_signature_over_message_id_breaks_and_the_row_names_it() -> None:
    row = survives(arrived((*OURS, b"message-id")))
    assert row.status is Status.FAIL
    assert row.observed == "broken: Message-ID changed after signing"
    assert row.fix.startswith("leave Message-ID out of h=")


def test_every_rewritten_header_that_was_signed_is_named() -> None:
    row = survives(arrived((*OURS, b"date", b"message-id")))
    assert row.observed == "broken: Date, Message-ID changed after signing"


def test_a_changed_body_is_told_from_a_changed_header() -> None:
    row = survives(arrived(changed={b"this is": b"<img src=x>this is"}))
    assert row.observed == "broken: the body changed after signing"
    assert "tracking" in row.fix
    both = survives(arrived(changed={b"this is": b"that is", b"Subject: runbook": b"Subject: [list] runbook"}))
    assert both.observed == "broken: Subject and the body changed after signing"


def test_folding_does_not_count_where_the_signature_is_relaxed() -> None:
    folded = {b"Subject: runbook test": b"Subject:  runbook\r\n test"}
    assert survives(arrived(changed=folded)).status is Status.PASS
    strict = survives(arrived(changed=folded, c="simple"))
    assert (strict.status, strict.observed) == (Status.FAIL, "broken: Subject changed after signing")


def test_a_header_signed_once_more_than_it_stands_may_not_be_added() -> None:
    added = {b"Subject: runbook test\r\n": b"Subject: runbook test\r\nReply-To: x@y.example\r\n"}
    assert survives(arrived(changed=added)).status is Status.PASS
    row = survives(arrived((*OURS, b"reply-to"), changed=added))
    assert row.observed == "broken: Reply-To changed after signing"


def test_another_key_in_dns_is_no_fault_of_the_way() -> None:
    other = zone(mail="v=DKIM1; k=rsa; p=" + key()[1].partition("p=")[2].replace("A", "B", 1))
    row = survives(arrived(), other)
    assert row.status is Status.FAIL
    assert "DNS" in row.fix


def test_a_key_that_could_not_be_looked_up_says_nothing_of_the_way() -> None:
    found = survives(arrived(), zone("_domainkey"))
    assert (found.status, found.advisory) == (Status.UNKNOWN, True)


def test_broken_it_only_warns_where_the_relays_signature_stands_in() -> None:
    parcel = arrived((*OURS, b"message-id"))
    (came,) = parcel.copies
    relays = dkim.sign(came.raw, b"relay", b"lantern.example", key()[0], include_headers=[b"from", b"subject"])
    row = survives(replace(parcel, copies=(replace(came, raw=relays + came.raw),)))
    assert (row.status, row.observed) == (Status.WARN, "broken: Message-ID changed after signing")


def test_without_the_handed_bytes_the_body_is_judged_by_its_hash_and_no_header_is_accused() -> None:
    blind = replace(ACCEPTED, raw=b"")
    assert "the body" in survives(replace(arrived(changed={b"this is": b"that is"}), handed=blind)).observed
    row = survives(replace(arrived((*OURS, b"message-id")), handed=blind))
    assert row.status is Status.FAIL
    assert "Message-ID" not in row.observed


LOG = """\
2026-11-21T20:16:13Z mail opendkim[1090]: 9EAA32F83C2: DKIM-Signature field added (s=mail, d=lantern.example)
2026-11-21T20:16:13Z mail opendkim[1090]: AAAA32F83C2: DKIM-Signature field added (s=s2, d=pier.example)
2026-11-21T20:16:13Z mail opendkim[1090]: BBBB32F83C2: no signing table match for 'x@y.example'
"""


@pytest.mark.parametrize(
    ("queue_id", "signers"),
    [("9EAA32F83C2", [("lantern.example", "mail")]), ("AAAA32F83C2", [("pier.example", "s2")]), ("BBBB32F83C2", [])],
)
def test_the_log_says_what_our_server_signed_with(queue_id: str, signers: list[tuple[str, str]]) -> None:
    assert maillog.signers(maillog.parse(LOG), queue_id) == signers


def test_while_a_new_key_waits_the_old_ones_signature_is_ours() -> None:
    found: Checklist = judge(arrived(), at=site(domains__0__dkim={"selector": "s2"}))
    rows = {c.name.rpartition(" ")[2]: c.status for c in found if c.name.startswith("delivery.dkim ")}
    assert rows == {"s2": Status.PENDING, "mail": Status.PASS}
    assert status(found, "survives") is Status.PASS
    unsigned = judge(replace(arrived(), signers=()), at=site(domains__0__dkim={"selector": "s2"}))
    missing = next(c for c in unsigned if c.name.endswith(" s2"))
    assert missing.status is Status.FAIL, "the server's log does not say that another key signed"
