"""DKIM keys as DNS publishes them (RFC 6376 3.6.1, RFC 8301, RFC 8463): parsed strictly."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from functools import cached_property

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from runbooklib import taglists
from runbooklib.results import RunbookError
from runbooklib.taglists import TagError

HASHES = ("sha1", "sha256")
KINDS = ("rsa", "ed25519")
SHORTEST = 1024  # bits of an RSA key: verifiers take no shorter one (RFC 8301 3.2)
ED25519_OCTETS = 32  # RFC 8463 4: the key itself, without ASN.1 around it
LARGEST = 2100  # octets of a key that are looked at: an RSA key of 16,384 bits takes 2,074


class KeyRecordError(RunbookError):
    """A text is no DKIM key record, or its syntax is broken: a signature that names it cannot be verified."""


@dataclass(frozen=True)
class DkimKey:
    """The public half of a DKIM key as published; equal when it is the same key, whatever the other tags say."""

    public: str  # base64 without blanks; empty: revoked
    kind: str = "rsa"
    hashes: tuple[str, ...] = field(default=HASHES, compare=False)
    services: tuple[str, ...] = field(default=("*",), compare=False)
    flags: tuple[str, ...] = field(default=(), compare=False)
    notes: str = field(default="", compare=False)

    @property
    def revoked(self) -> bool:
        """Whether the key was taken back: p= is empty (RFC 6376 3.6.1)."""
        return not self.public

    @property
    def testing(self) -> bool:
        """Whether verifiers are told to treat signatures as no signatures (t=y)."""
        return "y" in self.flags

    @property
    def strict(self) -> bool:
        """Whether the domain of i= must be that of d= and not one below it (t=s)."""
        return "s" in self.flags

    @property
    def unusable(self) -> str:
        """Why no verifier counts a signature made with it; empty where they do."""
        if self.revoked:
            return "the key is revoked: p= is empty (RFC 6376 3.6.1)"
        if self.kind not in KINDS:
            return f"k={self.kind} is no kind of key (RFC 6376 3.6.1, RFC 8463 4)"
        if not {"email", "*"} & set(self.services):
            return f"s={':'.join(self.services)} leaves out email (RFC 6376 3.6.1)"
        if "sha256" not in self.hashes:
            return f"h={':'.join(self.hashes)} leaves out sha256 (RFC 8301 3.1)"
        return self._unreadable()

    def _unreadable(self) -> str:
        if not self.bits:
            return f"p= holds no {self.kind} key: it was cut short, or another kind stands there"
        if self.kind == "rsa" and self.bits < SHORTEST:
            return f"{self.bits} bits are too few (RFC 8301 3.2)"
        return ""

    @cached_property
    def bits(self) -> int:
        """The size of an RSA key, 256 for a whole Ed25519 key, 0 where no verifier can read one."""
        octets = base64.b64decode(self.public)
        if self.kind == "ed25519":
            return 256 if len(octets) == ED25519_OCTETS else 0
        return _rsa_bits(octets) if self.kind == "rsa" and len(octets) <= LARGEST else 0


def _rsa_bits(octets: bytes) -> int:
    """The size of an RSA key: SubjectPublicKeyInfo, which signers publish, or PKCS #1, which RFC 6376 3.6.1 says."""
    try:
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm):
        return 0
    return key.key_size if isinstance(key, rsa.RSAPublicKey) else 0


def parse(text: str) -> DkimKey:
    """The key in a TXT value; `v=` may be missing, as in Resend's, but then nothing stands for it elsewhere.

    Raises KeyRecordError; a key of an unknown kind or for another service is no error (RFC 6376 3.6.1).
    """
    try:
        found = taglists.tags(text)
    except TagError as error:
        raise KeyRecordError(str(error)) from None
    _require_version(found)
    if "p" not in found:
        raise KeyRecordError("the record has no p=: a key, or nothing for a revoked one (RFC 6376 3.6.1)")
    return DkimKey(
        public=_base64("".join(found["p"].split())),
        kind=found.get("k", "rsa").lower(),
        hashes=_words(found, "h") or HASHES,
        services=_words(found, "s") or ("*",),
        flags=_words(found, "t"),
        notes=found.get("n", ""),
    )


def _require_version(found: dict[str, str]) -> None:
    """RFC 6376 3.6.1: v= comes first if at all, and a record of another version is discarded."""
    if "v" in found and next(iter(found)) != "v":
        raise KeyRecordError("v= stands first or not at all (RFC 6376 3.6.1)")
    if found.get("v", "DKIM1") != "DKIM1":
        raise KeyRecordError(f"v={found['v'][:20]} is no version of DKIM's, which is DKIM1 (RFC 6376 3.6.1)")


def _words(found: dict[str, str], tag: str) -> tuple[str, ...]:
    """A list of words between colons, in lower case."""
    return tuple(word.strip().lower() for word in found.get(tag, "").split(":") if word.strip())


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        said = "p= holds no base64: the key was cut short, or quotes and blanks got into it"
        raise KeyRecordError(said) from None
    return text
