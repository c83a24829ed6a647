"""Messages as a forwarder hands them on: with the set of three headers that RFC 8617 4.1 asks of it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim.canonicalization import Relaxed
from letters import key

SIGNED = (b"from", b"to", b"subject")


def sealed(raw: bytes, instance: int = 1, selector: str = "mail", sets: bytes = b"") -> bytes:
    """The message under the set of this instance; `sets` are those it came with, the newest first."""
    head, _, body = raw.partition(b"\r\n\r\n")
    about = f"i={instance}; a=rsa-sha256; d=lantern.example; s={selector}; "
    results = f"ARC-Authentication-Results: i={instance}; forward.example; spf=pass smtp.mailfrom=lantern.example\r\n"
    digest = base64.b64encode(hashlib.sha256(Relaxed.canonicalize_body(body)).digest()).decode()
    rest = f"c=relaxed/relaxed; h=from:to:subject; bh={digest}; b="
    fields = [field for name in SIGNED for field in head.split(b"\r\n") if field.lower().startswith(name + b":")]
    message = _signed(b"".join(f + b"\r\n" for f in fields), f"ARC-Message-Signature: {about}{rest}".encode())
    older = b"".join(reversed([line + b"\r\n" for line in sets.split(b"\r\n") if line]))
    seal = f"ARC-Seal: {about}cv={'none' if instance == 1 else 'pass'}; b=".encode()
    ours = _signed(older + results.encode() + message, seal) + message + results.encode()
    return ours + sets + raw


def twice(raw: bytes) -> bytes:
    """The message after two forwarders."""
    once = sealed(raw)
    return sealed(raw, 2, "relay", once[: len(once) - len(raw)])


@cache
def _private() -> rsa.RSAPrivateKey:
    """Read once: OpenSSL proves both primes each time."""
    private = load_pem_private_key(key()[0], None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private


def _signed(covered: bytes, field: bytes) -> bytes:
    """The field with its signature over what it covers and itself (RFC 8617 4.1.2, 4.1.3)."""
    headers = [line.split(b":", 1) for line in (covered + field).split(b"\r\n") if line]
    canonical = Relaxed.canonicalize_headers([(name, value) for name, value in headers])
    data = b"\r\n".join(name + b":" + value.strip() for name, value in canonical)
    return field + base64.b64encode(_private().sign(data, padding.PKCS1v15(), SHA256())) + b"\r\n"
