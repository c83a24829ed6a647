"""A mailbox's folders as IMAP lists them, and which of them hold what a filter disliked.

Pure: the lines of a LIST in, values out.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Listed = Sequence[bytes | tuple[bytes, bytes] | None]  # as imaplib gives untagged data; a literal makes it a pair

LINE = re.compile(rb'^\((?P<flags>[^)]*)\) (?:"(?P<delimiter>(?:[^"\\]|\\.)*)"|NIL) (?P<name>.*)$', re.DOTALL)
SHIFTED = re.compile(r"&([^-]*)-")
# Where a server marks none: the names that Gmail, QQ, NetEase, Yahoo, Outlook.com, GMX, Dovecot and cPanel give it.
JUNK = frozenset({
    "junk", "junk e-mail", "junk email", "junk mail", "junkemail", "spam", "spam-verdacht", "spamverdacht",
    "bulk", "bulk mail", "quarantine", "unerwünscht", "courrier indésirable", "indésirables", "pourriel",
    "correo no deseado", "posta indesiderata", "lixo eletrônico", "lixo electrónico", "ongewenste e-mail",
    "垃圾邮件", "垃圾箱", "广告邮件", "迷惑メール", "спам",
})  # fmt: skip


@dataclass(frozen=True)
class Folder:
    """One folder: how a command must write its name, how a person reads it, and what the server marks it as."""

    wire: str
    name: str
    flags: frozenset[str] = frozenset()
    delimiter: str = "/"

    @property
    def junk(self) -> bool:
        """Marked as junk (RFC 6154 2), or called so."""
        last = self.name.rpartition(self.delimiter)[2] if self.delimiter else self.name
        return "\\junk" in self.flags or last.casefold() in JUNK

    @property
    def written(self) -> bool:
        """Whether it holds what its owner writes (RFC 6154 2)."""
        return bool({"\\sent", "\\drafts"} & self.flags)

    @property
    def readable(self) -> bool:
        """Whether it holds messages (RFC 3501 7.2.2)."""
        return not {"\\noselect", "\\nonexistent"} & self.flags


INBOX = Folder("INBOX", "INBOX")


def parse(listed: Listed) -> tuple[Folder, ...]:
    """The folders of an untagged LIST answer; what cannot be read is left out."""
    return tuple(folder for line in _lines(listed) if (folder := _folder(*line)) and folder.readable)


def _lines(listed: Listed) -> Iterator[tuple[bytes, bytes]]:
    """Each line, with the name beside it where it came as a literal."""
    for line in listed:
        if isinstance(line, tuple):
            yield line
        elif line:
            yield line, b""


def _folder(line: bytes, literal: bytes) -> Folder | None:
    found = LINE.match(line)
    if found is None:
        return None
    flags = frozenset(found["flags"].decode("ascii", "replace").lower().split())
    wire = _quoted(literal) if literal else found["name"].strip().decode("utf-8", "replace")
    plain = re.sub(r"\\(.)", r"\1", wire[1:-1]) if wire.startswith('"') else wire
    delimiter = (found["delimiter"] or b"").decode("ascii", "replace")[-1:]
    return Folder(wire, decode(plain), flags, delimiter)


def _quoted(name: bytes) -> str:
    text = name.decode("utf-8", "replace")
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


def decode(name: str) -> str:
    """A name out of modified UTF-7 (RFC 3501 5.1.3); what is none stays as it is."""
    return SHIFTED.sub(_unshifted, name)


def _unshifted(found: re.Match[str]) -> str:
    if not found[1]:
        return "&"
    try:
        padded = found[1].replace(",", "/") + "=" * (-len(found[1]) % 4)
        return base64.b64decode(padded, validate=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return found[0]
