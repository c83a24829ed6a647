"""A message somebody saved or pasted: made readable, judged as others, and never wrong for what the paste lacks."""

from __future__ import annotations

import asyncio
import html
import io
import json
import quopri
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.tsig
import pytest
import sites
from hypothesis import given, settings
from hypothesis import strategies as st
from letters import RESULTS, TAKEN, TEXTS, Out, Zone, key, zone
from nameserver import Nameserver
from test_delivery import TEST

from runbooklib import delivery, eml
from runbooklib.cli import GATE, OK, USAGE, main
from runbooklib.delivery.saved import judged
from runbooklib.eml import saved, source
from runbooklib.eml.saved import Saved
from runbooklib.eml.source import SourceError
from runbooklib.results import Checklist, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN
RAW = Out().raw()
LF = RAW.replace(b"\r\n", b"\n")
HEAD = RAW.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def indented(raw: bytes, by: bytes) -> bytes:
    return b"".join(by + line for line in raw.splitlines(keepends=True))


PASTES = {
    "as it is": (RAW, (), False),
    "with LF": (LF, ("line ends made CRLF",), False),
    "with CR": (RAW.replace(b"\r\n", b"\r"), ("line ends made CRLF",), False),
    "out of an mbox": (
        b"From hi@lantern.example Sat Nov 21 20:16:13 2026\n" + LF,
        ("the mailbox file's From line left out", "line ends made CRLF"),
        False,
    ),
    "below empty lines": (b"\r\n\r\n" + RAW, ("empty lines above it left out",), False),
    "with a byte order mark": (b"\xef\xbb\xbf" + RAW, (), False),
    "in UTF-16": (RAW.decode().encode("utf-16"), (), False),
    "out of Apple Mail": (
        b"%d\n" % len(LF) + LF + b'<?xml version="1.0"?><plist/>',
        ("taken out of Apple Mail's .emlx", "line ends made CRLF"),
        False,
    ),
    "indented": (indented(RAW, b"    "), ("the indent of each line left out",), True),
    "in an answer": (indented(RAW, b"> "), ("the > before each line left out",), True),
    "out of a web page": (html.escape(RAW.decode(), quote=False).encode(), ("HTML's escapes undone",), True),
    "in quoted-printable": (quopri.encodestring(LF), ("quoted-printable undone", "line ends made CRLF"), True),
}


@pytest.mark.parametrize("paste", PASTES)
def test_a_paste_is_made_the_message_again(paste: str) -> None:
    given_as, repairs, altered = PASTES[paste]
    found = source.read(given_as)
    assert (found.raw, found.repairs, found.altered) == (RAW, repairs, altered)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"", "this is no message"),
        (b"Hello,\n\nthis is what she wrote.\n", "this is no message"),
        (b"Name: value\n\nx", "this is no message"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an Outlook .msg"),
    ],
)
def test_what_is_no_message(octets: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        source.read(octets)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(LF.split(b"\n")), st.binary(max_size=20)), max_size=20))
def test_only_what_is_no_message_is_refused(lines: list[bytes]) -> None:
    try:
        found = source.read(b"\n".join(lines))
    except SourceError:
        return
    assert asyncio.run(saved.judge(zone(), found, "x")).checks


def look_at(raw: bytes, look: Zone | None = None, receiver: str = "") -> Saved:
    return asyncio.run(saved.judge(look or zone(), source.read(raw), "x", receiver))


def statuses(found: Checklist) -> dict[str, Status]:
    """By the id, what does not pass."""
    return {c.name.split()[0].removeprefix("delivery."): c.status for c in found if c.status is not PASS}


@pytest.mark.parametrize("paste", PASTES)
def test_a_good_message_passes_however_it_was_saved(paste: str) -> None:
    found = look_at(PASTES[paste][0])
    assert statuses(found.checks) == {}, str(found.checks)
    assert (found.receiver, len(found.way.rows)) == ("mx.stranger.example", 4)
    assert {c.name.split()[0] for c in found.checks} >= {
        f"delivery.{what}" for what in ("source", "spf", "dkim", "dmarc", "tls", "recipient-says", "format", "content")
    }


def test_a_header_alone_says_what_it_can() -> None:
    found = look_at(HEAD)
    assert statuses(found.checks)["dkim"] is UNKNOWN
    assert FAIL not in statuses(found.checks).values()
    assert "no body, so that no signature can be verified" in found.checks["delivery.source x"].observed
    assert not [c for c in found.checks if "delivery.content" in c.name]


def test_what_a_paste_lacks_is_not_known() -> None:
    bare = Out(path="", kept="", results="", taken="", relayed="", submitted="").raw()
    found = look_at(bare.lstrip())
    wrong = {name for name, status in statuses(found.checks).items() if status is FAIL}
    assert not wrong
    row = found.checks["delivery.source x"]
    assert (row.status, row.advisory) == (UNKNOWN, True)
    assert "no Received field" in row.observed
    assert "no Return-Path" in row.observed
    assert statuses(found.checks)["spf"] is UNKNOWN
    assert statuses(found.checks)["tls"] is UNKNOWN
    assert "dmarc" not in statuses(found.checks)  # DKIM is enough


def test_a_signature_that_a_repaired_paste_may_have_broken_is_not_known() -> None:
    broken = Out(changed={"this is a": "this  is another"}, path="Return-Path: <x@stranger.example>").raw()
    assert statuses(look_at(broken).checks)["dkim"] is FAIL
    told = look_at(indented(broken, b"  ")).checks
    assert statuses(told)["dkim"] is UNKNOWN
    assert statuses(told)["dmarc"] is UNKNOWN
    assert "the paste was repaired" in told["delivery.dkim x mail #1"].observed
    assert statuses(told)["spf"] is FAIL  # this rests on Received and Return-Path


