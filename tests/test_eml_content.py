"""What mail testers look at in a body: each class of findings turns on its own message and on no other."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import eml
from runbooklib.eml import content, markup
from runbooklib.eml.content import CLASSES
from runbooklib.eml.markup import Link
from runbooklib.results import Status

WORDS = "This is a message with a sentence or two, as a person would write it to somebody who asked a question. " * 2


PLAIN = "text/plain; charset=utf-8"


def letter(body: str = WORDS, kind: str = PLAIN, subject: str = "A question", more: str = "") -> bytes:
    head = f"From: hi@lantern.example\nSubject: {subject}\nMIME-Version: 1.0\n{more}Content-Type: {kind}\n\n"
    return (head + body).replace("\n", "\r\n").encode()


def both(markup: str, plain: str = WORDS, more: str = "") -> bytes:
    """Text, and HTML beside it."""
    parts = f"--b\nContent-Type: text/plain\n\n{plain}\n--b\nContent-Type: text/html; charset=utf-8\n\n{markup}\n"
    return letter(f"{parts}{more}--b--\n", "multipart/alternative; boundary=b")


def attached(name: str) -> bytes:
    part = f'Content-Type: application/octet-stream\nContent-Disposition: attachment; filename="{name}"\n\nx\n'
    return letter(f"--b\nContent-Type: text/plain\n\n{WORDS}\n--b\n{part}--b--\n", "multipart/mixed; boundary=b")


def found(raw: bytes) -> dict[str, str]:
    """The classes that stand alone, and what they say."""
    rows = [row for row in content.judge(eml.read(raw), "x") if row.status is not Status.PASS]
    assert all(row.fix for row in rows)
    assert all((row.status is Status.FAIL) == ("content.mime" in row.name) for row in rows)
    return {row.name.split()[0].removeprefix("delivery.content."): row.observed for row in rows}


PAGE = f"<html><head><title>x</title></head><body><p>{WORDS}</p>"


def test_a_good_message_is_one_row_that_names_the_classes() -> None:
    (row,) = content.judge(eml.read(both(PAGE + '<a href="https://lantern.example/">lantern.example</a>')), "x")
    assert (row.name, row.status) == ("delivery.content x", Status.PASS)
    assert row.observed.split("; ") == [kind.id for kind in CLASSES]


@pytest.mark.parametrize(
    ("raw", "kind", "said"),
    [
        (letter("--b\n\nx\n", "multipart/mixed; boundary=b"), "mime", "a boundary that is never closed"),
        (letter(WORDS, "multipart/mixed; boundary=b"), "mime", "a multipart whose boundary never comes"),
        (letter(WORDS, "multipart/mixed"), "mime", "a multipart without a boundary"),
        (letter("YWJ", more="Content-Transfer-Encoding: base64\n"), "mime", "base64 without its padding"),
        (letter("YW%J", more="Content-Transfer-Encoding: base64\n"), "mime", "base64 with other characters in it"),
        (letter(PAGE, "text/html"), "text", "HTML without a text part beside it"),
        (letter(""), "text", "nothing to read"),
        (both(f"<p>{WORDS}</p>" + "<div style='x'></div>" * 400), "html", "only 2 % of the HTML is text"),
        (both(PAGE + '<img src="https://a.example/a.png">'), "images", "1 of 1 images without alt"),
        (both('<img src="https://a.example/a.png" alt="">'), "images", "1 images and hardly any text"),
        (both(PAGE + '<img src="https://t.relay.example/o" width=1 height=1 alt>'), "tracking", "from t.relay.example"),
        (both(PAGE + '<img src="https://t.relay.example/o" style="display: none" alt>'), "tracking", "nobody sees"),
        (both(PAGE + '<a href="http://lantern.example/">here</a>'), "links", "a link without TLS"),
        (letter(WORDS + "http://lantern.example/."), "links", "a link without TLS: http://lantern.example/"),
        (both(PAGE + '<a href="https://evil.example/">bank.example</a>'), "links", "says bank.example and leads to"),
        (both(PAGE + '<a href="https://203.0.113.10/">here</a>'), "links", "a link to an address: 203.0.113.10"),
        (both(PAGE + '<a href="https://bit.ly/x">here</a>'), "links", "a shortened link: bit.ly"),
        (both(PAGE + '<a href="javascript:x()">here</a>'), "links", "a link that is none: javascript:"),
        (both(PAGE + f"<p>{WORDS}</p>" * 600), "size", "KB of HTML: Gmail clips from 102 KB on"),
        (letter("x" * 70 + "\n") + (b"x" * 70 + b"\r\n") * 160_000, "size", "many servers take 10 MB"),
        (letter() + (b"x" * 998 + b"\r\n") * 27_000, "size", "Gmail and Outlook.com take 25 MB"),
        (attached("invoice.pdf.exe"), "attachments", "refuses: invoice.pdf.exe"),
        (attached("=?utf-8?q?list=2Edocm?="), "attachments", "refuses: list.docm"),
        (letter(subject=""), "subject", "no subject"),
        (letter(subject="BUY IT TODAY"), "subject", "a subject in capitals"),
        (letter(subject="A question!!!"), "subject", "a subject that shouts"),
        (letter(subject="Re: your order"), "subject", "a subject with Re: that answers nothing"),
        (letter(kind="text/plain; charset=klingon"), "charset", "a charset nobody knows: klingon"),
        (letter("Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n", "text/plain"), "charset", "text that is not us-ascii"),
    ],
)  # fmt: skip
def test_each_class_turns_on_its_message(raw: bytes, kind: str, said: str) -> None:
    told = found(raw)
    assert said in told[kind]


@pytest.mark.parametrize(
    "raw",
    [
        attached("invoice.pdf"),
        letter(subject="Re: your order", more="In-Reply-To: <1@a.example>\n"),
        letter(subject="OK"),
        letter(subject="=?utf-8?q?Gr=C3=BC=C3=9Fe?="),
        letter("Gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n"),
        letter(WORDS + "https://lantern.example/."),
        both(PAGE + '<a href="https://www.lantern.example/">lantern.example</a>'),
        both(PAGE + '<a href="mailto:hi@lantern.example">hi@lantern.example</a>'),
        both(PAGE + '<img src="https://a.example/a.png" alt="a map of the harbour">'),
        both(PAGE + "<script>var words = 'http://a.example/'</script>"),
    ],
)
def test_what_is_nobody_s_business(raw: bytes) -> None:
    assert found(raw) == {}


def test_markup_that_never_ends_is_a_finding() -> None:
    assert "cannot be read to its end" in found(both(PAGE + "<!-- and so on"))["html"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a <b>c</b> &amp; d", "a c & d"),
        ("2 < 3 <!-- no --> and <!DOCTYPE html> so", "2 < 3 and so"),
        ("<head><title>x</title></head><style>y</style>z</style>", "z"),
        ("<unfinished", "<unfinished"),
    ],
)
def test_the_text_of_a_page(text: str, said: str) -> None:
    assert markup.read(text).text == said


def test_the_links_of_a_page() -> None:
    page = markup.read(
        "<A HREF=https://a.example/?x&amp;y title='t'>one <b>two</b></A><a name=x>no</a><a href='/u'>u<a>"
    )
    assert page.links == (Link("https://a.example/?x&y", "one two"), Link("/u", "u"))
    assert [link.host for link in page.links] == ["a.example", ""]


@pytest.mark.parametrize("piece", ["<", "<a href=x ", "<a>", "<a href=x>", "<!-- ", "<style>", "<a href='", "</a", "&"])
def test_hostile_markup_is_read_in_one_go(piece: str) -> None:
    started = time.process_time()
    markup.read(piece * (content.READ // len(piece)))
    assert time.process_time() - started < 3


PIECES = st.sampled_from([b"--b", b"--b--", b"<a href='http://[", b"<![", b"Content-Type: text/html", b"", b"=?x"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(PIECES, st.binary(max_size=20)), max_size=12), st.sampled_from(["mixed", "alternative"]))
def test_nothing_a_stranger_writes_raises(lines: list[bytes], kind: str) -> None:
    content.judge(eml.read(letter("", f"multipart/{kind}; boundary=b") + b"\r\n".join(lines)), "x")
