"""What comes in: letters of this machine's own to port 25, a forgery, and how our server took them."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sites
from letters import AT, MARKER, In, Zone, zone
from scripts import START_TLS, Authority, Script

from runbooklib import maillog
from runbooklib.delivery import doors, incoming, transfer
from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.cases import Case
from runbooklib.delivery.handover import Fate, Handed, Sent
from runbooklib.delivery.judging import verdict
from runbooklib.delivery.messages import Letter, Letters, Route
from runbooklib.delivery.proving import Proven, authenticated
from runbooklib.eml import hops
from runbooklib.maillog import Attempt
from runbooklib.params import Site
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
HI, HOST = "hi@lantern.example", "mail.lantern.example"
DIRECT = Letter(3, Route.DIRECT, "lantern.example", doors.STRANGER, HI, HI, door="IPv4 STARTTLS")
FORGED = Letter(4, Route.FORGED, "lantern.example", doors.FORGED, HI, HI)
COW = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:MAILCOW_API_KEY"}
POSTFIX = {"server": "postfix"}


def site(**changes: Any) -> Site:
    return sites.make(**({"test": {"smtp25": True}} | changes))


def test_the_first_mailbox_gets_a_letter_by_every_door_and_one_forgery() -> None:
    at = site()
    names = [letter.name for letter in doors.drafts(at, at.domains[0], "r")]
    assert names == [f"direct {HI} IPv4 STARTTLS", f"direct {HI} IPv4", f"forged {HI}"]
    assert list(doors.missing(at)) == []


def test_ipv6_is_tried_where_there_is_a_way_to_it() -> None:
    at = site(server__ipv6="2001:db8::10")
    doored = {door.name for door in doors.doors(at)}
    here = bool(doors.own_address("2001:db8::10"))
    assert ("IPv6" in doored) is here
    assert [c.name for c in doors.missing(at)] == ([] if here else ["delivery.direct IPv6"])


def test_without_smtp25_nothing_goes_to_port_25_and_a_row_says_so() -> None:
    at = site(test={})
    assert list(doors.drafts(at, at.domains[0], "r")) == []
    assert [(c.name, c.advisory) for c in doors.missing(at)] == [("delivery.direct", True)]


def test_a_client_without_a_name_says_its_address() -> None:
    assert doors.literal(doors.own_address("127.0.0.1")) == "[127.0.0.1]"
    assert doors.literal("2001:db8::1") == "[IPv6:2001:db8::1]"


TAKES = ("250 2.1.0 Ok", "250 2.1.5 Ok", "354 go on", "250 2.0.0 Ok: queued as ABCDEF", "221 bye")


def brought(lines: list[str], letter: Letter, tmp_path: Path) -> tuple[Handed, list[str]]:
    ca = Authority(tmp_path)
    at = site(server__ipv4="127.0.0.1", mail__tls__ca=ca.pem)
    with Script(lines, ca.serving(HOST)) as script:
        return doors.hand_over(at, letter, b"Subject: x\r\n\r\nx\r\n", script.port), script.heard


def test_a_letter_comes_under_the_null_sender_in_tls(tmp_path: Path) -> None:
    lines = ["220 there", "250-there\n250 STARTTLS", "220 go", START_TLS, "250 there", *TAKES]
    handed, heard = brought(lines, DIRECT, tmp_path)
    assert (handed.fate, handed.queue_id, handed.client) == ("accepted", "ABCDEF", "127.0.0.1")
    assert handed.tls.startswith("TLSv1")
    assert heard[0] == "ehlo [127.0.0.1]"
    assert heard[3:5] == ["mail FROM:<>", f"rcpt TO:<{HI}>"]


def test_a_letter_comes_in_clear_where_that_is_asked(tmp_path: Path) -> None:
    lines = ["220 there", "250-there\n250 STARTTLS", *TAKES]
    handed, heard = brought(lines, replace(DIRECT, door="IPv4"), tmp_path)
    assert (handed.fate, handed.tls) == ("accepted", "")
    assert "STARTTLS" not in heard


def test_no_starttls_on_25_fails_and_no_way_to_ipv6_is_unknown(tmp_path: Path) -> None:
    bare, _ = brought(["220 there", "250 there", "221 bye"], DIRECT, tmp_path)
    assert (bare.fate, bare.verdict) == ("unsent", FAIL)
    nowhere, _ = brought([], replace(DIRECT, door="IPv6"), tmp_path)
    assert (nowhere.fate, nowhere.verdict) == ("unsent", UNKNOWN)


def test_a_connection_that_breaks_before_the_message_tells_nothing(tmp_path: Path) -> None:
    handed, _ = brought(["220 there", "250 there", "250 2.1.0 Ok"], replace(DIRECT, door="IPv4"), tmp_path)
    assert (handed.fate, handed.verdict, bool(handed.fix)) == ("unsent", UNKNOWN, True)


EARLY = ["220 there", "250 there", "250 2.1.0 Ok", "250 2.1.5 Ok"]


@pytest.mark.parametrize(
    ("lines", "fate", "words"),
    [
        (EARLY, "unsent", "broke off before the message"),  # at the word DATA: a resume sends it
        ([*EARLY, "421 4.3.2 bye"], "refused", "DATA: 421 4.3.2 bye"),
        ([*EARLY, "354 go on"], "unknown", "broke off in or after the message"),
        ([*EARLY, "354 go on", "250 2.0.0 Ok: queued as ABCDEF"], "accepted", "250 2.0.0"),
        ([*EARLY, "354 go on", "554 5.7.1 no"], "refused", "554 5.7.1 no"),
    ],
)
def test_nothing_is_handed_over_before_the_server_says_go_on(
    tmp_path: Path, lines: list[str], fate: str, words: str
) -> None:
    handed, _ = brought(lines, replace(DIRECT, door="IPv4"), tmp_path)
    assert (handed.fate, handed.said.startswith(words)) == (fate, True)


@pytest.mark.parametrize(
    ("message", "sent"),
    [(b"a\r\n", b"a\r\n.\r\n"), (b"a", b"a\r\n.\r\n"), (b".\r\n.a\r\n\r\n", b"..\r\n..a\r\n\r\n.\r\n")],
)
def test_a_line_with_a_dot_in_front_ends_no_message(message: bytes, sent: bytes) -> None:
    assert transfer.ended(message) == sent


FORBIDS = {"example.com": "v=spf1 -all", "_dmarc.example.com": "v=DMARC1; p=reject; sp=reject"}


@pytest.mark.parametrize(
    ("look", "doubted"),
    [
        (zone(at=FORBIDS), ""),
        (zone(at=FORBIDS | {"example.com": "v=spf1 ~all"}), "SPF of example.com says softfail"),
        (zone(at=FORBIDS | {"_dmarc.example.com": "v=DMARC1; p=none"}), "the DMARC policy of example.com is none"),
        (zone(), "SPF of example.com says none"),
        (zone("example.com", at=FORBIDS), "SPF of example.com says temperror"),
        (zone("_dmarc", at=FORBIDS), "the DMARC policy of example.com is not known"),
    ],
)
def test_nothing_is_forged_that_its_owner_does_not_forbid(look: Zone, doubted: str) -> None:
    said = asyncio.run(doors.doubt(look, "198.51.100.7"))
    assert said.startswith(f"not sent: {doubted}" if doubted else said)
    assert bool(said) is bool(doubted)


CAME = In().came.replace("mx.stranger.example", "[198.51.100.7]").replace("198.51.100.6", "198.51.100.7")
OWN = In(to="", came=CAME, before="", results="", spf="")


def case(letter: Letter, fate: Fate, said: str, found: In | None = None, at: Site | None = None, **known: Any) -> Case:
    """A letter of this machine's own, with what was said to it, and where it lies."""
    where = at or site()
    of_copy = {name: known.pop(name) for name in ("folder", "junk") if name in known}
    of_handed = {name: known.pop(name) for name in ("client", "tls", "verdict") if name in known}
    copies = [replace(Copy(letter.number, "message", HI, "INBOX", AT + 2, m.raw()), **of_copy) for m in [found] if m]
    handed = replace(Handed(letter, fate, said, AT), **of_handed)
    parcel = replace(Parcel(handed, tuple(copies)), **known)
    arrived = Arrived(Sent(Letters("r", MARKER, (letter,)), (handed,), applied=True), (parcel,), wait=30)
    return Case(where, asyncio.run(authenticated(zone(), where, arrived)), parcel)


