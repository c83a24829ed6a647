"""Messages signed by RFC 6376 as it is written, with keys of every kind, and then bent: work for DKIM verifiers."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DOMAIN = "lantern.example"
SIGNED = "from:to:subject:date"
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")  # SHA-256 in PKCS #1 (RFC 8017 9.2)
PLAIN = (
    b"From: Hi <hi@lantern.example>\r\n"
    b"To: friend@stranger.example\r\n"
    b"Subject: one  letter\r\n"
    b"Date: Sun, 22 Nov 2026 05:00:00 +0000\r\n"
    b"Message-ID: <1@lantern.example>\r\n"
    b"\r\n"
    b"First line.\r\n"
    b"Second  line.\r\n"
)
HEAD, BODY = PLAIN.split(b"\r\n\r\n", 1)
MESSAGES = {
    "plain": PLAIN,
    "folded": PLAIN.replace(b"Subject: one  letter", b"Subject: one\r\n\t letter\r\n  of many lines"),
    "empty": HEAD + b"\r\n\r\n",
    "blank lines at the end": PLAIN + b"\r\n\r\n\r\n",
    "blanks at line ends": HEAD + b"\r\n\r\nA line \t \r\n \r\n\tB  \r\n",
    "8-bit": PLAIN.replace(b"First", "Grüße".encode()),
    "a long line": HEAD + b"\r\n\r\n" + b"x" * 900 + b"\r\n",
    "no colon blank": PLAIN.replace(b"Subject: ", b"Subject:"),
}


@dataclass(frozen=True)
class Key:
    """A private key that signs, and its public half as p= holds it."""

    sign: Callable[[bytes], bytes]
    public: str
    algorithm: str = "rsa-sha256"


@cache
def rsa_key(bits: int, number: int = 0) -> Key:
    del number  # another key of the same size
    private = rsa.generate_private_key(65537, bits)
    return Key(lambda data: private.sign(data, padding.PKCS1v15(), SHA256()), public(private.public_key()))


@cache
def sha1_key() -> Key:
    private = rsa.generate_private_key(65537, 2048)
    sign = lambda data: private.sign(data, padding.PKCS1v15(), SHA1())  # noqa: E731, S303 - what RFC 8301 forbids
    return Key(sign, public(private.public_key()), "rsa-sha1")


@cache
def ed25519_key() -> Key:
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    sign = lambda data: private.sign(hashlib.sha256(data).digest())  # noqa: E731 - RFC 8463 3: over the hash
    return Key(sign, base64.b64encode(raw).decode(), "ed25519-sha256")


@cache
def short_key() -> Key:
    """512 bits, which libraries no longer make."""
    p, q = _prime(1 << 255 | 1 << 254), _prime(3 << 254 | 1 << 200)
    private, n = pow(65537, -1, (p - 1) * (q - 1)), p * q

    def sign(data: bytes) -> bytes:
        digest = DIGEST_INFO + hashlib.sha256(data).digest()
        padded = b"\0\1" + b"\xff" * (61 - len(digest)) + b"\0" + digest
        return pow(int.from_bytes(padded), private, n).to_bytes(64)

    return Key(sign, public(rsa.RSAPublicNumbers(65537, n).public_key()))


def _prime(start: int) -> int:
    """A prime from there on, for a key that keeps no secret."""
    return next(n for n in range(start + 1, start + 9999, 2) if n % 65537 != 1 and pow(2, n - 1, n) == 1)


def public(key: rsa.RSAPublicKey, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    return base64.b64encode(key.public_bytes(Encoding.DER, form)).decode()


def signed(message: bytes, key: Key | None = None, /, *, c: str = "relaxed/relaxed", **tags: str) -> bytes:
    """The message under a DKIM-Signature; `tags` replace or add tags, an empty one is left out."""
    key = key or rsa_key(2048)
    head, _, body = message.partition(b"\r\n\r\n")
    how, _, body_how = c.partition("/")
    hashed = _body(body, body_how)[: int(tags["l"]) if tags.get("l", "").isdigit() else None]
    digest = hashlib.sha1 if key.algorithm == "rsa-sha1" else hashlib.sha256
    told = {"v": "1", "a": key.algorithm, "c": c, "d": DOMAIN, "s": "good", "h": SIGNED}
    told |= {"bh": base64.b64encode(digest(hashed).digest()).decode()} | tags
    field = "DKIM-Signature: " + "; ".join(f"{k}={v}" for k, v in told.items() if v) + "; b="
    data = b"".join(_header(f, how) + b"\r\n" for f in _chosen(head, told["h"])) + _header(field.encode(), how)
    return field.encode() + base64.b64encode(key.sign(data)) + b"\r\n" + message


def _chosen(head: bytes, names: str) -> Iterator[bytes]:
    """The fields of h=, each name from the bottom up; one too many stands for nothing (RFC 6376 5.4.2)."""
    left = re.split(rb"\r\n(?![ \t])", head)
    for name in names.lower().split(":"):
        at = next((i for i in range(len(left) - 1, -1, -1) if _name(left[i]) == name.strip().encode()), None)
        if at is not None:
            yield left.pop(at)


def _name(field: bytes) -> bytes:
    return field.partition(b":")[0].strip().lower()


def _header(field: bytes, how: str) -> bytes:
    """RFC 6376 3.4.1 and 3.4.2."""
    if how == "simple":
        return field
    value = re.sub(rb"[ \t]+", b" ", field.partition(b":")[2].replace(b"\r\n", b"")).strip()
    return _name(field) + b":" + value


def _body(body: bytes, how: str) -> bytes:
    """RFC 6376 3.4.3 and 3.4.4; an empty body is a line's end when simple, nothing when relaxed."""
    if how == "relaxed":
        body = re.sub(rb"[ \t]+", b" ", body)
        body = re.sub(rb" \r\n", b"\r\n", body)
    body = re.sub(rb"(\r\n)*\Z", b"", body)
    return body + b"\r\n" if body or how != "relaxed" else b""