@pytest.mark.parametrize(
    ("message", "look", "what", "status"),
    [
        (Out(), zone(lantern="v=spf1 -all"), "spf", WARN),
        (Out(selectors=()), zone(lantern="v=spf1 -all"), "spf", FAIL),
        (Out(), Zone(TEXTS, ("lantern.example",)), "spf", UNKNOWN),
        (Out(), zone(mail=None), "dkim", FAIL),
        (Out(selectors=()), zone(), "dkim", WARN),
        (Out(selectors=(), path="Return-Path: <x@stranger.example>"), zone(), "dmarc", FAIL),
        (Out(), Zone(TEXTS, ("*",)), "dmarc", UNKNOWN),
        (Out(taken=TAKEN.replace("ESMTPS", "ESMTP").replace("TLSv1.3 with cipher TLS", "no")), zone(), "tls", WARN),
        (Out(results=RESULTS.replace("dkim=pass", "dkim=fail")), zone(), "recipient-says", WARN),
        (Out(results=""), zone(), "recipient-says", UNKNOWN),
    ],
)
def test_each_row_turns_on_the_matching_message(message: Out, look: Zone, what: str, status: Status) -> None:
    assert statuses(look_at(message.raw(), look).checks)[what] is status


def test_a_broken_chain_only_warns() -> None:
    seal = (
        "ARC-Seal: i=1; a=rsa-sha256; d=list.example; s=s; cv=none; b=x\r\n"
        "ARC-Message-Signature: i=1; a=rsa-sha256; d=list.example; s=s; h=from; bh=x; b=x\r\n"
        "ARC-Authentication-Results: i=1; list.example; spf=pass smtp.mailfrom=lantern.example\r\n"
    )
    found = look_at(seal.encode() + RAW).checks["delivery.arc x"]
    assert found.status is WARN
    assert "sealed by list.example; first saw spf=pass" in found.observed


def test_the_receiver_is_the_newest_hop_with_a_name_and_can_be_said() -> None:
    inner = b"Received: by 2002:a05:6a10:1 with SMTP id x; Sat, 21 Nov 2026 20:16:14 +0000\r\n"
    assert saved.received_by(eml.read(inner + RAW)) == "mx.stranger.example"
    onward = TAKEN.replace("smtp.example.net", "mx.stranger.example").replace("by mx.stranger", "by mx.third")
    forwarded = (onward + "\r\n").replace("\r\n", "\n").replace("\n", "\r\n").encode() + RAW
    assert look_at(forwarded).receiver == "mx.third.example"
    assert look_at(forwarded, receiver="mx.stranger.example").proof.border == eml.read(RAW).hops[2]


# params


def test_saved_messages_of_params_are_judged_as_those_that_arrive(tmp_path: Path) -> None:
    (tmp_path / "good.eml").write_bytes(LF)
    (tmp_path / "no.eml").write_text("Hello")
    names = ["good.eml", "no.eml", "gone.eml"]
    site = sites.make(test=TEST | {"saved": [str(tmp_path / name) for name in names]})
    found = asyncio.run(judged(zone(), site))
    assert {c.name: c.status for c in found if c.status is not PASS} == {
        f"delivery.source {tmp_path / 'no.eml'}": UNKNOWN,
        f"delivery.source {tmp_path / 'gone.eml'}": UNKNOWN,
    }
    assert found["delivery.dmarc good.eml"].status is PASS
    assert found.require()


def test_without_saved_messages_nothing_is_asked() -> None:
    assert len(delivery.saved(sites.make())) == 0


# the command


@pytest.fixture
def resolver() -> Iterator[Nameserver]:
    record = key()[1]
    told = {name: f'"{text}"' for name, text in TEXTS.items() if text}
    told["mail._domainkey.lantern.example"] = f'"{record[:200]}" "{record[200:]}"'
    text = "@ 60 SOA ns h 1 2 3 4 60\n" + "".join(f"{name}. 60 TXT {value}\n" for name, value in told.items())
    with Nameserver("example.", text, dns.tsig.Key("update.", "c2VjcmV0", "hmac-sha256.")) as server:
        yield server


def run(resolver: Nameserver, *arguments: str) -> int:
    return main(["eml", *arguments, "--resolver", "127.0.0.1", "--port", str(resolver.port)])


def test_the_command_judges_a_file(resolver: Nameserver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.eml").write_bytes(LF)
    assert run(resolver, str(tmp_path / "good.eml")) == OK
    said = capsys.readouterr().out
    assert "the way hop by hop" in said
    assert re.search(r"^pass +delivery.dmarc good.eml", said, re.MULTILINE)
    assert re.search(r"^unknown +delivery.rules.gmail.ptr good.eml", said, re.MULTILINE)  # nobody answers for it here


def test_the_command_judges_a_paste_and_a_failure_is_its_status(
    resolver: Nameserver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = Out(changed={"this is a": "this  is another"}, path="Return-Path: <x@stranger.example>").raw()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(broken)))
    assert run(resolver, "-", "--receiver", "mx.stranger.example", "--json") == GATE
    told = json.loads(capsys.readouterr().out)
    assert (told["receiver"], told["kind"], len(told["way"]["rows"])) == ("mx.stranger.example", "checklist", 4)
    assert {c["status"] for c in told["checks"] if c["name"] == "delivery.dmarc stdin"} == {"fail"}


def test_the_command_says_what_is_no_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "no.eml").write_text("Hello")
    assert main(["eml", str(tmp_path / "no.eml")]) == USAGE
    assert "this is no message" in capsys.readouterr().err
    assert main(["eml", str(tmp_path / "gone.eml")]) == USAGE
    assert "gone.eml: No such file or directory" in capsys.readouterr().err
