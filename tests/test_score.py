"""What spam filters answer, read and judged; the answers are real ones of rspamd 3.4 and SpamAssassin 4.0.1."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runbooklib import eml
from runbooklib.eml import score, symbols
from runbooklib.eml.rspamd import RSPAMD
from runbooklib.eml.score import Score, ScoreError, Symbol
from runbooklib.eml.spamassassin import SPAMASSASSIN
from runbooklib.results import Status

REAL = Path(__file__).parent / "fixtures" / "scores"
PASS, WARN, FAIL = Status.PASS, Status.WARN, Status.FAIL


def real(name: str) -> str:
    return (REAL / name).read_text()


def answer(**changes: Any) -> str:
    """An answer of rspamd's about a message that nothing is wrong with."""
    whole = {"score": -0.7, "required_score": 15.0, "action": "no action", "symbols": {}}
    return json.dumps(whole | changes)


def symbol(name: str, points: float, **more: Any) -> dict[str, Any]:
    return {name: {"name": name, "score": points, "metric_score": points, **more}}


def test_rspamd_s_answer_is_read() -> None:
    found = score.rspamd(real("rspamd.json"))
    assert (found.points, found.limit, found.action, found.status) == (18.6, 6.0, "add header", FAIL)
    by_name = {s.name: s for s in found.symbols}
    assert len(by_name) == len(json.loads(real("rspamd.json"))["symbols"])
    spoofed = by_name["FROM_NEQ_DISPLAY_NAME"]
    assert (spoofed.points, spoofed.options) == (4.0, ("lantern.example", "paypal.com"))
    assert by_name["SUBJ_ALL_CAPS"].points == 1.8, "what counted within its group, not what it would have been alone"


def test_newer_answers_tell_each_threshold() -> None:
    assert score.rspamd(answer(thresholds={"reject": 15.0, "add header": 6.0})).limit == 6.0
    assert score.rspamd(answer(thresholds={})).limit == 15.0
    assert score.rspamd(answer(required_score=None)).limit is None


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("no action", PASS),
        ("greylist", WARN),
        ("soft reject", WARN),
        ("add header", FAIL),
        ("rewrite subject", FAIL),
        ("quarantine", FAIL),
        ("reject", FAIL),
        ("discard", FAIL),
        ("an action of their own", WARN),
    ],
)
def test_the_action_decides(action: str, expected: Status) -> None:
    row = score.total("a message", score.rspamd(answer(action=action, symbols=symbol("MISSING_MID", 2.5))))
    assert row.status is expected
    assert ("MISSING_MID (2.5)" in row.fix) is (expected is not PASS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>502 Bad Gateway</html>",
        "[]",
        "null",
        '{"error": "Unauthorized"}',
        answer(score=None),
        answer(symbols=None),
        answer(symbols={"X": None}),
        answer(symbols={"X": {"score": "much"}}),
        json.dumps({"score": 1}),
    ],
)
def test_what_is_no_answer_of_rspamd_s_is_an_error(text: str) -> None:
    with pytest.raises(ScoreError):
        score.rspamd(text)


@pytest.mark.parametrize(
    ("name", "points", "status", "count", "longest"),
    [
        ("spamc.txt", 4.6, PASS, 3, "Received: contains illegal IP address"),
        ("spamassassin.txt", 20.1, FAIL, 24, "Claims to be from paypal but not processed by any paypal MTA"),
    ],
)
def test_spamassassin_s_report_is_read(name: str, points: float, status: Status, count: int, longest: str) -> None:
    found = score.spamassassin(real(name))
    assert (found.points, found.limit, found.status, len(found.symbols)) == (points, 5.0, status, count)
    assert longest in {s.described for s in found.symbols}
    assert abs(sum(s.points for s in found.symbols) - points) < 0.5
    assert "No description available." not in {s.described for s in found.symbols}


def test_a_message_that_looks_like_a_report_is_none() -> None:
    head, _, rest = real("spamassassin.txt").partition("\nX-Spam-Checker")
    found = score.spamassassin(f"{head}\nSubject: 1/2\nX-Spam-Checker{rest}")
    assert found.points == 20.1
    assert found.symbols == score.spamassassin(real("spamassassin.txt")).symbols


@pytest.mark.parametrize(
    "text", ["", "0/0\n", "0/0\n\nFrom: x\n", "spamc: connect to spamd failed", "score=1 required=2"]
)
def test_what_is_no_report_of_spamassassin_s_is_an_error(text: str) -> None:
    with pytest.raises(ScoreError):
        score.spamassassin(text)


def test_the_report_header_is_read_too() -> None:
    text = (
        "X-Spam-Status: No, score=1.9 required=5.0 tests=MISSING_MID,\n\tRCVD_ILLEGAL_IP autolearn=no\n"
        "X-Spam-Report: \n\t*  0.6 MISSING_MID Missing Message-Id: header\n"
        "\t*  1.3 RCVD_ILLEGAL_IP Received: contains illegal IP\n\t*      address\nFrom: hi@lantern.example\n"
    )
    assert score.spamassassin(text).symbols == (
        Symbol("MISSING_MID", 0.6, "Missing Message-Id: header"),
        Symbol("RCVD_ILLEGAL_IP", 1.3, "Received: contains illegal IP address"),
    )


