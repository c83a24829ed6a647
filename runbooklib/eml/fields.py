"""The header fields of a message as they stand in its octets (RFC 5322 2.2).

Nothing here raises on hostile input, and nothing is lost: the library's own header objects repair what they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.utils import getaddresses

from runbooklib.eml.reading import LONGEST, ascii_domain

LINE = re.compile(rb"\r\n|\n|\r")
NAME = re.compile(rb"^([!-9;-~]+)[ \t]*:")  # RFC 5322 2.2: printable US-ASCII without the colon
WORD = r"[^\s<>\"@,;:()]"
ADDRESS = re.compile(rf"{WORD}{{1,64}}@{WORD}{{1,253}}\.[^\s<>\"@,;:().]{{1,63}}")  # RFC 5321 4.5.3.1


@dataclass(frozen=True)
class Field:
    """One header field; `body` is what stands after the colon, with its folds."""

    name: str
    body: bytes

    @property
    def text(self) -> str:
        """The body unfolded, its octets read as UTF-8 (RFC 6532), else as they are."""
        return LINE.sub(b"", self.body).decode("utf-8", "replace").strip()

    @property
    def decoded(self) -> str:
        """The body as a reader sees it: encoded words decoded (RFC 2047)."""
        return decoded(self.text)


@dataclass(frozen=True)
class Mailbox:
    """An address with the name that is shown before it (RFC 5322 3.4)."""

    shown: str
    address: str

    @property
    def domain(self) -> str:
        return ascii_domain(self.address.rpartition("@")[2])


@dataclass(frozen=True)
class Header:
    """The header of a message: its fields in order, and lines in it that are none."""

    fields: tuple[Field, ...]
    strays: tuple[bytes, ...]  # neither a field nor the fold of one
    body: bytes  # what stands below

    def of(self, name: str) -> tuple[Field, ...]:
        return tuple(f for f in self.fields if f.name.lower() == name.lower())

    def first(self, name: str) -> str:
        """The text of the first field of that name; empty where there is none."""
        return next((f.text for f in self.of(name)), "")

    def mailboxes(self, name: str) -> tuple[Mailbox, ...]:
        """The addresses of all fields of that name."""
        return tuple(box for field in self.of(name) for box in mailboxes(field.text))


def read(raw: bytes) -> Header:
    """The header of a message, up to the first empty line."""
    fields: list[tuple[str, list[bytes]]] = []
    strays: list[bytes] = []
    rest = 0
    for line, rest in _lines(raw):  # noqa: B007 - where the body begins
        found = NAME.match(line)
        if found:
            fields.append((found[1].decode("ascii"), [line[found.end() :]]))
        elif line[:1] in {b" ", b"\t"} and fields:
            fields[-1][1].append(line)
        elif line:
            strays.append(line)
        else:
            break
    return Header(tuple(Field(name, b"\r\n".join(body)) for name, body in fields), tuple(strays), raw[rest:])


def _lines(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Each line without its end, and where the next one starts."""
    start = 0
    while start < len(raw):
        end = LINE.search(raw, start)
        stop, following = (end.start(), end.end()) if end else (len(raw), len(raw))
        yield raw[start:stop], following
        start = following


def decoded(text: str) -> str:
    """Text with its encoded words decoded; as it is where they cannot be, or where it is too long to be meant."""
    try:
        return str(make_header(decode_header(text))) if len(text) <= LONGEST else text
    except (MessageError, ValueError, LookupError):
        return text


def mailboxes(text: str) -> tuple[Mailbox, ...]:
    """The addresses in the body of a From, Sender or Reply-To field; none where it cannot be read."""
    try:
        pairs = getaddresses([text[:LONGEST]])
    except (ValueError, IndexError, TypeError):
        return ()
    return tuple(Mailbox(decoded(name), address) for name, address in pairs if "@" in address)


def addresses_in(text: str) -> tuple[str, ...]:
    """What looks like an address in any text, lower case."""
    return tuple(found.lower() for found in ADDRESS.findall(text))