def rows(of: Case) -> dict[str, Check]:
    arrived = of.arrived
    found = verdict(of.site, Proven(arrived, of.proven.proofs))
    return {c.name.split()[0].removeprefix("delivery."): c for c in found}


def test_a_letter_of_our_own_that_came_in_passes_every_check() -> None:
    found = rows(case(DIRECT, "accepted", "250 2.0.0 Ok", OWN, client="198.51.100.7", tls="TLSv1.3 X"))
    assert {c.status for c in found.values()} == {PASS}, found
    assert set(found) == {"accepted", "arrived", "once", "client-address", "tls", "no-relay"}


CLEAR = replace(DIRECT, door="IPv4")


@pytest.mark.parametrize(
    ("letter", "fate", "said", "expected", "blocks"),
    [
        (DIRECT, "accepted", "250 2.0.0 Ok", PASS, False),
        (DIRECT, "refused", "RCPT TO: 450 4.2.0 Greylisted, try again", UNKNOWN, False),
        (DIRECT, "refused", "RCPT TO: 554 5.7.1 Service unavailable; blocked using zen.spamhaus.org", UNKNOWN, False),
        (DIRECT, "refused", "RCPT TO: 550 5.7.1 <[198.51.100.7]>: Helo command rejected", UNKNOWN, False),
        (DIRECT, "refused", "RCPT TO: 550 5.7.23 Message rejected due to: SPF fail", UNKNOWN, False),
        (DIRECT, "refused", "RCPT TO: 550 5.1.1 User unknown", FAIL, True),
        (DIRECT, "refused", "DATA: 554 5.3.0 no", FAIL, True),
        (DIRECT, "unknown", "broke off after the message", UNKNOWN, True),
        (CLEAR, "refused", "MAIL FROM: 530 5.7.0 Must issue a STARTTLS command first", FAIL, True),
        (FORGED, "refused", "RCPT TO: 550 5.7.23 SPF fail - not authorized", PASS, False),
        (FORGED, "refused", "RCPT TO: 550 5.7.27 Domain example.com does not accept mail (nullMX)", PASS, False),
        (FORGED, "refused", "DATA: 550 5.7.1 rejected by DMARC policy for example.com", PASS, False),
        (FORGED, "refused", "RCPT TO: 554 5.7.1 Service unavailable; blocked using zen.spamhaus.org", UNKNOWN, False),
        (FORGED, "refused", "RCPT TO: 451 4.7.1 Greylisting in action", UNKNOWN, False),
        (FORGED, "accepted", "250 2.0.0 Ok", UNKNOWN, False),  # and seen nowhere
    ],
)
def test_what_port_25_says_to_us(letter: Letter, fate: Fate, said: str, expected: Status, *, blocks: bool) -> None:
    row = incoming.taken(case(letter, fate, said, tls="" if letter is CLEAR else "TLSv1.3 X"))
    assert (row.status, row.blocks) == (expected, blocks)


