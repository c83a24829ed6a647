"""One message authenticated from its bytes: SPF, DKIM, ARC and DMARC, and what its recipient says of the same."""

from __future__ import annotations

import asyncio
import time

import dkim
import pytest
from arcletters import sealed, twice
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import DATE, RELAYED, RESULTS, SUBMITTED, TAKEN, Out, Zone, key, pair, zone

from runbooklib import eml
from runbooklib.eml import Authentication, comparison, signatures
from runbooklib.eml.reading import LONGEST, MOST_HOPS
from runbooklib.results import Status

HOSTS = ("mx.stranger.example", "stranger.example")
HELO = TAKEN.replace("from smtp.example.net (", "from lantern.example (")


def proof(raw: bytes, look: Zone | None = None, hosts: tuple[str, ...] = HOSTS) -> Authentication:
    return asyncio.run(eml.authenticate(look or zone(), eml.read(raw), hosts))


@pytest.mark.parametrize(
    ("message", "look", "verdict"),
    [
        (Out(), zone(), "SPF and DKIM"),
        (Out(selectors=()), zone(), "SPF"),
        (Out(path="Return-Path: <x@bounce.example>"), zone(), "DKIM"),
        (Out(path="Return-Path: <x@bounce.example>", selectors=()), zone(), "none"),
        (Out(sender="From: hi@other.example"), zone(), "none"),
        (Out(sender="From: a@lantern.example, b@lantern.example"), zone(), "none"),  # no one author (RFC 9989 4.1)
        (Out(sender="From: a@lantern.example\nFrom: b@lantern.example"), zone(), "none"),
        (Out(selectors=()), zone("lantern.example"), "unknown"),
        (Out(path="Return-Path: <x@bounce.example>"), zone("_domainkey"), "unknown"),
        (Out(path="", results="", selectors=()), zone(), "unknown"),
        (Out(path="", results=""), zone(), "DKIM"),
        (Out(path="Return-Path: <>", selectors=()), zone(), "none"),
        (Out(path="Return-Path: <>", selectors=(), taken=HELO), zone(), "SPF"),  # the HELO identity (RFC 7208 2.4)
    ],
)  # fmt: skip
def test_the_one_verdict(message: Out, look: Zone, verdict: str) -> None:
    assert proof(message.raw(), look).verdict == verdict


def test_both_alignments_and_where_they_differ() -> None:
    records = {"_dmarc.own.lantern.example": "v=DMARC1; p=none; psd=n", "_dmarc.lantern.example": "v=DMARC1; p=none"}
    found = proof(Out(sender="From: hi@a.own.lantern.example", selectors=()).raw(), zone(at=records))
    assert (str(found.aligned), str(found.listed)) == ("nothing", "SPF (lantern.example)")
    assert found.aligned.difference == "aligned by SPF (lantern.example) under RFC 7489, by nothing under RFC 9989"


@pytest.mark.parametrize(
    ("bent", "look", "result"),
    [
        ({}, zone(), "pass"),
        ({"test message": "best message"}, zone(), "fail"),
        ({"v=1;": "v=1;;;"}, zone(), "neutral"),
        ({}, zone("_domainkey"), "temperror"),
        ({}, zone(mail=None), "permerror"),
        ({}, zone(mail="v=DKIM1; p="), "permerror"),
        ({"a=rsa-sha256": "a=rsa-sha1"}, zone(), "policy"),
    ],
)
def test_signatures_in_the_words_of_rfc_8601(bent: dict[str, str], look: Zone, result: str) -> None:
    (found,) = proof(Out(changed=bent).raw(), look).signatures
    assert found.result == result, found.said


def test_a_hundred_signatures_are_not_verified() -> None:
    raw = Out().raw()
    one = raw[raw.index(b"DKIM-Signature:") : raw.index(b"From: hi@")]
    look = zone()
    found = asyncio.run(signatures.verify(look, one * 100 + raw))
    assert [s.result for s in found] == ["pass"] * 20 + ["policy"]
    assert found[-1].said.startswith("more than 20 signatures")
    assert len(look.asked) == 1, "one key is asked for once"


