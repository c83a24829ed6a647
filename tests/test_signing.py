"""A DKIM key's public half in every form it is handed around in, and what it signed."""

from __future__ import annotations

import base64

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st
from letters import key

from runbooklib import domainkeys, signing
from runbooklib.domainkeys import KeyRecordError
from runbooklib.records import quoted

# From a run of 15.1.0: opendkim-genkey's file.
GENKEY = """mail._domainkey\tIN\tTXT\t( "v=DKIM1; h=sha256; k=rsa; "
\t  "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A"
\t  "MIIBCgKCAQEAuTywCj4+" )  ; ----- DKIM key mail for example.test
"""
VALUE = "v=DKIM1; h=sha256; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAuTywCj4+"

values = st.binary(min_size=1, max_size=800).map(
    lambda b: f"v=DKIM1; h=sha256; k=rsa; p={base64.b64encode(b).decode()}"
)
blanks = st.text(" \t\n", max_size=4)


@st.composite
def pieces(draw: st.DrawFn, value: str) -> list[str]:
    """The value cut anywhere, as a tool or a panel may cut it."""
    cuts = sorted(draw(st.sets(st.integers(1, len(value) - 1), max_size=6)))
    return [value[i:j] for i, j in zip([0, *cuts], [*cuts, len(value)], strict=True)]


@given(st.data(), values)
def test_quoted_strings_are_joined_wherever_they_are_cut(data: st.DataObject, value: str) -> None:
    cut = data.draw(pieces(value))
    line = "".join(f'{data.draw(blanks)}"{piece}"' for piece in cut)
    assert signing.public_text(line) == value


@given(st.data(), values)
def test_the_zone_file_form_gives_the_same_whatever_stands_around_it(data: st.DataObject, value: str) -> None:
    cut = data.draw(pieces(value))
    body = "".join(f'{data.draw(blanks)}"{piece}"' for piece in cut)
    text = f"mail._domainkey\tIN\tTXT\t({body} )  ; ----- DKIM key mail for example.test\n"
    assert signing.public_text(text) == value


@given(values, blanks, blanks)
def test_one_plain_line_is_taken_as_it_is(value: str, before: str, after: str) -> None:
    assert signing.public_text(f"{before}{value}{after}") == value


@given(st.data(), values)
def test_one_line_broken_by_a_mail_program_means_the_same_key(data: st.DataObject, value: str) -> None:
    broken = "\n ".join(data.draw(pieces(value)))
    try:
        found = signing.public_text(broken)
    except KeyRecordError:
        return  # broken inside of a tag's name or a word that knows no blanks: refused, never another key
    assert domainkeys.parse(found) == domainkeys.parse(value)


@given(values)
def test_what_we_publish_is_what_we_read(value: str) -> None:
    assert signing.public_text(quoted(value)) == value


def test_the_generators_own_file_is_read() -> None:
    assert signing.public_text(GENKEY) == VALUE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mail._domainkey IN TXT",
        '"v=DKIM1; k=rsa; p=" "MIIB%%"',
        '"v=DKIM1; k=rsa"',
        '"v=DKIM1; k=rsa; p=MIIBI"',  # cut off: the base64 does not decode
        '"v=DKIM1; p=AAAA; p=BBBB"',
    ],
)
def test_what_holds_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyRecordError):
        signing.public_text(text)


LETTER = b"From: hi@lantern.example\r\nSubject: two\r\n\r\nhello\r\n"
NAMES = {s: f"{s}._domainkey.lantern.example" for s in ("mail", "s2")}


def signed(*selectors: str) -> bytes:
    raw = LETTER
    for selector in selectors:
        raw = dkim.sign(raw, selector.encode(), b"lantern.example", key()[0], include_headers=[b"from"]) + raw
    return raw


def good(raw: bytes, keys: dict[str, str]) -> list[tuple[str, bool]]:
    return [(s.selector, s.good) for s in signing.signatures(raw, keys)]


def test_each_signature_is_held_against_the_key_of_its_own_name() -> None:
    raw = signed("mail", "s2")
    assert good(raw, {NAMES["mail"]: key()[1]}) == [("s2", False), ("mail", True)]
    assert good(raw, dict.fromkeys(NAMES.values(), key()[1])) == [("s2", True), ("mail", True)]
    assert good(raw, {}) == [("s2", False), ("mail", False)]
    assert good(LETTER, {}) == []


def test_lines_with_lf_alone_verify_as_they_were_signed() -> None:
    raw = signed("mail").replace(b"\r\n", b"\n")
    assert good(raw, {NAMES["mail"]: key()[1]}) == [("mail", True)]


def test_a_changed_message_and_a_broken_header_do_not_verify() -> None:
    known = {NAMES["mail"]: key()[1]}
    assert good(signed("mail").replace(b"hello", b"hallo"), known) == [("mail", False)]
    assert good(b"DKIM-Signature: v=1; v=1\r\n" + LETTER, known) == [("", False)]
    assert good(signed("mail"), {NAMES["mail"]: "v=DKIM1; p=AAAA"}) == [("mail", False)]