def test_what_was_not_forged_is_unknown_and_stops_nobody() -> None:
    row = incoming.taken(case(FORGED, "unsent", "not sent: SPF says softfail", verdict=UNKNOWN))
    assert (row.status, row.advisory) == (UNKNOWN, True)


SEEN = "Authentication-Results: mail.lantern.example; dmarc=fail header.from=example.com"
FAKE = replace(OWN, results="")


@pytest.mark.parametrize(
    ("mail", "found", "copy", "expected"),
    [
        ({}, FAKE, {}, FAIL),
        ({}, replace(FAKE, results=SEEN), {}, WARN),
        ({}, replace(FAKE, results="X-Spam-Flag: YES"), {}, WARN),
        ({}, replace(FAKE, results="X-Spam-Flag: NO"), {}, FAIL),
        ({}, FAKE, {"folder": "Junk", "junk": True}, PASS),
        (COW, FAKE, {}, FAIL),
        (POSTFIX, FAKE, {}, WARN),
    ],
)
def test_a_forgery_that_was_taken(mail: dict[str, Any], found: In, copy: dict[str, Any], expected: Status) -> None:
    at = site(mail=mail) if mail else site()
    forgery = case(FORGED, "accepted", "250 2.0.0 Ok", found, at, **copy)
    assert {name: row.status for name, row in rows(forgery).items()} == {"forgery": expected}


