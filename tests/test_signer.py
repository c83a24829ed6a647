"""Stage 03's rows: each passes on a good key and turns on the matching bad one."""

from __future__ import annotations

import base64

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from letters import key
from sites import make
from test_rotation import DOMAIN, deployed, shown

from runbooklib import domainkeys
from runbooklib.results import Check, Status
from runbooklib.servers import keys
from runbooklib.servers.docker_mailserver.state import State
from runbooklib.servers.keys import Half, Turn

NAME = f"mail._domainkey.{DOMAIN}"


def public(size: int) -> str:
    """Of a modulus of that size that nobody has factors of: making a real one takes seconds."""
    numbers = rsa.RSAPublicNumbers(65537, 2**size - 1)
    der = numbers.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; h=sha256; k=rsa; p={base64.b64encode(der).decode()}"


def turn(selector: str = "mail", have: State | None = None) -> Turn:
    here = make(domains__0__dkim={"selector": selector})
    (found,) = keys.turns(here, have or deployed("mail"), None)
    return found


@pytest.mark.parametrize(
    ("size", "wanted", "status", "said"),
    [
        (2048, 2048, Status.PASS, "RSA, 2048 bits"),
        (1024, 1024, Status.WARN, "the least verifiers accept"),
        (1024, 2048, Status.WARN, "the least verifiers accept"),
        (2048, 4096, Status.WARN, "never replaced in passing"),
        (4096, 4096, Status.PASS, "more than the 512 octets"),
        (2048, 0, Status.PASS, "RSA, 2048 bits"),  # an old key, whatever params want of the new one
    ],
)
def test_a_keys_size(size: int, wanted: int, status: Status, said: str) -> None:
    row = keys.size_row(NAME, public(size), wanted)
    assert row.status is status
    assert said in row.observed
    assert bool(row.fix) == (status is Status.WARN)


def test_no_key_is_a_failure_with_what_to_do() -> None:
    row = keys.size_row(NAME, "", 2048)
    assert (row.status, row.observed, row.fix) == (Status.FAIL, "none", "run 03-dkim with apply")


GOOD = Half("600", domainkeys.parse(deployed("mail").keys[DOMAIN, "mail"]).public)


def rows(half: Half, have: State | None = None) -> dict[str, Check]:
    have = have or deployed("mail")
    found = keys.key_rows(turn(have=have), have, {(DOMAIN, "mail"): half})
    return {c.name.partition(" ")[0]: c for c in found}


@pytest.mark.parametrize(
    ("half", "red"),
    [
        (GOOD, set[str]()),
        (Half("600", "AAAA"), {"dkim.pair"}),
        (Half("644", GOOD.public), {"dkim.permissions"}),
        (Half("640", GOOD.public), {"dkim.permissions"}),
        (Half(), {"dkim.pair", "dkim.permissions"}),
    ],
)
def test_the_halves_and_their_modes(half: Half, red: set[str]) -> None:
    found = rows(half)
    assert {name for name in ("dkim.pair", "dkim.permissions", "dkim.live") if found[name].status is Status.FAIL} == red


def test_a_key_the_container_does_not_hold_is_not_live() -> None:
    stale = deployed("mail")
    assert (
        rows(GOOD, State(stale.engine, container=stale.container, keys=stale.keys))["dkim.live"].status is Status.FAIL
    )


def test_while_a_new_key_waits_both_are_looked_at_and_only_the_old_one_must_be_live() -> None:
    have = deployed("mail", "s2")
    names = [c.name for c in keys.key_rows(turn("s2", have), have, {})]
    assert {n.split()[1].partition(".")[0] for n in names} == {"mail", "s2"}
    assert [n for n in names if n.startswith("dkim.live")] == [f"dkim.live {NAME}"]


def test_once_it_is_known_and_another_signs_all_the_same_the_row_is_red() -> None:
    have = deployed("mail", "s2")
    (ready,) = keys.turns(make(domains__0__dkim={"selector": "s2"}), have, shown("s2"))
    row = keys.signing_row(ready, have)
    assert (row.status, row.observed, row.fix) == (Status.FAIL, "mail signs", "run 03-dkim with apply")


LETTER = f"From: hi@{DOMAIN}\nSubject: proof\n\nhello\n".encode()
KEYS = {(DOMAIN, "mail"): key()[1], (DOMAIN, "s2"): key()[1]}


def signed(selector: str, domain: str = DOMAIN, raw: bytes = LETTER) -> bytes:
    wire = raw.replace(b"\n", b"\r\n")
    header: bytes = dkim.sign(wire, selector.encode(), domain.encode(), key()[0], include_headers=[b"from"])
    return header.replace(b"\r\n", b"\n") + raw


def proof(raw: bytes, selector: str = "mail") -> Check:
    have = deployed(selector)
    return keys.signature_row("dkim.proof", "signed", turn(selector, have), raw, KEYS)


def test_the_message_is_signed_by_the_key_that_should_sign() -> None:
    assert proof(signed("mail")).status is Status.PASS
    assert proof(signed("s2"), "s2").status is Status.PASS


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (LETTER, "no DKIM-Signature header"),
        (signed("s2"), f"s2 for {DOMAIN} verifies"),
        (signed("mail").replace(b"hello", b"hallo"), f"mail for {DOMAIN} does not verify"),
        (signed("mail", "elsewhere.example"), "mail for elsewhere.example does not verify"),
    ],
)
def test_every_other_signature_is_red(raw: bytes, said: str) -> None:
    row = proof(raw)
    assert (row.status, row.observed) == (Status.FAIL, said)
    assert row.fix
