"""Looks for a run's messages in one mailbox, as often as asked; nothing in it is changed.

A look is one SEARCH a folder, and one FETCH where something new is of this run. Some providers answer a SEARCH on
headers late, or with nothing at all; so the subjects of what came in meanwhile are read, too, now and then.
"""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

from runbooklib import eml, endpoint
from runbooklib.delivery import folders
from runbooklib.delivery.arriving import Copy, Kind
from runbooklib.delivery.folders import INBOX, Folder
from runbooklib.eml import dsn
from runbooklib.endpoint import FolderError

PEEK = 5.0  # seconds between two looks that do not trust SEARCH
MOST, FOLDERS = 200, 40  # subjects read by such a look; folders searched for what came into none of the usual ones
POSTMEN = ("MAILER-DAEMON", "postmaster")  # who writes bounces (RFC 3464 2, RFC 5321 4.5.1)
SUBJECT = "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"
WHOLE = "(INTERNALDATE BODY.PEEK[])"


def pattern(marker: str) -> re.Pattern[str]:
    """Finds the number of a message in what bears this run's marker, and nothing in what bears a longer one."""
    return re.compile(rf"(?<![\w.-]){re.escape(marker)}\.(\d+)\b")


class Box:
    """A mailbox being watched: the inbox, and the folders for what filters dislike."""

    def __init__(
        self, client: imaplib.IMAP4, address: str, marker: str, since: float, seen: set[tuple[str, int]] | None = None
    ) -> None:
        self.client, self.address, self.number = client, address, pattern(marker)
        day = datetime.fromtimestamp(since, UTC) - timedelta(days=1)  # the server may live in another zone
        self.since = f"SINCE {day:%d}-{MONTHS[day.month - 1]}-{day:%Y}"
        subject, told = f'SUBJECT "{marker}"', [f'FROM "{postman}" TEXT "{marker}"' for postman in POSTMEN]
        self.query = f"{self.since} {_any(subject, *told)}"
        self.all = folders.parse(client.list()[1])
        self.usual = [INBOX, *(folder for folder in self.all if folder.junk)]
        self.seen = set() if seen is None else seen
        self.peeked: set[tuple[str, int]] = set()
        self.blind = False  # whether SEARCH does not find what is there
        self.next_peek = time.monotonic() + PEEK

    def new(self) -> list[Copy]:
        """The run's messages that were not there at the last look."""
        peeking = self.blind or time.monotonic() >= self.next_peek
        if peeking:
            self.next_peek = time.monotonic() + PEEK
        return [copy for folder in self.usual for copy in self._new_in(folder, peeking=peeking)]

    def elsewhere(self) -> list[Copy]:
        """What of the run lies in any other folder, where somebody's rules may have filed it."""
        self.all = folders.parse(self.client.list()[1])  # anew: a first junk message has its folder made
        usual = {folder.name.upper() for folder in self.usual}
        others = [folder for folder in self.all if folder.name.upper() not in usual and not folder.written]
        return [copy for folder in others[:FOLDERS] for copy in self._new_in(folder)]

    def _new_in(self, folder: Folder, *, peeking: bool = False) -> Iterator[Copy]:
        try:
            endpoint.examine(self.client, folder.wire)
        except FolderError:
            if folder is INBOX:
                raise
            return
        found = self._search(self.query)
        if found is None:
            self.blind = peeking = True
        fresh = {uid for uid in found or () if (folder.name, uid) not in self.seen}
        if peeking:
            fresh |= self._peeked(folder, fresh)
        yield from self._copies(folder, fresh)

    def _search(self, query: str) -> list[int] | None:
        """The UIDs that match; None where the server does not search so."""
        try:
            status, found = self.client.uid("SEARCH", query)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:  # BAD
            return None
        return [int(uid) for uid in (found[0] or b"").split()] if status == "OK" else None

    def _peeked(self, folder: Folder, found: Collection[int]) -> set[int]:
        """What bears the marker in its subject, or may be a bounce, of all that SEARCH did not find."""
        recent = sorted(self._search(self.since) or [])
        unknown = [uid for uid in recent if (folder.name, uid) not in self.peeked | self.seen and uid not in found]
        self.peeked |= {(folder.name, uid) for uid in recent}
        named = {uid for uid, head, _ in self._fetch(unknown[-MOST:], SUBJECT) if self.number.search(_subject(head))}
        self.blind = self.blind or bool(named)
        return named

    def _copies(self, folder: Folder, uids: Collection[int]) -> Iterator[Copy]:
        self.seen |= {(folder.name, uid) for uid in uids}
        for _, raw, stored in self._fetch(sorted(uids), WHOLE):
            number, kind = classify(raw, self.number)
            yield Copy(number, kind, self.address, folder.name, time.time(), raw, folder.junk, stored)

    def _fetch(self, uids: Sequence[int], what: str) -> Iterator[Fetched]:
        if uids:
            _, parts = self.client.uid("FETCH", ",".join(map(str, uids)), what)
            yield from literals(parts)


MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # RFC 3501 9
UID = re.compile(rb"\bUID (\d+)")

Fetched = tuple[int, bytes, float]  # UID, literal, and when the server stored it


def _any(*keys: str) -> str:
    """Keys of which one must match; OR takes two (RFC 3501 6.4.4)."""
    first, *others = keys
    return f"OR ({first}) {_any(*others)}" if others else f"({first})"


def literals(parts: Iterable[Any]) -> Iterator[Fetched]:
    """Of each untagged FETCH; servers write the rest before the literal, or after it."""
    told = list(parts)
    for part, after in zip(told, [*told[1:], b""], strict=True):
        if isinstance(part, tuple):
            line = part[0] + (after if isinstance(after, bytes) else b"")
            found = UID.search(line)
            yield int(found[1]) if found else 0, part[1], _stored(line)


def _stored(line: bytes) -> float:
    """INTERNALDATE, seconds since the epoch; 0 where it is missing or nonsense."""
    try:
        told = imaplib.Internaldate2tuple(line)
        return time.mktime(told) if told else 0.0
    except (KeyError, ValueError, OverflowError):
        return 0.0


def _subject(head: bytes) -> str:
    return str(_message(head)["Subject"] or "")


def _message(raw: bytes) -> EmailMessage:
    return eml.read(raw).message


def classify(raw: bytes, number: re.Pattern[str]) -> tuple[int, Kind]:
    """Which message of the run this is, 0 when of none, and whether it is itself, an answer, or what tells of it."""
    if told := dsn.parse(raw):
        named = number.search(f"{told.subject} {told.message_id}") or number.search(raw.decode(errors="replace"))
        return int(named[1]) if named else 0, TOLD.get(told.action, "notice")
    message = _message(raw)
    subject = str(message["Subject"] or "")
    named = number.search(subject)
    kind: Kind = "answer" if message["In-Reply-To"] or subject.lower().startswith("re:") else "message"
    return int(named[1]) if named else 0, kind


# RFC 3464 2.3.3; one that says nothing a program could read is a bounce still
TOLD: dict[str, Kind] = {"failed": "bounce", "": "bounce", "delayed": "delay"}
