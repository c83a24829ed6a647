"""What a rule is, and all of them in the order in which causes are looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.results import Status

BOOTSTRAP, RELAY, DKIM = "01-bootstrap", "02-relay", "03-dkim"
# What is asked inside the mail server, or of it from outside: first words of facts.
INSIDE = ("services", "listeners", "sockets", "queue", "log", "postfix", "resolver", "routes", "relay", "port", "tls")

Match = Callable[[Evidence], Iterable[str]]  # what was seen that speaks for the rule; nothing: it does not apply


@dataclass(frozen=True)
class Rule:
    """One cause: how it shows, which facts tell, and how it is mended.

    A match makes every finding a shadow that rests on nothing but the facts in `explains`.
    """

    id: str
    cause: str
    needs: tuple[str, ...]  # first words of facts
    match: Match
    fix: str
    ref: str = ""
    status: Status = Status.FAIL
    explains: tuple[str, ...] = ()  # first words of facts
    mended_by: str = ""  # the stage whose plan says the same while it is not applied

    def shadows(self, other: Rule) -> bool:
        """Whether the other's finding follows from this one's."""
        return self is not other and set(other.needs) <= set(self.explains)
