"""Looks for what was handed over: in the mailboxes it should reach, and in the server's log."""

from __future__ import annotations

import imaplib
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from threading import Lock
from typing import Any, Literal

from runbooklib import endpoint, maillog, servers
from runbooklib.credentials import CredentialError
from runbooklib.delivery.messages import Account, Letter, Route, boxes, compose_answer, posts
from runbooklib.delivery.sending import Asked, Handed, Sent, ask, ask_as, submit
from runbooklib.endpoint import EndpointError
from runbooklib.params import Site
from runbooklib.results import RunbookError, Shown, Table

POLL = 0.5  # seconds between two looks into a mailbox
LOG_POLL = 2.0  # seconds between two looks into the server's log

LOG = "log"  # the server's log, awaited like a mailbox

Kind = Literal["message", "answer", "bounce", "attempt"]
Due = tuple[int, Kind, str]  # which message, what of it, in whose mailbox or in the log


@dataclass(frozen=True)
class Copy:
    """One message found in a mailbox."""

    number: int
    kind: Kind
    box: str
    folder: str
    at: float  # seconds since the epoch when we saw it
    raw: bytes = field(repr=False)

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=default)


@dataclass(frozen=True)
class Parcel:
    """All that is known about one message after looking for it."""

    handed: Handed
    copies: tuple[Copy, ...] = ()
    answer: Handed | None = None  # the answer we sent from where it arrived
    attempts: tuple[maillog.Attempt, ...] = ()  # what the server's log tells of its delivery
    signers: tuple[tuple[str, str], ...] = ()  # domain and selector of what the server signed it with, by its log

    @property
    def letter(self) -> Letter:
        return self.handed.letter

    @property
    def gone(self) -> bool:
        """Whether it may have left the server: handed over, and no log says that every attempt failed."""
        tries = [a for a in self.attempts if not a.filtered]
        taken = self.handed.fate in {"accepted", "unknown"}
        return taken and (not tries or any(a.status == "sent" for a in tries))

    def of(self, kind: Kind) -> tuple[Copy, ...]:
        return tuple(c for c in self.copies if c.kind == kind)


