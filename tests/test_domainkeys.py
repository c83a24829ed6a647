"""DKIM keys as DNS publishes them, and the tag lists they are written in."""

from __future__ import annotations

import base64
import contextlib
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooklib import domainkeys, taglists
from runbooklib.domainkeys import KeyRecordError
from runbooklib.taglists import TagError


def spki(bits: int) -> str:
    """An RSA public key of this size in base64; its modulus is any odd number."""
    return _base64(rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) + 1).public_key())


def _base64(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, form: PublicFormat | None = None) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, form or PublicFormat.SubjectPublicKeyInfo)).decode()


RSA2048 = spki(2048)
ED25519 = base64.b64encode(
    ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()
CURVE = _base64(ec.derive_private_key(7, ec.SECP256R1()).public_key())


@pytest.mark.parametrize(
    ("text", "bits", "unusable"),
    [
        (f"v=DKIM1; k=rsa; p={RSA2048}", 2048, ""),
        (f"p={RSA2048}", 2048, ""),  # Resend's have no v=
        (f"v=DKIM1; k=RSA; h=sha1:sha256; s=email; t=s; n=made%20in%202026; p={RSA2048};", 2048, ""),
        (f"v=DKIM1; p={RSA2048[:100]} {RSA2048[100:]}", 2048, ""),  # folded
        (f"v=DKIM1; x=unknown; p={RSA2048}", 2048, ""),
        (f"v=DKIM1; h=sha256:sha1024; s=other:*; p={RSA2048}", 2048, ""),
        (f"v=DKIM1; k=ed25519; p={ED25519}", 256, ""),
        (f"v=DKIM1; p={spki(1024)}", 1024, ""),
        (f"v=DKIM1; p={spki(512)}", 512, "512 bits are too few (RFC 8301 3.2)"),
        ("v=DKIM1; p=", 0, "the key is revoked: p= is empty (RFC 6376 3.6.1)"),
        (f"v=DKIM1; k=dsa; p={RSA2048}", 0, "k=dsa is no kind of key"),
        (f"v=DKIM1; h=sha1; p={RSA2048}", 2048, "h=sha1 leaves out sha256 (RFC 8301 3.1)"),
        (f"v=DKIM1; s=tlsrpt; p={RSA2048}", 2048, "s=tlsrpt leaves out email"),
        (f"v=DKIM1; p={RSA2048[:200]}", 0, "p= holds no rsa key"),  # cut short by a panel
        (f"v=DKIM1; p={ED25519}", 0, "p= holds no rsa key"),
        (f"v=DKIM1; k=ed25519; p={RSA2048}", 0, "p= holds no ed25519 key"),
        (f"v=DKIM1; p={CURVE}", 0, "p= holds no rsa key"),
        (f"v=DKIM1; p={spki(100_000)}", 0, "p= holds no rsa key"),  # nobody verifies with that
    ],
)
def test_a_key_and_why_no_verifier_uses_it(text: str, bits: int, unusable: str) -> None:
    found = domainkeys.parse(text)
    assert found.bits == bits
    assert found.unusable.startswith(unusable)
    assert bool(found.unusable) is bool(unusable)


def test_pkcs_1_as_the_rfc_has_it_is_read_too() -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << 2047) + 1).public_key()
    assert domainkeys.parse(f"p={_base64(key, PublicFormat.PKCS1)}").bits == 2048


def test_flags() -> None:
    found = domainkeys.parse(f"v=DKIM1; t=y:s; p={RSA2048}")
    assert (found.testing, found.strict, found.revoked) == (True, True, False)
    plain = domainkeys.parse(f"v=DKIM1; p={RSA2048}")
    assert (plain.testing, plain.strict) == (False, False)
    assert found == plain  # the same key


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no tag"),
        ("v=DKIM1; k=rsa", "no p="),
        ("v=DKIM2; p=AAAA", "v=DKIM2"),
        ("k=rsa; v=DKIM1; p=AAAA", "v= stands first"),
        ("v=DKIM1; p=AAA", "no base64"),
        ("v=DKIM1; p=AA\\AA", "no base64"),
        ('v=DKIM1; p=AAAA" "AAAA', "no base64"),  # strings wrongly joined
        ("v=DKIM1; p=AAAA; p=BBBB", "stands twice"),
        ("v=DKIM1, k=rsa, p=AAAA", "v=DKIM1, k=rsa"),
        ("v=DKIM1 k=rsa p=AAAA", "v=DKIM1 k=rsa"),
        ("v=DKIM1; p=AAAA; n=\ufffd", "no tag"),
        ("v=DKIM1;; p=AAAA", "no tag"),
        ("v=spf1 -all", "no version of DKIM"),
    ],
)
def test_a_broken_record_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(KeyRecordError, match=said.replace("\\", ".")):
        domainkeys.parse(text)


def test_tags_keep_their_order_and_may_end_in_a_semicolon() -> None:
    assert list(taglists.tags(" v=DKIM1 ;\tp = a b ; \r\n").items()) == [("v", "DKIM1"), ("p", "a b")]
    assert taglists.tags("p=") == {"p": ""}


PIECES = [
    "v=DKIM1;",
    " ",
    ";",
    "=",
    "p=",
    "AAAA",
    "AA==",
    "k=rsa;",
    "k=ed25519;",
    "h=sha1:sha256;",
    "t=y:s;",
    "é",
    "\n",
    "x",
]
TAGS = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=40) | TAGS)
def test_no_text_raises_anything_but_its_own_error(text: str) -> None:
    with contextlib.suppress(KeyRecordError):
        key = domainkeys.parse(text)
        assert domainkeys.parse(f"v=DKIM1; k={key.kind}; p={key.public}") == key
        assert key.bits >= 0
        assert isinstance(key.unusable, str)


@settings(deadline=None, max_examples=20)
@given(st.dictionaries(st.sampled_from(["v", "p", "Tag", "a_1", "rua"]), st.text("!#<>=:/az09~", max_size=9)))
def test_a_tag_list_that_is_written_is_read_again(tags: dict[str, str]) -> None:
    text = "; ".join(f"{name}={value}" for name, value in tags.items())
    if tags:
        assert taglists.tags(text) == tags
    else:
        with pytest.raises(TagError):
            taglists.tags(text)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=400))
def test_no_octets_in_a_key_raise(octets: bytes) -> None:
    text = base64.b64encode(octets).decode()
    assert domainkeys.parse(f"p={text}").bits in range(16 * 1024)
    assert domainkeys.parse(f"k=ed25519; p={text}").bits in {0, 256}


@pytest.mark.parametrize(
    "text",
    [
        "v=DKIM1; p=" + "A" * 1_000_000,
        "v=DKIM1; p=" + "A" * 60_000,
        "v=DKIM1; " + "; ".join(f"t{i}=x" for i in range(9_000)),
        "v=DKIM1; p" + " " * 60_000,
        "v=DKIM1; h=" + "a:" * 30_000 + "; p=AAAA",
    ],
    ids=["a megabyte", "a long key", "9,000 tags", "blanks", "many hashes"],
)
def test_hostile_texts_cost_little(text: str) -> None:
    began = time.process_time()
    with contextlib.suppress(KeyRecordError):
        assert domainkeys.parse(text).unusable
    assert time.process_time() - began < 0.3