def test_what_could_not_be_told_is_said() -> None:
    assert "lantern.example TXT: TIMEOUT" in proof(Out().raw(), zone("*")).trouble
    assert "no hop shows which client" in proof(Out(taken="").raw(), hosts=("mx.nobody.example",)).trouble
    assert proof(Out(results="", path="").raw()).trouble == "no Return-Path: the recipient does not keep MAIL FROM"


def test_spf_is_evaluated_for_the_client_at_the_border_not_for_the_last_hop() -> None:
    inner = f"Received: from mx.stranger.example (mx.stranger.example [10.0.0.9])\n by imap.stranger.example; {DATE}"
    found = proof(Out(kept=inner).raw())
    assert found.border is not None
    assert (found.border.address, str(found.spf.result) if found.spf else "") == ("198.51.100.5", "pass")


# What the recipient says, and how a difference is explained.


def told(*changes: tuple[str, str], results: str = RESULTS) -> str:
    for old, new in changes:
        assert old in results
        results = results.replace(old, new)
    return results


SPF = "spf=pass smtp.mailfrom=hi@lantern.example"
DKIM = "dkim=pass header.d=lantern.example header.s=mail"
UNREAD = 'dkim=none ("invalid DKIM record") header.d=lantern.example header.s=relay'
OWN = zone(at={"_dmarc.own.lantern.example": "v=DMARC1; p=none; psd=n"})
QQ = Out(results="", taken=f"{TAKEN}\n{RESULTS}")  # below its own Received


@pytest.mark.parametrize(
    ("message", "look", "status", "words"),
    [
        (Out(), zone(), "pass", "dkim=pass, spf=pass, dmarc=pass"),
        (QQ, zone(), "pass", "spf=pass"),
        (Out(results=""), zone(), "unknown", "wrote no result of its own"),
        (Out(results=told(("mx.stranger", "mx.evil"))), zone(), "unknown", "wrote no result of its own"),
        (Out(results=told(("spf=pass", "spf=temperror"))), zone(), "warn", "its DNS gave no answer when"),
        (Out(results=told((SPF, "spf=fail (sender IP is 10.0.0.9) smtp.mailfrom=lantern.example"))), zone(), "warn",
         "it sees the client as 10.0.0.9, behind a gateway of its own, not as 198.51.100.5"),
        (Out(results=told((SPF, "spf=none smtp.helo=smtp.example.net"))), zone(), "warn",
         "it checked the HELO name smtp.example.net only, not MAIL FROM"),
        (Out(results=told((SPF, "spf=none smtp.mailfrom=x.example"))), zone(), "warn",
         "it checked x.example, and Return-Path says lantern.example"),
        (Out(results=told((SPF, "spf=softfail smtp.mailfrom=lantern.example"))), zone(), "warn",
         "the SPF record of lantern.example may have changed since; an answer is cached for up to 300 s"),
        (Out(results=told(("dkim=pass", "dkim=temperror"))), zone(), "warn", "its DNS gave no answer"),
        (Out(results=told(("dkim=pass", "dkim=fail"))), zone(), "warn", "the key of mail._domainkey.lantern.example"),
        (Out(results=told(("dkim=pass", "dkim=neutral"))), zone(), "warn", "neutral there, pass by us: its own policy"),
        (Out(results=told(("dkim=pass", "dkim=policy"))), zone(mail=key()[1].replace("k=", "t=y; k=")), "warn",
         "the key says t=y"),
        (Out(results=told(("header.s=mail", "header.s=gone"))), zone(), "warn", "is not in the message any more"),
        (Out(results=told((DKIM, "dkim=none"))), zone(), "warn",
         "it did not look, or"),
        (Out(changed={"test message": "best message"}), zone(), "warn", "it was changed after that check"),
        (Out(changed={"a=rsa-sha256": "a=rsa-sha1"}), zone(), "warn", "it takes what it should refuse: rsa-sha1"),
        (Out(results=told(("dmarc=pass", "dmarc=none"))), zone(), "warn", "record of _dmarc.lantern.example may have"),
        (Out(results=told(("dmarc=pass", "dmarc=temperror"))), zone(), "warn", "its DNS gave no answer"),
        (Out(results=told(("dmarc=pass", "dmarc=fail"), ("dkim=pass", "dkim=fail"))), zone(), "warn",
         "it follows from what it says of SPF and DKIM"),
        (Out(sender="From: a@a.own.lantern.example", selectors=(), results=told((f"{DKIM};", ""))), OWN, "warn",
         "it goes by RFC 7489: aligned by SPF"),
        (Out(selectors=("relay", "mail"), results=told((DKIM, f"{UNREAD}; {DKIM}"))), zone(relay=None), "pass",
         "dkim=none, dkim=pass"),  # rspamd's word for a key that is not there; RFC 8601 2.7.1 has permerror
        (Out(), zone("_domainkey", "_dmarc"), "pass", "dmarc=pass"),  # what we could not tell is no difference
    ],
)  # fmt: skip
def test_what_the_recipient_says_is_compared(message: Out, look: Zone, status: str, words: str) -> None:
    row = comparison.says("x", proof(message.raw(), look))
    assert (row.status, words in row.observed) == (status, True), row.observed