@dataclass(frozen=True)
class Arrived(Shown):
    """What became of a run's messages, and what could not be looked at."""

    sent: Sent
    parcels: tuple[Parcel, ...] = ()
    asked: tuple[Asked, ...] = ()  # the addresses that must be refused
    troubles: dict[str, str] = field(default_factory=dict)  # by mailbox, or `log`: why it could not be read
    wait: float = 0.0
    senders: tuple[Asked, ...] = ()  # the aliases somebody sends as

    def __iter__(self) -> Iterator[Parcel]:
        return iter(self.parcels)

    def mark(self, parcel: Parcel) -> str:
        """What stands in the message's subject and in no other's."""
        return self.sent.plan.mark(parcel.letter)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row for each message found, then what is missing and what could not be read."""
        rows = [row for parcel in self.parcels for row in _rows(parcel)]
        rows += [("asked", asked.address, "port 25", "", asked.said) for asked in self.asked]
        rows += [("asked", asked.address, "submission", "", asked.said) for asked in self.senders]
        rows += [("not readable", box, "", "", why) for box, why in sorted(self.troubles.items())]
        title = "what arrived" if self.sent else "nothing was sent, so nothing is looked for"
        return Table(title, ("", "message", "seen in", "seconds", "subject or last word"), tuple(rows))


def _rows(parcel: Parcel) -> list[tuple[str, ...]]:
    name = parcel.letter.name
    found = [
        (c.kind, name, f"{c.box} {c.folder}", f"{c.at - parcel.handed.at:.1f}", str(c.message["Subject"]))
        for c in parcel.copies
    ]
    tries = [(a.status, name, f"log: {a.relay}", "", a.said) for a in parcel.attempts if not a.filtered]
    return [*found, *tries] or [(parcel.handed.fate, name, "", "", parcel.handed.said)]


def fetch(site: Site, sent: Sent, *, wait: float) -> Arrived:
    """Waits at most `wait` seconds for what was sent, answers what can be answered, and returns the bytes found."""
    if not sent:
        return Arrived(sent)
    watch = Watch(site, sent)
    accounts = {a: b for a, b in boxes(site).items() if a in watch.readers()}
    deadline = time.monotonic() + wait
    questions = len(sent.plan.refuse) + len(sent.plan.senders)
    with ThreadPoolExecutor(len(accounts) + questions + 1) as pool:
        sending = [pool.submit(ask_as, site, posts(site)[box], alias, box) for alias, box in sent.plan.senders]
        asking = [pool.submit(ask, site, address) for address in sent.plan.refuse]
        looking = [pool.submit(_look, watch, address, account, deadline) for address, account in accounts.items()]
        try:
            _read_log_until(watch, deadline)
            for look in looking:
                look.result()
        finally:
            watch.due.clear()  # an interrupt must not wait for the others' deadline
    asked = tuple(question.result() for question in asking)
    senders = tuple(question.result() for question in sending)
    return Arrived(sent, tuple(watch.parcel(h) for h in sent), asked, dict(watch.troubles), wait, senders)


class Watch:
    """What is still awaited and what was found, shared by the threads that look."""

    def __init__(self, site: Site, sent: Sent) -> None:
        self.site, self.sent, self.lock = site, sent, Lock()
        self.marker = re.compile(re.escape(sent.plan.marker) + r"\.(\d+)\b")
        self.handed = {h.letter.number: h for h in sent}
        self.due: set[Due] = {due for h in sent for due in _dues(h)}
        self.copies: list[Copy] = []
        self.answers: dict[int, Handed] = {}
        self.attempts: dict[int, tuple[maillog.Attempt, ...]] = {}
        self.signers: dict[int, tuple[tuple[str, str], ...]] = {}
        self.troubles: dict[str, str] = {}

    def readers(self) -> set[str]:
        """The mailboxes to look into: where something is awaited, and where a bounce would go."""
        return {box for _, _, box in self.due} | {h.letter.sender for h in self.sent if _dues(h)}

    @property
    def mail_due(self) -> bool:
        return any(box != LOG for _, _, box in self.due)

    def drop(self, number: int) -> None:
        """No longer waits for a message, nor for an answer to it."""
        with self.lock:
            self.due = {due for due in self.due if due[0] != number}

    def unreadable(self, box: str, why: str) -> None:
        """No longer waits for anything in a mailbox, nor for answers to what only could be seen there."""
        with self.lock:
            self.troubles[box] = why
            unanswerable = {number for number, kind, where in self.due if kind == "message" and where == box}
            self.due = {d for d in self.due if d[2] != box and not (d[1] == "answer" and d[0] in unanswerable)}

    def found(self, copy: Copy) -> None:
        with self.lock:
            self.copies.append(copy)
            self.due.discard((copy.number, copy.kind, copy.box))
        if copy.kind == "bounce":
            self.drop(copy.number)
        elif copy.kind == "message":
            self._answer(copy)

    def followed(self, number: int, attempts: list[maillog.Attempt]) -> None:
        """Notes what the log tells; a message sent on is no longer awaited there, a bounced one nowhere."""
        self.attempts[number] = tuple(attempts)
        fates = {a.status for a in attempts if not a.filtered}
        if "bounced" in fates:
            self.drop(number)
        if "sent" in fates:
            with self.lock:
                self.due.discard((number, "attempt", LOG))

    def _answer(self, copy: Copy) -> None:
        """Writes back from where an outbound message arrived, once."""
        letter = self.handed[copy.number].letter
        if letter.route is not Route.OUTBOUND or not letter.answered_in or copy.number in self.answers:
            return
        goes_to, answer = compose_answer(self.sent.plan, letter, copy.message)
        post = posts(self.site)[letter.recipient]
        handed = self.answers[copy.number] = submit(self.site, post, letter, letter.recipient, goes_to, answer)
        if handed.fate in {"unsent", "refused"}:
            with self.lock:
                self.due.discard((letter.number, "answer", letter.answered_in))

    def parcel(self, handed: Handed) -> Parcel:
        number = handed.letter.number
        copies = tuple(sorted((c for c in self.copies if c.number == number), key=lambda c: c.at))
        tries, signers = self.attempts.get(number, ()), self.signers.get(number, ())
        return Parcel(handed, copies, self.answers.get(number), tries, signers)


def _dues(handed: Handed) -> list[Due]:
    letter = handed.letter
    if handed.fate not in {"accepted", "unknown"}:
        return []
    awaited: list[tuple[Kind, str]] = [("message", letter.lands), ("answer", letter.answered_in)]
    awaited += [("attempt", "" if letter.inbound or not handed.queue_id else LOG)]
    return [(letter.number, kind, box) for kind, box in awaited if box]


def _look(watch: Watch, address: str, account: Account, deadline: float) -> None:
    """Reads one mailbox until nothing is awaited anywhere or time is up, then once more for duplicates."""
    try:
        with _opened(watch.site, account) as client:
            box = Box(client, address, watch.sent.plan.marker, watch.marker)
            while watch.due and time.monotonic() < deadline:
                _note(watch, box)
                time.sleep(POLL)
            _note(watch, box)
    except (EndpointError, CredentialError, imaplib.IMAP4.error, OSError) as error:
        watch.unreadable(address, str(error))


def _note(watch: Watch, box: Box) -> None:
    for copy in box.new():
        if copy.number in watch.handed:
            watch.found(copy)


@contextmanager
def _opened(site: Site, account: Account) -> Iterator[imaplib.IMAP4]:
    def attempt(address: str) -> imaplib.IMAP4:
        return endpoint.imap(account.endpoint, endpoint.local_dial, address)

    with endpoint.leaving(endpoint.first(account.addresses(site), attempt)) as client:
        endpoint.imap_login(client, account.username, account.password)
        yield client


class Box:
    """A mailbox being watched: the inbox and, where there is one, the junk folder; nothing in it is changed."""

    def __init__(self, client: imaplib.IMAP4, address: str, text: str, marker: re.Pattern[str]) -> None:
        self.client, self.address, self.marker = client, address, marker
        self.seen: set[tuple[str, bytes]] = set()
        self.folders = ["INBOX", *_junk(client)]
        since = (datetime.now(UTC) - timedelta(days=1)).strftime("%d-%b-%Y")
        self.query = f'(SINCE {since} OR SUBJECT "{text}" (FROM "MAILER-DAEMON" TEXT "{text}"))'

    def new(self) -> list[Copy]:
        """The run's messages that were not there at the last look."""
        return [copy for folder in self.folders for copy in self._new_in(folder)]

    def _new_in(self, folder: str) -> Iterator[Copy]:
        self.client.select(folder, readonly=True)
        _, (listed, *_) = self.client.uid("SEARCH", self.query)
        for uid in (listed or b"").split():
            if (folder, uid) not in self.seen:
                self.seen.add((folder, uid))
                yield from self._copy(folder, uid)

    def _copy(self, folder: str, uid: bytes) -> Iterator[Copy]:
        _, parts = self.client.uid("FETCH", uid.decode(), "(BODY.PEEK[])")
        for part in parts:
            if isinstance(part, tuple):
                number, kind = classify(part[1], self.marker)
                yield Copy(number, kind, self.address, folder, time.time(), part[1])


