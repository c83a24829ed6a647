"""What the server's own log tells of a run's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from runbooklib import maillog
from runbooklib.delivery.handover import Handed
from runbooklib.maillog import Attempt, Event, Refusal

Signer = tuple[str, str]  # domain and selector
SKEW = 120.0  # seconds that the server's clock may be behind ours


@dataclass
class Traces:
    """By message, all that the log has shown; what has scrolled out of its end since stays known."""

    marker: str
    attempts: dict[int, tuple[Attempt, ...]] = field(default_factory=dict)
    signers: dict[int, tuple[Signer, ...]] = field(default_factory=dict)
    refusals: dict[int, tuple[Refusal, ...]] = field(default_factory=dict)  # of what others bring, or answer
    clients: dict[int, str] = field(default_factory=dict)  # where what came in came from

    def read(self, log: str, handed: Mapping[int, Handed]) -> None:
        """Takes in the end of the log."""
        events = maillog.parse(log)
        refused = maillog.refusals(events)
        for number, each in handed.items():
            told = [r for r in refused if _about(r, each)]
            self.refusals[number] = tuple(dict.fromkeys([*self.refusals.get(number, ()), *told]))
            # What came in was handed over elsewhere, so that queue id is another server's.
            queue_id = (not each.letter.inbound and each.queue_id) or self._named(events, number)
            if queue_id:
                self.clients[number] = maillog.client(events, queue_id) or self.clients.get(number, "")
                tried, signed = maillog.follow(events, queue_id), maillog.signers(events, queue_id)
                self.attempts[number] = tuple(dict.fromkeys([*self.attempts.get(number, ()), *tried]))
                self.signers[number] = tuple(dict.fromkeys([*self.signers.get(number, ()), *signed]))

    def _named(self, events: Sequence[Event], number: int) -> str:
        """The queue id under which our server took in what somebody else handed it, by its Message-ID."""
        named = f"message-id=<{self.marker}.{number}@"
        return next((e.queue_id for e in events if named in e.text), "")


def _about(refusal: Refusal, handed: Handed) -> bool:
    """Whether our server said it of this message, or of the answer to it, as far as envelope and time can tell."""
    ends = (handed.letter.sender, handed.letter.recipient)
    came = ends if handed.letter.inbound else ends[::-1]
    return (refusal.sender, refusal.recipient) == came and _since(refusal.time, handed.at)


def _since(time: str, at: float) -> bool:
    """Whether a line was written after a moment; a time without year and zone tells nothing."""
    try:
        written = datetime.fromisoformat(time)
    except ValueError:
        return False
    return written.tzinfo is not None and written.timestamp() >= at - SKEW
