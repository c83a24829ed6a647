"""What a rule is: one cause, the facts that tell, how sure they are, and what mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.results import RunbookError, Status

BOOTSTRAP, RELAY, DKIM, DNS = "01-bootstrap", "02-relay", "03-dkim", "04-dns"
# What is asked inside the mail server, or of it from outside: first words of facts.
INSIDE = (
    *("services", "listeners", "sockets", "queue", "log", "postfix", "resolver", "routes", "sending", "relay"),
    *("port", "tls", "signer", "certificates", "bans"),
)


class SymptomError(RunbookError):
    """A symptom was named that is none of those known."""


class Symptom(StrEnum):
    """What people say is wrong, before anybody has looked."""

    CANNOT_SEND = "cannot send"
    CANNOT_RECEIVE = "cannot receive"
    JUNK = "lands in junk"
    CLIENT = "client cannot connect"
    SLOW = "slow"
    BOUNCED = "bounced"

    @classmethod
    def named(cls, words: str) -> Symptom | None:
        """The symptom of these words, hyphens for spaces allowed; none where nothing is said.

        Raises SymptomError.
        """
        said = words.lower().replace("-", " ").strip()
        try:
            return cls(said) if said else None
        except ValueError:
            raise SymptomError(f"{words!r} is no symptom; expected one of: {', '.join(cls)}") from None


class Sureness(StrEnum):
    """How far the facts carry: the surest first."""

    CERTAIN = "certain"  # what was seen is the cause itself
    LIKELY = "likely"  # what was seen fits, and seldom comes from anything else
    POSSIBLE = "possible"  # one of several causes; `observe` says what tells them apart


@dataclass(frozen=True)
class Sign:
    """What was seen that speaks for a rule, and the relay, domain, name, address or port it was seen of."""

    said: str
    about: str = ""  # words where it is about several, such as a relay and a domain; empty: the whole site
    fix: str = ""  # where what was seen says more about it than the rule, as a receiver's own words do
    ref: str = ""


Match = Callable[[Evidence], Iterable[str | Sign]]  # nothing: the rule does not apply


@dataclass(frozen=True)
class Rule:
    """One cause: how it shows, which facts tell, and how it is mended.

    A sign hides those of other rules about the same thing, or where one of both is about the whole site.
    """

    id: str
    cause: str
    needs: tuple[str, ...]  # first words of facts
    match: Match
    fix: str
    ref: str = ""
    status: Status = Status.FAIL
    explains: tuple[str, ...] = ()  # first words of facts: a finding that rests on nothing else follows from this one
    entails: tuple[str, ...] = ()  # ids of rules whose findings follow from this one, whatever they rest on
    excludes: tuple[str, ...] = ()  # ids of rules that this one shows to be mistaken, as it knows better what it is
    mended_by: str = ""  # the stage whose plan says the same while it is not applied
    cell: str = ""  # the notebook's cell that mends it, such as 04-dns#apply
    command: str = ""  # or the exact command for a shell on the server; {about} is what the sign is about
    sureness: Sureness = Sureness.CERTAIN
    observe: str = ""  # where it is not certain: what to look at next
    symptoms: tuple[Symptom, ...] = ()  # what people notice of it
    asked: bool = False  # told only to who names one of its symptoms: on a healthy site it is so every day

    def concerns(self, symptom: Symptom | None) -> bool:
        """Whether it is looked for, where somebody names this symptom or none."""
        return not self.asked or symptom in self.symptoms

    def explaining(self, other: Rule) -> bool:
        """Whether the other's findings follow from this one's."""
        return self is not other and (other.id in self.entails or set(other.needs) <= set(self.explains))

    def shadows(self, other: Rule) -> bool:
        """Whether the other's finding is not shown as a cause beside this one's."""
        return self.explaining(other) or other.id in self.excludes
