"""05 on mailcow's webmail: the newest message that SOGo handed over shows which relay it took."""

from __future__ import annotations

import time

import cowsites
import pytest
import sites

from runbooklib import maillog
from runbooklib.delivery import webmail
from runbooklib.params import Site
from runbooklib.results import Check, Status

RELAY = "smtp.example.net[198.51.100.5]:587"
DIRECT = "mx.stranger.example[198.51.100.6]:25"
SUBMISSION = "postfix/submission/smtpd"
PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
IDS = ("4cK2Qx1Yz0z9s1", "4cK2Qy3Wz1z9s2", "4cK2Qz5Vz2z9s3")


def message(number: int, door: str, relay: str, status: str = "sent", said: str = "250 Ok") -> list[tuple[str, str]]:
    """A message through a door and on, in the words of mailcow's Postfix, as program and text."""
    name = IDS[number]
    return [
        (door, f"{name}: client=sogo[172.22.1.248], sasl_method=PLAIN, sasl_username=hi@lantern.example"),
        ("postfix/sender-cleanup/cleanup", f"{name}: message-id=<{number}@lantern.example>"),
        ("postfix/qmgr", f"{name}: from=<hi@lantern.example>, size=700, nrcpt=1 (queue active)"),
        (
            "postfix/smtp",
            f"{name}: to=<friend@stranger.example>, relay={relay}, delay=1, dsn=2.0.0, status={status} ({said})",
        ),
        ("postfix/qmgr", f"{name}: removed"),
    ]


def log(*messages: list[tuple[str, str]]) -> str:
    lines = [line for told in messages for line in told]
    return "".join(f"2026-11-21T20:16:13+00:00 mailcow {program}: {text}\n" for program, text in lines)


def judged(*messages: list[tuple[str, str]], site: Site | None = None) -> Check:
    here = site or cowsites.elsewhere()
    return webmail.judge(here, here.domains[0], maillog.departures(maillog.parse(log(*messages))))


SENT = message(0, webmail.DOOR, RELAY)
UNREACHED = "connect to smtp.example.net[198.51.100.5]:587: Connection refused"


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([SENT], PASS),
        ([message(0, webmail.DOOR, DIRECT), message(1, webmail.DOOR, RELAY)], PASS),  # the newest counts
        ([message(0, webmail.DOOR, RELAY, "bounced", "host said: 550 5.1.1 no such user")], WARN),
        ([message(0, webmail.DOOR, "none", "deferred", UNREACHED)], WARN),
        ([message(0, SUBMISSION, RELAY), message(1, webmail.DOOR, DIRECT)], FAIL),
        ([message(0, SUBMISSION, RELAY), message(1, webmail.DOOR, "other.example[192.0.2.1]:587")], FAIL),
        ([message(0, webmail.DOOR, DIRECT), message(1, SUBMISSION, RELAY)], UNKNOWN),  # before the relay was set
        ([message(0, webmail.DOOR, DIRECT)], UNKNOWN),
        ([message(0, SUBMISSION, RELAY)], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_which_way_webmail_took(messages: list[list[tuple[str, str]]], expected: Status) -> None:
    row = judged(*messages)
    assert (row.name, row.status) == ("send.webmail lantern.example", expected)
    assert row.advisory == (expected is UNKNOWN)
    assert bool(row.fix) == (expected is not PASS)


def test_a_message_to_a_mailbox_here_shows_nothing() -> None:
    local = ("postfix/lmtp", f"{IDS[0]}: to=<hi@lantern.example>, relay=dovecot[x]:24, dsn=2.0.0, status=sent (250 Ok)")
    assert judged([*message(0, webmail.DOOR, RELAY)[:3], local]).status is UNKNOWN


def test_a_direct_domain_takes_no_relay() -> None:
    site = cowsites.elsewhere(domains__0__relay="direct")
    assert judged(message(0, webmail.DOOR, DIRECT), site=site).status is PASS
    crossed = [message(0, SUBMISSION, DIRECT), message(1, webmail.DOOR, RELAY)]
    assert judged(*crossed, site=site).status is FAIL


def test_only_mailcow_has_a_webmail() -> None:
    assert webmail.rows(sites.make()) == ()


def test_it_is_read_from_mailcows_own_log(monkeypatch: pytest.MonkeyPatch) -> None:
    with cowsites.grazing(monkeypatch) as cow:
        now = str(int(time.time()))
        told = [{"time": now, "priority": "info", "program": program, "message": text} for program, text in SENT]
        cow.behind.lines["postfix"] = told[::-1]
        [row] = webmail.rows(cowsites.site(cow))
        cow.without_keys()
        [dark] = webmail.rows(cowsites.site(cow))
    assert row.status is PASS
    assert RELAY in row.observed
    assert (dark.status, dark.advisory) == (UNKNOWN, True)
    assert "could not be read" in dark.observed