def _junk(client: imaplib.IMAP4) -> list[str]:
    """The folder marked as junk (RFC 6154 2)."""
    _, listed = client.list()
    lines = [line.decode(errors="replace") for line in listed if isinstance(line, bytes)]
    marked = (re.search(r"\\Junk\b[^)]*\) \S+ (.+)$", line) for line in lines)
    return [found[1] for found in marked if found]


def classify(raw: bytes, marker: re.Pattern[str]) -> tuple[int, Kind]:
    """Which message of the run this is, 0 when of none, and whether it is itself, an answer, or a bounce."""
    message = message_from_bytes(raw, policy=default)
    if message.get_content_type() == "multipart/report":  # RFC 3464 2
        named = marker.search(raw.decode(errors="replace"))
        return int(named[1]) if named else 0, "bounce"
    subject = str(message["Subject"] or "")
    named = marker.search(subject)
    kind: Kind = "answer" if message["In-Reply-To"] or subject.lower().startswith("re:") else "message"
    return int(named[1]) if named else 0, kind


def _read_log_until(watch: Watch, deadline: float) -> None:
    """Follows the messages in the server's log while something is awaited, and once at the end."""
    while watch.due and time.monotonic() < deadline:
        _read_log(watch)
        looked = time.monotonic()
        while watch.mail_due and time.monotonic() < min(deadline, looked + LOG_POLL):
            time.sleep(POLL)
        time.sleep(POLL)
    _read_log(watch)


def _read_log(watch: Watch) -> None:
    try:
        events = maillog.parse(servers.of(watch.site).log())
    except RunbookError as error:
        watch.unreadable(LOG, str(error))
        return
    watch.troubles.pop(LOG, None)
    for number, handed in watch.handed.items():
        watch.followed(number, _attempts(events, watch.sent.plan.marker, handed))
        watch.signers[number] = tuple(maillog.signers(events, handed.queue_id)) if handed.queue_id else ()


def _attempts(events: Sequence[maillog.Event], marker: str, handed: Handed) -> list[maillog.Attempt]:
    if handed.letter.inbound:
        named = f"message-id=<{marker}.{handed.letter.number}@"
        ids = [e.queue_id for e in events if named in e.text]
    else:
        ids = [handed.queue_id] * bool(handed.queue_id)
    return [attempt for queue_id in ids[:1] for attempt in maillog.follow(events, queue_id)]
