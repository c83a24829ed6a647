"""A server's DKIM key: its public half from the forms it is handed around in, its size, and what it signed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib import domainkeys
from runbooklib.domainkeys import KeyRecordError

KINDS = {"rsa", "ed25519"}
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


def public_text(text: str) -> str:
    """The record's value as one joined string, from zone-file form, quoted strings or one plain line.

    Raises KeyRecordError where no key is in it.
    """
    strings = QUOTED.findall(text)
    joined = "".join(strings) if strings else " ".join(text.split())
    value = re.sub(r"\\(.)", r"\1", joined).strip()
    key = domainkeys.parse(value)
    if key.revoked:
        raise KeyRecordError("p= is empty: the key is revoked (RFC 6376 3.6.1)")
    if key.kind not in KINDS:
        raise KeyRecordError(f"k={key.kind} is no kind of key (RFC 6376 3.6.1, RFC 8463 4)")
    return value


@dataclass(frozen=True)
class Signature:
    """A DKIM-Signature of a message, and whether it verifies with a key we know."""

    domain: str
    selector: str
    good: bool


def signatures(raw: bytes, keys: Mapping[str, str]) -> Iterator[Signature]:
    """Every signature of a message with LF lines; `keys` holds record values by name, as DNS would."""
    message = dkim.DKIM(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))  # over CRLF lines (RFC 6376 3.4)
    signed = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    for index, value in enumerate(signed):
        yield _verified(message, index, value, keys)


def _verified(message: dkim.DKIM, index: int, value: bytes, keys: Mapping[str, str]) -> Signature:
    def key(name: bytes, timeout: float = 0) -> bytes | None:
        del timeout
        return keys.get(name.decode("ascii", "replace").rstrip("."), "").encode() or None

    try:
        tags = parse_tag_value(value)
    except InvalidTagValueList:
        return Signature("", "", good=False)
    domain, selector = (tags.get(tag, b"").decode("ascii", "replace").lower() for tag in (b"d", b"s"))
    try:
        return Signature(domain, selector, good=bool(message.verify(idx=index, dnsfunc=key)))
    except (dkim.DKIMException, ValueError):  # PyNaCl raises ValueError at a signature that is too short
        return Signature(domain, selector, good=False)
