"""What became of handing messages over: what each service answered, and the record that a resumed run reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runbooklib.delivery.messages import Letter, Letters, alike, counted
from runbooklib.results import Shown, Status, Table

KIND = "sent"

Fate = Literal["accepted", "refused", "unsent", "unknown"]


BROKEN = "what came could not be understood: report these words; the other rows stand"


def broken(error: Exception) -> str:
    """What nobody thought of, in its own words."""
    return f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Handed:
    """What became of handing one message over.

    `unsent`: we never got so far; `unknown`: the connection broke after the last byte, before the answer.
    """

    letter: Letter
    fate: Fate
    said: str
    at: float = 0.0  # seconds since the epoch, when we began: a server that greets late is part of the way
    queue_id: str = ""
    tls: str = ""
    fix: str = ""
    verdict: Status = Status.FAIL  # what an `unsent` means: wrong, or could not tell
    raw: bytes = field(default=b"", repr=False)  # the message as it left us
    earlier: bool = False  # by an earlier walk of the same run: taken over from there, not sent again
    client: str = ""  # our own address, where we came to port 25 ourselves

    @property
    def taken(self) -> bool:
        """Whether somebody has it now, or may have it."""
        return self.fate in {"accepted", "unknown"}

    def data(self) -> dict[str, Any]:
        """What a later walk must know of it."""
        told = {name: getattr(self, name) for name in ("fate", "said", "at", "queue_id", "tls", "client")}
        return {"number": self.letter.number, "sender": self.letter.sender, **told}


@dataclass(frozen=True)
class Sent(Shown):
    """What was handed over; falsy when `apply` was false and nothing was."""

    plan: Letters
    handed: tuple[Handed, ...] = ()
    applied: bool = False

    def __bool__(self) -> bool:
        return self.applied

    def __iter__(self) -> Iterator[Handed]:
        return iter(self.handed)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        """The table, and what a resumed run reads."""
        record = {"marker": self.plan.marker, "handed": [h.data() for h in self.handed]}
        return self.table().data() | {"kind": KIND} | record

    def table(self) -> Table:
        """One row for the messages about the same with the answer the first got, or what would be sent."""
        if not self.applied:
            return Table("nothing was sent (apply is False); it would be", *self.plan.parts()[1:])  # type: ignore[arg-type]
        rows = tuple(_row(group) for group in alike(self.handed, lambda h: (h.fate, h.letter.subject)))
        return Table(f"run {self.plan.run}: handed over", ("", "message", "from", "to", "answer"), rows)


def _row(group: Sequence[Handed]) -> tuple[str, ...]:
    first, senders = group[0], dict.fromkeys(h.letter.sender for h in group)
    return first.fate, first.letter.route, ", ".join(senders), first.letter.recipient, counted(group, first.said)
