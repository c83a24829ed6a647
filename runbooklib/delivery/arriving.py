"""What became of a run's messages: the copies found, what the log tells, the answers, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal

from runbooklib import eml, maillog
from runbooklib.delivery.asking import Asked
from runbooklib.delivery.handover import Handed, Sent
from runbooklib.delivery.messages import Letter, Route
from runbooklib.params import Site
from runbooklib.results import Shown, Table

LOG = "log"  # the server's log, awaited and read like a mailbox

# `delay` and `notice` are notifications that nothing is lost: it is still tried, or it was handed on.
Kind = Literal["message", "answer", "bounce", "delay", "notice", "attempt"]


STEPS: dict[Kind, str] = {"bounce": "came back", "answer": "answered", "message": "arrived"}  # the furthest first


@dataclass(frozen=True)
class Copy:
    """One message found in a mailbox."""

    number: int
    kind: Kind
    box: str
    folder: str
    at: float  # seconds since the epoch when we saw it
    raw: bytes = field(repr=False)
    junk: bool = False  # whether the folder is for what filters dislike
    stored: float = 0.0  # when it came by the mailbox's own clock, in whole seconds; 0 if untold

    @property
    def message(self) -> EmailMessage:
        return eml.read(self.raw).message


@dataclass(frozen=True)
class Parcel:
    """All that is known about one message after looking for it."""

    handed: Handed
    copies: tuple[Copy, ...] = ()
    answer: Handed | None = None  # the answer we sent from where it arrived
    attempts: tuple[maillog.Attempt, ...] = ()  # what the server's log tells of its delivery
    signers: tuple[tuple[str, str], ...] = ()  # domain and selector of what the server signed it with, by its log
    refusals: tuple[maillog.Refusal, ...] = ()  # what our server did not take of it as it came, or of its answer
    client: str = ""  # the address from which our server took it, by its log

    @property
    def letter(self) -> Letter:
        return self.handed.letter

    @property
    def tries(self) -> tuple[maillog.Attempt, ...]:
        """The attempts to hand it to somebody else, or into a mailbox."""
        return tuple(a for a in self.attempts if not a.filtered)

    @property
    def gone(self) -> bool:
        """Whether it may have left the server: handed over, and no log says that every attempt failed."""
        return self.handed.taken and (not self.tries or any(a.status == "sent" for a in self.tries))

    @property
    def step(self) -> str:
        """How far it came."""
        found = next((kind for kind in STEPS if self.of(kind)), None)
        on = "handed on" if any(a.status == "sent" for a in self.tries) else self.tries[-1].status if self.tries else ""
        return STEPS[found] if found else on or self.handed.fate

    @property
    def seconds(self) -> float | None:
        """Until the last thing of it had come."""
        return max((self.after(copy) for copy in self.copies), default=None)

    def after(self, copy: Copy) -> float:
        """The seconds that a copy, an answer or a bounce of it was on its way; of an answer, there and back."""
        there = self.of("message")[:1] if self._left(copy) is not self.handed else ()
        return self.came(copy) - self._left(copy).at + sum(map(self.after, there))

    def came(self, copy: Copy) -> float:
        """When it was there: we may look long after. Where the mailbox's clock cannot be right, when we saw it."""
        second = copy.stored + 1  # it came before that was over
        return min(second, copy.at) if second > self._left(copy).at else copy.at

    def _left(self, copy: Copy) -> Handed:
        """How it was sent on its way: an answer by itself, unless a machine wrote it."""
        return self.answer if copy.kind == "answer" and self.answer and self.answer.at else self.handed

    def of(self, kind: Kind) -> tuple[Copy, ...]:
        return tuple(c for c in self.copies if c.kind == kind)


@dataclass(frozen=True)
class Trouble:
    """Why a mailbox or the log could not be read, and what to do."""

    said: str
    fix: str = ""

    def __str__(self) -> str:
        return self.said


@dataclass(frozen=True)
class Arrived(Shown):
    """What became of a run's messages, and what could not be looked at."""

    sent: Sent
    parcels: tuple[Parcel, ...] = ()
    asked: tuple[Asked, ...] = ()  # what was only asked, up to RCPT
    troubles: dict[str, Trouble] = field(default_factory=dict)  # by mailbox, or `log`
    wait: float = 0.0

    def __iter__(self) -> Iterator[Parcel]:
        return iter(self.parcels)

    def mark(self, parcel: Parcel) -> str:
        """What stands in the message's subject and in no other's."""
        return self.sent.plan.mark(parcel.letter)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        """The table, and the answers that a resumed run need not write again."""
        answers = [parcel.answer.data() for parcel in self.parcels if parcel.answer]
        return self.table().data() | {"kind": "arrived", "marker": self.sent.plan.marker, "handed": answers}

    def table(self) -> Table:
        """How far each message came, those of one kind that came equally far in one row; then what was only asked."""
        groups: dict[tuple[str, ...], list[Parcel]] = {}
        for parcel in self.parcels:
            groups.setdefault((parcel.letter.subject, parcel.step, _taker(parcel), _seen(parcel)), []).append(parcel)
        rows = [_row(group) for group in groups.values()]
        rows += [("asked", a.question.name, "", f"port {a.question.port}: {a.said}", "", "") for a in self.asked]
        rows += [("not readable", box, "", "", why.said, "") for box, why in sorted(self.troubles.items())]
        title = "what arrived" if self.sent else "nothing was sent, so nothing is looked for"
        return Table(title, ("", "message", "accepted", "handed on", "seen in", "seconds"), tuple(rows))


def _row(group: Sequence[Parcel]) -> tuple[str, ...]:
    """Of one message with the ids it had on its way, of several with their number."""
    first, seconds = group[0], sorted(each.seconds for each in group if each.seconds is not None)
    took = " to ".join(dict.fromkeys(f"{s:.1f}" for s in (seconds[:1] + seconds[-1:])))
    one, on = len(group) == 1, first.tries[-1].queued if first.tries else ""
    return (
        first.step,
        first.letter.name if one else f"{first.letter.subject}: {len(group)} messages",
        (first.handed.queue_id or first.handed.said) if one or not first.handed.taken else "",
        f"{_taker(first)} as {on}" if one and on else _taker(first),
        _seen(first),
        took,
    )


def _taker(parcel: Parcel) -> str:
    """Whom our server handed it to, or what it was told instead."""
    if not parcel.tries:
        return ""
    last = parcel.tries[-1]
    return last.relay.partition("[")[0] if last.status == "sent" else f"{last.status}: {last.said}"


def _seen(parcel: Parcel) -> str:
    return "; ".join(dict.fromkeys(f"{c.kind} in {c.box} {c.folder}" for c in parcel.copies))


def answering(sent: Sent) -> set[int]:
    """The messages whose answer is awaited: one of all that are about the same, the plain one where it left."""
    awaited = [h.letter for h in sent if h.taken and h.letter.answered_in and h.letter.route in ANSWERED]
    first = {letter.subject: letter for letter in sorted(awaited, key=lambda a: a.name == a.subject)}
    return {letter.number for letter in first.values()}


ANSWERED = {Route.OUTBOUND, Route.REFLECTOR}


def comes_back(site: Site, letter: Letter) -> bool:
    """Whether a bounce is to come to the sender: where a relay puts a return path of its own, that gets it."""
    relay = site.relay_of(site.domain(letter.domain))
    return letter.route is Route.BOUNCE and not (relay and relay.return_path)