def keys() -> Mapping[str, str]:
    """The key records, by selector."""
    good, rest = rsa_key(2048).public, {"t": "t=y; ", "strict": "t=s; ", "sha1only": "h=sha1; ", "other": "s=other; "}
    rest |= {
        "email": "s=email; ",
        "sha256": "h=sha256; ",
        "notes": "n=made%20here; ",
        "unknown": "zz=1; ",
        "dsa": "k=dsa; ",
    }
    return {selector: f"v=DKIM1; {tags}p={good}" for selector, tags in rest.items()} | {
        "good": f"v=DKIM1; k=rsa; p={good}",
        "bare": f"p={good}",
        "resend": f"k=rsa; p={good}",
        "version": f"v=DKIM2; p={good}",
        "revoked": "v=DKIM1; k=rsa; p=",
        "nokey": "v=DKIM1; k=rsa",
        "blanks": f"v=DKIM1; p={good[:60]} {good[60:]}",
        "cut": f"v=DKIM1; p={good[:200]}",
        "another": f"v=DKIM1; p={rsa_key(2048, 1).public}",
        "k1024": f"v=DKIM1; p={rsa_key(1024).public}",
        "k512": f"v=DKIM1; p={short_key().public}",
        "sha1": f"v=DKIM1; p={sha1_key().public}",
        "ed": f"v=DKIM1; k=ed25519; p={ed25519_key().public}",
    }


def letters() -> Mapping[str, bytes]:
    """Every message, by what it is."""
    made = {f"{name}, {c}": signed(message, c=c) for name, message in MESSAGES.items() for c in CANONICAL}
    made |= {f"key {selector}": signed(PLAIN, OWN.get(selector, _good)(), s=selector) for selector in keys()}
    made |= {f"{name}, {c}": bend(signed(PLAIN, c=c)) for name, bend in BENT.items() for c in CANONICAL[:2]}
    return made | {name: sign() for name, sign in SIGNATURES.items()}


CANONICAL = ("relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed")


def _good() -> Key:
    return rsa_key(2048)


OWN: dict[str, Callable[[], Key]] = {
    "k1024": lambda: rsa_key(1024),
    "k512": short_key,
    "sha1": sha1_key,
    "ed": ed25519_key,
    "another": _good,
}


