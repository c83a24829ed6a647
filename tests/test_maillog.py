"""The mail log as Postfix 3.7 and docker-mailserver write it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runbooklib import maillog

AMAVIS = """\
2026-11-21T17:36:05.584883+00:00 mail opendkim[681]: 83FA32269A1: DKIM-Signature field added (s=mail, d=example.test)
2026-11-21T17:36:05.753487+00:00 mail postfix/smtp-amavis/smtp[850]: 83FA32269A1: to=<friend@ext.test>, \
relay=127.0.0.1[127.0.0.1]:10024, delay=0.22, delays=0.09/0.01/0/0.12, dsn=2.0.0, status=sent \
(250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as B5A132269A6)
2026-11-21T17:36:05.762060+00:00 mail postfix/smtp[855]: B5A132269A6: to=<friend@ext.test>, \
relay=relay.test[172.30.0.1]:2465, delay=0.02, delays=0.01/0.01/0.01/0, dsn=2.0.0, status=sent \
(250 OK queued as 1795282565.762.eml)
"""
DEFERRED = """\
Nov 21 20:03:07 mail postfix/smtp[240]: 4Ztq1h5Xv9zBrVP: to=<friend@stranger.example>, orig_to=<x@lantern.example>, \
relay=none, delay=30, delays=0.1/0/30/0, dsn=4.4.1, status=deferred \
(connect to mx.stranger.example[198.18.7.6]:25: Connection timed out)
not a line of a log
2026-11-21T20:03:12.793916+00:00 mail postfix/smtpd[251]: NOQUEUE: reject: RCPT from unknown[198.18.7.1]: 550 5.1.1 no
"""


def test_a_message_is_followed_through_a_filter_that_queues_it_anew() -> None:
    filtered, relayed = maillog.follow(maillog.parse(AMAVIS), "83FA32269A1")
    assert filtered.filtered
    assert not relayed.filtered
    assert (relayed.relay, relayed.status, relayed.said) == (
        "relay.test[172.30.0.1]:2465",
        "sent",
        "250 OK queued as 1795282565.762.eml",
    )


def test_what_a_relay_queued_under_its_own_name_is_not_followed() -> None:
    events = maillog.parse(AMAVIS.replace("1795282565.762.eml", "83FA32269A1"))
    assert len(maillog.follow(events, "B5A132269A6")) == 1


def test_long_queue_ids_traditional_stamps_and_answers_with_brackets() -> None:
    (event, reject) = maillog.parse(DEFERRED)
    assert (event.time, event.program, event.queue_id) == ("Nov 21 20:03:07", "postfix/smtp", "4Ztq1h5Xv9zBrVP")
    assert (reject.queue_id, maillog.attempt(reject)) == ("", None)
    tried = maillog.attempt(event)
    assert tried
    assert (tried.recipient, tried.relay, tried.dsn, tried.status) == (
        "friend@stranger.example",
        "none",
        "4.4.1",
        "deferred",
    )
    assert tried.said == "connect to mx.stranger.example[198.18.7.6]:25: Connection timed out"


def test_nothing_is_known_of_another_message() -> None:
    assert maillog.follow(maillog.parse(AMAVIS), "AAAAAAAAAA") == []


@given(st.text())
def test_no_text_raises(text: str) -> None:
    for event in maillog.parse(text + "\n" + AMAVIS[:200] + text):
        maillog.attempt(event)