@pytest.mark.parametrize(
    ("ours", "logged", "expected"),
    [
        ("198.51.100.7", "198.51.100.7", PASS),
        ("198.51.100.7", "172.18.0.1", FAIL),  # a bridge's gateway
        ("198.51.100.7", "127.0.0.1", FAIL),  # a proxy on the server
        ("198.51.100.7", "203.0.113.10", FAIL),  # the server itself
        ("198.51.100.7", "198.51.100.99", FAIL),  # somebody between
        ("192.168.1.20", "198.51.100.7", PASS),  # this machine is behind a NAT
        ("192.168.1.20", "192.168.1.20", PASS),  # and the server in the same network
        ("192.168.1.20", "172.18.0.1", FAIL),
        ("2001:db8::7", "2001:db8::7", PASS),
        ("2001:db8::7", "fd00::1", FAIL),
        ("2001:db8::7", "172.18.0.1", FAIL),
        ("2001:db8::7", "198.51.100.7", FAIL),
        ("", "198.51.100.7", PASS),  # somebody else's message
        ("", "172.18.0.1", FAIL),
    ],
)
def test_the_log_names_who_came(ours: str, logged: str, expected: Status) -> None:
    came = hops.parse(OWN.came.partition(":")[2].replace("198.51.100.7", logged))
    of = case(DIRECT, "accepted", "250 2.0.0 Ok", client=ours)
    by_log = replace(of, parcel=replace(of.parcel, client=logged))
    assert {incoming.client(of, came).status, incoming.client(by_log, None).status} == {expected}
    assert incoming.client(of, None).status is FAIL


def test_what_came_in_tls_and_in_clear_is_what_was_asked() -> None:
    bare = re.sub(r" \(using.*\)\n", "", CAME).replace("ESMTPS", "ESMTP")
    plain, secure = (hops.parse(text.partition(":")[2]) for text in (bare, CAME))
    asked = {letter: case(letter, "accepted", "250 Ok") for letter in (DIRECT, CLEAR)}
    assert [incoming.in_tls(asked[DIRECT], hop).status for hop in (secure, plain)] == [PASS, FAIL]
    assert [incoming.in_tls(asked[CLEAR], hop).status for hop in (secure, plain)] == [FAIL, PASS]


def test_the_log_tells_of_a_relay_that_no_hop_names() -> None:
    kept = Attempt("", "postfix/lmtp", HI, "mail.lantern.example[/dev/lmtp]", "2.0.0", "sent", "250 Saved")
    away = replace(kept, program="postfix/smtp", relay="smtp.example.net[198.51.100.5]:587")
    found = [
        incoming.without_relay(case(DIRECT, "accepted", "250 Ok", attempts=tries), []).status
        for tries in ((kept,), (kept, away))
    ]
    assert found == [PASS, FAIL]


def test_the_log_tells_where_a_message_came_from() -> None:
    log = "2026-11-22T08:55:49.467988+00:00 mail postfix/smtpd[538]: 723BB5E688A: client=unknown[2001:db8::7]\n"
    events = maillog.parse(log + log.replace("unknown[2001:db8::7]", "localhost"))
    assert maillog.client(events, "723BB5E688A") == "2001:db8::7"
    assert maillog.client(events, "AAAAAAAAAAA") == ""