@pytest.mark.parametrize(
    ("points", "limit", "action", "expected"),
    [
        (8.5, 6.0, "add header", "no action"),
        (14.0, 6.0, "reject", "reject"),  # too many points without them, too
        (8.5, None, "add header", "add header"),
    ],
)
def test_points_for_an_address_outside_ascii_are_taken_apart(
    points: float, limit: float | None, action: str, expected: str
) -> None:
    found = Score(score.RSPAMD, points, limit, action, (Symbol("INVALID_RCPT_8BIT", 6.0), Symbol("MISSING_MID", 2.5)))
    wide = score.to_wide(found)
    assert (wide.action, wide.apart, wide.points) == (expected, 6.0, points - 6)
    assert [s.name for s in wide.symbols] == ["MISSING_MID"]
    plain = replace(found, symbols=found.symbols[1:])
    assert score.to_wide(plain) == plain


@pytest.mark.parametrize(
    ("name", "points", "expected"),
    [
        ("MISSING_MID", 2.5, WARN),
        ("ONCE_RECEIVED", 0.1, PASS),
        ("R_SPF_SOFTFAIL", 0.0, WARN),  # costs nothing here, and elsewhere it does
        ("R_DKIM_REJECT", 1.0, WARN),
        ("SOMETHING_NEW", 1.0, WARN),
    ],
)
def test_a_symbol_has_a_row_with_what_to_change(name: str, points: float, expected: Status) -> None:
    found = Symbol(name, points, "its own words", ("matched",))
    whole = Score(score.RSPAMD, 3, 6, "no action", (found, Symbol("R_SPF_ALLOW", -0.2), Symbol("HAS_REPLYTO", 0)))
    assert score.telling(whole) == (found,)
    row = score.matched("lantern.example", [("a", found), ("b", found)], 14)
    assert (row.name, row.status) == (f"delivery.symbol lantern.example {name}", expected)
    assert "in 2 of 14 messages (a, b)" in row.observed
    assert "[matched]" in row.observed
    assert row.fix


def test_an_unknown_symbol_keeps_the_filter_s_own_words() -> None:
    assert symbols.explain("SOMETHING_NEW", "its own words").means == "its own words"
    assert symbols.explain("SOMETHING_NEW").means == "not described by the filter"
    assert symbols.explain("RBL_SPAMHAUS_SBL", "listed in ZEN SBL").means == (
        "a DNSBL holds the sending address (listed in ZEN SBL)"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RBL_SPAMHAUS_BLOCKED_OPENRESOLVER", "no answer"),
        ("DNSWL_BLOCKED", "no answer"),
        ("URIBL_BLOCKED", "no answer"),
        ("RCVD_IN_ZEN_BLOCKED_OPENDNS", "no answer"),
        ("RCVD_IN_PBL", "holds the sending address"),
        ("RECEIVED_SPAMHAUS_PBL", "came through before"),
        ("DBL_SPAM", "the text names"),
        ("ABUSE_SURBL", "the text names"),
        ("URIBL_DBL_PHISH", "the text names"),
        ("BAYES_999", "own learning"),
        ("BAYES_00", "does not take it for spam"),
        ("DMARC_NA", "no DMARC record"),
    ],
)
def test_families_of_symbols(name: str, words: str) -> None:
    assert words in symbols.explain(name).means


def test_the_tables_name_each_symbol_once() -> None:
    for table in (RSPAMD, SPAMASSASSIN):
        names = [name.lstrip("!") for names, *_ in table for name in names.split()]
        assert sorted(names) == sorted(set(names))
        assert all(len(entry) in {3, 4} and all(entry) for entry in table)
    assert len(RSPAMD) + len(SPAMASSASSIN) < len(symbols.TABLE)


OWN = "Received: from mx.stranger.example by mx.stranger.example with LMTP id x; Sat, 21 Nov 2026 20:16:14 +0000\r\n"
TAKEN = (
    "Received: from smtp.example.net (smtp.example.net [198.51.100.5])\r\n"
    " by mx.stranger.example with ESMTPS id y; Sat, 21 Nov 2026 20:16:13 +0000\r\n"
)
BEFORE = (
    "Received: from laptop ([192.0.2.7]) by smtp.example.net with ESMTPSA id z; Sat, 21 Nov 2026 20:16:12 +0000\r\n"
)
REST = "From: hi@lantern.example\r\n\r\nReceived: not a header\r\n"


def test_a_filter_sees_what_its_recipient_took_and_nothing_written_since() -> None:
    mail = eml.read(f"Return-Path: <>\r\nX-Spam-Status: Yes\r\n{OWN}{TAKEN}{BEFORE}{REST}".encode())
    border = eml.border(mail, ["mx.stranger.example"])
    assert border is not None
    assert score.taken(mail, border) == f"{TAKEN}{BEFORE}{REST}".encode()
    assert score.taken(mail, None) == mail.raw


@pytest.mark.parametrize("last", ["X-Spam: Yes", "X-Spamd-Result: default: False\r\n\tmore", "X-Rspamd-Server: mx"])
def test_what_a_milter_wrote_below_its_server_s_received_is_left_out_too(last: str) -> None:
    spam = "X-Spam-Status: Yes, score=9\r\n\ttests=A\r\n"
    mail = eml.read(f"{OWN}{TAKEN}{spam}X-Own: 1\r\n{BEFORE}From: x\r\n{last}\r\n\r\nX-Spam: of the text\r\n".encode())
    border = eml.border(mail, ["mx.stranger.example"])
    kept = score.taken(mail, border)
    assert kept.partition(b"\r\n\r\n")[::2] == (
        f"{TAKEN}X-Own: 1\r\n{BEFORE}From: x".encode(),
        b"X-Spam: of the text\r\n",
    )


def test_what_stands_in_a_body_is_no_header() -> None:
    border = eml.border(eml.read(f"{TAKEN}{REST}".encode()), ["mx.stranger.example"])
    assert score.taken(eml.read(REST.encode()), border) == REST.encode()