def test_a_short_key_explains_a_neutral_word() -> None:
    short = pair(1024)
    raw = Out(selectors=(), results=told(("dkim=pass", "dkim=neutral"))).raw()
    at = raw.index(b"From: hi@")
    signed = raw[:at] + dkim.sign(raw[at:], b"mail", b"lantern.example", short[0], include_headers=[b"from"]) + raw[at:]
    row = comparison.says("x", proof(signed, zone(mail=short[1])))
    assert "its policy: a key of 1024 bits" in row.observed


def test_a_forged_result_below_the_border_does_not_count_where_a_true_one_stands_above() -> None:
    forged = told(("spf=pass", "spf=fail"), ("dkim=pass", "dkim=fail"), ("dmarc=pass", "dmarc=fail"))
    found = proof(Out(taken=f"{TAKEN}\n{forged}").raw())
    assert {m.result for m in found.told} == {"pass"}


def test_exchange_writes_no_name_of_its_own() -> None:
    results = """Authentication-Results: spf=pass (sender IP is 198.51.100.5)
 smtp.mailfrom=lantern.example; dkim=pass (signature was verified)
 header.d=lantern.example;dmarc=pass action=none header.from=lantern.example;compauth=pass reason=100"""
    taken = f"""Received: from smtp.example.net (198.51.100.5) by
 DB5.mail.protection.outlook.com (10.152.16.152) with Microsoft SMTP
 Server (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20; {DATE}"""
    raw = Out(kept="", results=results, taken=taken).raw()
    found = proof(raw, hosts=("stranger-example.mail.protection.outlook.com", "stranger.example"))
    assert [f"{m.name}={m.result}" for m in found.told] == ["spf=pass", "dkim=pass", "dmarc=pass", "compauth=pass"]
    assert comparison.says("x", found).status is Status.PASS
    assert proof(raw.replace(b"DB5.mail.protection.outlook.com", b"mx.stranger.example")).told == ()


# ARC


@pytest.mark.parametrize(
    ("bend", "look", "result", "words"),
    [
        (b"", zone(), "pass", "every seal holds"),
        (b"cv=none", zone(), "fail", "ARC-Seal[1] did not validate"),
        (b"test message", zone(), "fail", "ARC-Message-Signature did not validate"),
        (b"", zone("_domainkey"), "temperror", "a key could not be looked up"),
        (b"", zone(mail=None, relay=None), "fail", ""),
    ],
)
def test_a_chain_is_validated(bend: bytes, look: Zone, result: str, words: str) -> None:
    raw = sealed(Out(selectors=()).raw())
    changed = {b"cv=none": b"cv=pass", b"test message": b"best message"}
    assert bend in raw
    found = proof(raw.replace(bend, changed[bend]) if bend else raw, look).arc
    assert (found.result, words in found.said) == (result, True), found
    assert (found.instances, found.sealers) == (1, ("lantern.example",))
    assert [f"{m.name}={m.result}" for m in found.first] == ["spf=pass"]


def test_two_seals_are_one_chain_and_no_seal_is_none() -> None:
    assert not proof(Out().raw()).arc
    found = proof(twice(Out(selectors=()).raw()))
    assert (found.arc.instances, found.arc.result, len(found.arc.sealers)) == (2, "pass", 2)


