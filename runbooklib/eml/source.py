"""A message as somebody saved or pasted it, made readable again; what was repaired is told.

SourceError  what was given is no message
"""

from __future__ import annotations

import html
import quopri
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from runbooklib.eml import fields
from runbooklib.results import RunbookError

OUTLOOK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what an Outlook .msg begins with: a compound file, no message
MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")  # byte order marks
FROM_LINE = re.compile(rb"\A>?From [^\r\n]*(?:\r\n|\n|\r)")  # RFC 4155
EMLX = re.compile(rb"\A\s*(\d{1,10})\s*\n")  # Apple Mail: the message's length before it, a property list after it
USUAL = {"received", "from", "to", "subject", "date", "message-id", "return-path", "dkim-signature", "mime-version"}
FIRST_LINES = 200  # of a paste, from which its shape is told


class SourceError(RunbookError):
    """What was given is no message, or none that can be read."""


@dataclass(frozen=True)
class Source:
    """A message's octets, and what was done to the paste to get them."""

    raw: bytes
    repairs: tuple[str, ...] = ()
    altered: bool = False  # whether a signature may be broken by the paste alone


def read(octets: bytes) -> Source:
    """The message in a file or paste.

    Raises SourceError where there is none.
    """
    if octets.startswith(OUTLOOK):
        raise SourceError("this is an Outlook .msg: open it and copy the Internet headers, or save it as .eml")
    source = Source(_decoded(octets))
    for repair in REPAIRS:
        source = repair(source)
    header = fields.read(source.raw)
    if not any(field.name.lower() in USUAL for field in header.fields):
        raise SourceError("this is no message: no line at its start is a header field such as From: or Received:")
    return _lined(source)


def _decoded(octets: bytes) -> bytes:
    """Without a byte order mark; UTF-16, as some editors save it, is made UTF-8."""
    if octets.startswith(MARKS[1:]):
        return octets.decode("utf-16", "replace").encode()
    return octets.removeprefix(MARKS[0])


def _told(source: Source, raw: bytes, said: str, *, altered: bool = False) -> Source:
    if raw == source.raw:
        return source
    return replace(source, raw=raw, repairs=(*source.repairs, said), altered=source.altered or altered)


def _unwrapped(source: Source) -> Source:
    """Out of Apple Mail's file."""
    found = EMLX.match(source.raw)
    if not found:
        return source
    return _told(source, source.raw[found.end() :][: int(found[1])], "taken out of Apple Mail's .emlx")


def _started(source: Source) -> Source:
    return _told(source, source.raw.lstrip(b"\r\n"), "empty lines above it left out")


def _enveloped(source: Source) -> Source:
    return _told(source, FROM_LINE.sub(b"", source.raw, count=1), "the mailbox file's From line left out")


def _quoted(source: Source) -> Source:
    """Out of an answer: each line behind a >."""
    lines = _lines(source.raw)
    if not lines or not all(line.startswith(b">") for line in lines if line.strip()):
        return source
    return _told(source, re.sub(rb"(?m)^> ?", b"", source.raw), "the > before each line left out", altered=True)


def _dedented(source: Source) -> Source:
    """Out of an indented block, which would make every field the fold of another."""
    head = re.match(rb"[ \t]+(?=[!-9;-~]+:)", source.raw)
    if not head:
        return source
    raw = re.sub(rb"(?m)^" + re.escape(head[0]), b"", source.raw)
    return _told(source, raw, "the indent of each line left out", altered=True)


def _unescaped(source: Source) -> Source:
    """Out of a web page: &lt; in the place of < all over the header."""
    head = _head(source.raw)
    if b"&lt;" not in head or b"<" in head:
        return source
    raw = html.unescape(source.raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return _told(source, raw, "HTML's escapes undone", altered=True)


def _unprinted(source: Source) -> Source:
    """Out of a quoted-printable part: =3D in the place of = in the header's own fields."""
    if not re.search(rb"(?im)^(?:dkim-signature|content-type|authentication-results)[^\r\n]*=3D", _head(source.raw)):
        return source
    return _told(source, quopri.decodestring(source.raw), "quoted-printable undone", altered=True)


REPAIRS: tuple[Callable[[Source], Source], ...] = (
    _unwrapped,
    _started,
    _enveloped,
    _quoted,
    _dedented,
    _unescaped,
    _unprinted,
)


def _lines(raw: bytes) -> list[bytes]:
    return raw.splitlines()[:FIRST_LINES]


def _head(raw: bytes) -> bytes:
    """The header, as far as it can be told before it is repaired."""
    return re.split(rb"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)", raw, maxsplit=1)[0]


def _lined(source: Source) -> Source:
    """With CRLF, as it travelled: files of Unix hold LF, which no signature survives (RFC 6376 5.3)."""
    raw = source.raw
    if b"\r\n" in raw:
        return source
    return _told(source, re.sub(rb"\r|\n", b"\r\n", raw), "line ends made CRLF")
