"""One part of a message: its octets, words, charset and name, whatever it claims of itself (RFC 2045)."""

from __future__ import annotations

from email.message import Message

from runbooklib.eml import fields


def decoded(part: Message) -> bytes:
    """Its octets without their transfer encoding."""
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        return b""
    return payload if isinstance(payload, bytes) else b""


def text(part: Message) -> str:
    """Its words, as good as its charset can be read."""
    try:
        return decoded(part).decode(charset(part), "replace")
    except (LookupError, ValueError):
        return decoded(part).decode("utf-8", "replace")


def charset(part: Message) -> str:
    """The charset it claims; US-ASCII where it claims none (RFC 2045 5.2)."""
    try:
        return str(part.get_content_charset() or "us-ascii")
    except (ValueError, LookupError):
        return "?"


def filename(part: Message) -> str:
    """The name it would be stored under; empty where it has none."""
    try:
        return fields.decoded(str(part.get_filename(""))).strip()
    except (ValueError, LookupError, TypeError):
        return ""