def test_a_hostile_number_of_seals_is_no_chain() -> None:
    seals = b"".join(
        b"ARC-Seal: i=%d; a=rsa-sha256; d=a%d.example; s=x; cv=pass; b=AAAA\r\n" % (i, i) for i in range(999)
    )
    look = zone()
    assert proof(seals + Out().raw(), look).arc.result == "fail"
    assert not any("a1.example" in question.name for question in look.asked)


# Nothing a stranger writes raises.

NAMES = ["From", "To", "Subject", "Received", "DKIM-Signature", "Return-Path", "Authentication-Results", "ARC-Seal",
         "ARC-Message-Signature", "ARC-Authentication-Results", "Received-SPF", "Content-Type", "Date"]  # fmt: skip
PIECES = [b"i=1;", b"i=99;", b"cv=", b"d=", b"s=x;", b"b=", b"h=from;", b"from ", b"by ", b"mx.stranger.example", b"(",
          b")", b"[1.2.3.4]", b"[", b"<", b">", b"@", b",", b";", b'"', b"\\", b"=?utf-8?q?", b"?=", b"\xff", b"\r\n ",
          b"\n", b"\0", b" ", b"multipart/mixed; boundary=x", b"a" * 70, b".", b"spf=pass", b"999999999999999999",
          b"Sat, 31 Feb 99999 99:99 +9999"]  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.lists(st.sampled_from(PIECES), max_size=8)), max_size=8))
def test_no_header_raises(fields: list[tuple[str, list[bytes]]]) -> None:
    raw = b"".join(f"{name}: ".encode() + b"".join(parts) + b"\r\n" for name, parts in fields) + b"\r\nbody\r\n"
    survives(raw)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_no_octets_raise(raw: bytes) -> None:
    survives(raw)
    survives(Out(selectors=()).raw()[:400] + raw)


def survives(raw: bytes) -> None:
    mail = eml.read(raw)
    found = proof(raw)
    assert found.verdict in {"SPF and DKIM", "SPF", "DKIM", "none", "unknown"}
    assert comparison.says("x", found).status in set(Status)
    assert len([mail.message[name] for name in NAMES]) == len(NAMES)
    assert mail.author == mail.author.lower()


@pytest.mark.parametrize(
    "raw",
    [
        b"From: " + b"(" * 5000 + b"\r\n\r\n",
        b"From: " + b"a@b.example, " * 20_000 + b"\r\n\r\n",
        b"Received: from x by y; z\r\n" * 20_000 + b"\r\n",
        b"DKIM-Signature: d=a.example; s=b; b=" + b" " * 500_000 + b"\r\n\r\n",
        b"Authentication-Results: " + b"(" * 200_000 + b"\r\n\r\n",
    ],
)
def test_a_hostile_message_costs_little(raw: bytes) -> None:
    began = time.process_time()
    survives(raw)
    assert time.process_time() - began < 2
    assert len(eml.read(raw).hops) <= MOST_HOPS


def test_a_header_that_the_parser_breaks_on_is_text() -> None:
    long = eml.read(b"From: " + b"x" * LONGEST + b"@lantern.example\r\n\r\n")
    assert (long.author, str(long.message["From"])[:3]) == ("", "xxx")


def test_international_domains_are_compared_as_dns_has_them() -> None:
    mail = eml.read("From: ü@bücher.example\r\n\r\n".encode())
    assert mail.author == "xn--bcher-kva.example"
    assert eml.ascii_domain("BÜCHER.example.") == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Return-Path: <a@b.example>", "a@b.example"),
        ("Return-Path: <>", ""),
        ("X: 1", None),
        ("Return-Path:a@b.c", "a@b.c"),
    ],
)
def test_the_return_path(header: str, expected: str | None) -> None:
    assert eml.read(f"{header}\r\n\r\n".encode()).return_path == expected


def test_a_message_that_only_we_have_seen_has_no_border() -> None:
    raw = Out(kept="", taken="", relayed=RELAYED, submitted=SUBMITTED).raw()
    found = proof(raw)
    assert found.border is None
    assert (found.spf, found.verdict) == (None, "DKIM")