def _put(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def bend(raw: bytes) -> bytes:
        assert old in raw
        return raw.replace(old, new, 1)

    return bend


BENT: dict[str, Callable[[bytes], bytes]] = {
    "a byte of the body": _put(b"First", b"Fjrst"),
    "a line more": lambda raw: raw + b"footer\r\n",
    "blank lines more": lambda raw: raw + b"\r\n\r\n",
    "blanks at a line's end": _put(b"line.\r\n", b"line. \t\r\n"),
    "one blank for two in the body": _put(b"Second  line", b"Second line"),
    "no blank for two in the body": _put(b"Second  line", b"Secondline"),
    "a header's name in capitals": _put(b"\r\nSubject:", b"\r\nSUBJECT:"),
    "a header folded": _put(b"one  letter", b"one\r\n  letter"),
    "one blank for two in a header": _put(b"one  letter", b"one letter"),
    "a blank before the colon": _put(b"\r\nSubject:", b"\r\nSubject :"),
    "another subject": _put(b"one  letter", b"two letters"),
    "a header that is not signed": _put(b"<1@", b"<2@"),
    "a header more": _put(b"\r\nTo:", b"\r\nX-More: 1\r\nTo:"),
    "headers in another order": lambda raw: _put(b"\r\n\r\n", b"\r\nTo: friend@stranger.example\r\n\r\n")(
        _put(b"\r\nTo: friend@stranger.example", b"")(raw)
    ),
    "a signed header gone": _put(b"\r\nTo: friend@stranger.example", b""),
    "a second From above": lambda raw: b"From: evil@stranger.example\r\n" + raw,
    "a second Subject above": lambda raw: b"Subject: evil\r\n" + raw,
    "a second Subject below": _put(b"\r\nDate:", b"\r\nSubject: evil\r\nDate:"),
    "the signature folded": _put(b"; s=", b";\r\n\ts="),
    "b= folded": lambda raw: re.sub(rb"(; b=.{40})", rb"\1\r\n\t ", raw, count=1),
    "b= cut short": lambda raw: re.sub(rb"(; b=.{40})[^\r]*", rb"\1", raw, count=1),
    "b= empty": lambda raw: re.sub(rb"; b=[^\r]*", rb"; b=", raw, count=1),
    "b= changed": lambda raw: re.sub(rb"; b=.{4}", rb"; b=AAAA", raw, count=1),
    "bh= changed": lambda raw: re.sub(rb"; bh=.{4}", rb"; bh=AAAA", raw, count=1),
    "another d=": _put(b"d=lantern.example", b"d=stranger.example"),
    "a tag twice": _put(b"; s=", b"; s=good; s="),
}
SIGNATURES: dict[str, Callable[[], bytes]] = {
    "no key in DNS": lambda: signed(PLAIN, s="missing"),
    "an RSA signature, an Ed25519 key": lambda: signed(PLAIN, s="ed"),
    "an Ed25519 signature, an RSA key": lambda: signed(PLAIN, ed25519_key()),
    "oversigned": lambda: signed(PLAIN, h="from:from:to:subject:subject:date"),
    "oversigned, a second Subject above": lambda: BENT["a second Subject above"](
        signed(PLAIN, h="from:from:to:subject:subject:date")
    ),
    "oversigned, a second From above": lambda: BENT["a second From above"](
        signed(PLAIN, h="from:from:to:subject:date")
    ),
    "names in h= that are not there": lambda: signed(PLAIN, h="from:to:cc:reply-to"),
    "h= in capitals with blanks": lambda: signed(PLAIN, h="From : TO:Subject"),
    "h= without From": lambda: signed(PLAIN, h="to:subject:date"),
    "l= of the whole body": lambda: signed(PLAIN, c="simple/simple", l=str(len(BODY))),
    "l= and a line more": lambda: signed(PLAIN, c="simple/simple", l=str(len(BODY))) + b"footer\r\n",
    "l= of nothing": lambda: signed(PLAIN, c="simple/simple", l="0"),
    "l= beyond the body": lambda: signed(PLAIN, c="simple/simple", l=str(len(BODY) + 100)),
    "l= that is no number": lambda: signed(PLAIN, c="simple/simple", l="all"),
    "expired": lambda: signed(PLAIN, t="1500000000", x="1500086400"),
    "expires later": lambda: signed(PLAIN, t="1500000000", x="4000000000"),
    "expires before it was made": lambda: signed(PLAIN, t="1500086400", x="1500000000"),
    "made in the future": lambda: signed(PLAIN, t="4000000000"),
    "i= at d=": lambda: signed(PLAIN, i="hi@lantern.example"),
    "i= without a local part": lambda: signed(PLAIN, i="@lantern.example"),
    "i= below d=": lambda: signed(PLAIN, i="hi@in.lantern.example"),
    "i= elsewhere": lambda: signed(PLAIN, i="hi@stranger.example"),
    "i= that only ends alike": lambda: signed(PLAIN, i="hi@notlantern.example"),
    "i= at d=, t=s": lambda: signed(PLAIN, s="strict", i="hi@lantern.example"),
    "i= below d=, t=s": lambda: signed(PLAIN, s="strict", i="hi@in.lantern.example"),
    "q= of DNS": lambda: signed(PLAIN, q="dns/txt"),
    "q= of something else": lambda: signed(PLAIN, q="http"),
    "v=2": lambda: signed(PLAIN, v="2"),
    "no bh=": lambda: signed(PLAIN, bh=""),
    "c= of one word": lambda: signed(PLAIN, c="relaxed"),
    "c= unknown": lambda: signed(PLAIN, c="relaxed/nofws"),
    "a= unknown": lambda: signed(PLAIN, a="rsa-md5"),
    "an unknown tag": lambda: signed(PLAIN, zz="1"),
    "d= in capitals": lambda: signed(PLAIN, d="LANTERN.example"),
    "no v=": lambda: signed(PLAIN, v=""),  # last: OpenDKIM reads no message after it
}
