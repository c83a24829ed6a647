"""What a take-over remembers: a TXT record in the zone itself, which every mail server and way of publishing has.

No resolver elsewhere can be asked what it holds, so it has to be known from which TTL the MX was lowered, and when. A
plan may be published, by a person or in a provider's panel, long after it was shown: so a time is noted only by the
run that sees the step done.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from runbooklib.answers import Answer, Question
from runbooklib.records.observed import Observed
from runbooklib.records.planned import STEPS, RecordChange
from runbooklib.records.wanted import Wanted

TEXT = re.compile(r"mx-ttl=(unknown|\d{1,9})(?:; (lowered|switched)=(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ))?")
STAMP = "%Y-%m-%dT%H:%M:%SZ"
TTL = 300  # seconds
UNKNOWN_TTL = 86400  # seconds; what resolvers keep at most, as common ones are set up
QUEUED = timedelta(days=5)  # how long senders keep mail for a host they could not reach (RFC 5321 4.5.4.1)


@dataclass(frozen=True)
class Note:
    """The TTL an MX had, and when it was lowered or the MX switched; 0 and None where nobody saw it."""

    ttl: int = 0
    lowered: datetime | None = None
    switched: datetime | None = None

    def __str__(self) -> str:
        times = {"lowered": self.lowered, "switched": self.switched}
        said = [f"{step}={at.astimezone(UTC):{STAMP}}" for step, at in times.items() if at]
        return "; ".join([f"mx-ttl={self.ttl or 'unknown'}", *said])

    @property
    def held(self) -> int:
        """Seconds for which a cache may keep what it heard before."""
        return self.ttl or UNKNOWN_TTL

    @property
    def forgotten(self) -> datetime | None:
        """When no cache has the old TTL any more."""
        return self.lowered + timedelta(seconds=self.held) if self.lowered else None

    @property
    def over(self) -> datetime | None:
        """When nobody brings mail to the old host any more."""
        return self.switched + timedelta(seconds=self.held) + QUEUED if self.switched else None


def parse(text: str) -> Note | None:
    """A note; None for what is none."""
    found = TEXT.fullmatch(text)
    if found is None:
        return None
    ttl, step, at = found.groups()
    try:
        moment = datetime.strptime(at, STAMP).replace(tzinfo=UTC) if at else None
    except ValueError:
        return None
    return Note(0 if ttl == "unknown" else int(ttl), **({step: moment} if step else {}))


def name(domain: str) -> str:
    """Where the note of a mail domain stands."""
    return f"_runbook-mx.{domain}"


def questions(want: list[Wanted]) -> list[Question]:
    """What to ask the authoritative servers: only for a domain whose MX may be taken over."""
    return [Question(name(w.name), "TXT") for w in want if w.take_over]


@dataclass(frozen=True)
class Memory:
    """The note as the servers show it."""

    answer: Answer
    zone: str

    @property
    def note(self) -> Note | None:
        """What it says; None where none stands, or no such one."""
        values = self.answer.values
        return parse(values[0]) if len(values) == 1 else None

    def change(self, note: Note | None, why: str) -> tuple[RecordChange, ...]:
        """What makes it say so, before the MX changes; without a note, what takes it away, after that."""
        told = (str(note),) if note else ()
        if told == self.answer.values:
            return ()
        before = "\n".join(self.answer.values)
        change = RecordChange(
            order=STEPS.index("address") if note else len(STEPS),
            target=f"{self.answer.question.name} TXT",
            before=before,
            after="".join(told) or "removed",
            why=why,
            undo=f"put back {before}" if before else "delete it",
            name=self.answer.question.name,
            type="TXT",
            zone=self.zone,
            ttl=TTL,
            removed=self.answer.raw,
            added=told,
            stands=self.answer.raw,
            whole=True,
            stood_ttl=self.answer.ttl if before else 0,
        )
        return (change if note else replace(change, retired=True),)


def memory(domain: str, have: Observed) -> Memory | None:
    """What all servers of the zone remember; None where one was not heard, or they do not say the same.

    What is no note came from a wildcard: nobody else has business at this name.
    """
    about = Question(name(domain), "TXT")
    told = [a for a in have if a.question == about and not a.recursive]
    answers = [a if any(map(parse, a.values)) or not a.heard else replace(a, values=(), raw=()) for a in told]
    if not answers or not all(a.heard for a in answers) or len({a.values for a in answers}) > 1:
        return None
    return Memory(answers[0], have.zone_of(domain))
