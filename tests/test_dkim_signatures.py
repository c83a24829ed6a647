"""DKIM signatures that verify by arithmetic alone and still count for nothing, and those that break verifiers."""

from __future__ import annotations

import asyncio
import time

import pytest
from dkimletters import PLAIN, SIGNATURES, ed25519_key, keys, rsa_key, sha1_key, signed
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import signing
from runbooklib.answers import Answer, Question, Word
from runbooklib.eml import signatures
from runbooklib.eml.signatures import Signature
from runbooklib.results import Status
from runbooklib.zone import Literal, Stub

DOMAIN = "lantern.example"


async def look(name: str, type: str) -> Answer:  # noqa: A002 - the field's word
    selector = name.partition("._domainkey.")[0]
    if selector == "silent":
        return Answer(Question(name, type), "192.0.2.53", Word.SERVFAIL)
    if selector not in keys():
        return Answer(Question(name, type), "192.0.2.53", Word.NXDOMAIN)
    return Answer(Question(name, type), "192.0.2.53", Word.NOERROR, values=(keys()[selector],))


def every(raw: bytes) -> list[Signature]:
    return asyncio.run(signatures.verify(look, raw))


def verified(raw: bytes) -> Signature:
    (found,) = every(raw)
    return found


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        ("sha1only", "h=sha1 leaves out sha256"),
        ("other", "s=other leaves out email"),
        ("revoked", "the key is revoked"),
        ("version", "its key cannot be read: v=DKIM2"),
        ("nokey", "its key cannot be read: the record has no p="),
        ("cut", "p= holds no rsa key"),
        ("dsa", "k=dsa is no kind of key"),
        ("missing", "its key is not in DNS"),
    ],
)
def test_a_key_that_is_not_for_this_is_named(selector: str, said: str) -> None:
    found = verified(signed(PLAIN, s=selector))
    assert found.status is Status.FAIL
    assert found.said.startswith(said)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("h= without From", "h= leaves out From"),
        ("i= below d=, t=s", "i= lies below d="),
        ("expired", "x= value is past"),
        ("an RSA signature, an Ed25519 key", "The signature must be exactly 64 bytes long"),
    ],
)
def test_a_signature_that_breaks_a_rule_is_named(name: str, said: str) -> None:
    found = verified(SIGNATURES[name]())
    assert (found.status, found.said[: len(said)]) == (Status.FAIL, said)


def test_rsa_sha1_is_no_signature_any_more() -> None:
    assert verified(signed(PLAIN, sha1_key(), s="sha1")).said == "rsa-sha1 is no signature any more (RFC 8301 3.1)"


@pytest.mark.parametrize("selector", ["good", "bare", "resend", "strict", "t", "email", "notes", "blanks"])
def test_every_way_to_write_a_good_key_verifies(selector: str) -> None:
    assert verified(signed(PLAIN, s=selector)).status is Status.PASS


def test_an_ed25519_signature_verifies() -> None:
    assert verified(signed(PLAIN, ed25519_key(), s="ed")).status is Status.PASS


def test_a_key_that_nobody_could_look_up_is_unknown() -> None:
    (found,) = every(signed(PLAIN, s="silent"))
    assert (found.status, found.result) == (Status.UNKNOWN, "temperror")


def test_a_signature_of_another_kind_than_the_key_does_not_verify_on_the_server_either() -> None:
    (found,) = signing.signatures(signed(PLAIN, rsa_key(2048), s="ed"), {f"ed._domainkey.{DOMAIN}": keys()["ed"]})
    assert found.good is False


PIECES = [
    "v=1;",
    "a=rsa-sha256;",
    "a=ed25519-sha256;",
    "d=lantern.example;",
    "s=good;",
    "s=ed;",
    "h=from;",
    "h=;",
    "bh=AAAA;",
]
PIECES += [
    "b=AAAA",
    "b=AAA",
    "b=",
    "l=9;",
    "x=1;",
    "t=z;",
    "i=@x;",
    "c=simple;",
    "c=/;",
    "d=..;",
    "s=;",
    "\u00e9",
    "\r\n ",
    ";",
    "q=x;",
]


@settings(max_examples=80)
@given(st.lists(st.sampled_from(PIECES), max_size=11))
def test_no_header_raises(pieces: list[str]) -> None:
    raw = b"DKIM-Signature: " + "".join(pieces).encode() + b"\r\n" + PLAIN
    for found in every(raw):
        assert found.status is Status.FAIL


@pytest.mark.parametrize("domain", ["a..b", f"{'a' * 70}.example", "a." * 200 + "example", "é\ufffd.example"])
def test_a_domain_that_cannot_be_a_name_holds_no_key(domain: str) -> None:
    raw = signed(PLAIN).replace(b"d=lantern.example", f"d={domain}".encode())
    (found,) = asyncio.run(
        signatures.verify(Stub(Literal({"192.0.2.1": {}}, resolvers={"192.0.2.53"}), ["192.0.2.53"]), raw)
    )
    assert (found.status, found.said) == (Status.FAIL, "its key is not in DNS")


def test_a_hostile_header_costs_little() -> None:
    raw = signed(PLAIN).replace(b"; b=", b"; b=A" + b"\r\n " * 7_000 + b"!", 1)
    began = time.process_time()
    assert verified(raw).said.startswith("the signature header has 21")
    assert time.process_time() - began < 0.5
