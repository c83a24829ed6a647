"""What was seen of a site at one moment: each fact its value, or why it could not be seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from runbooklib.diagnosis import facts
from runbooklib.params import DOCKER_MAILSERVER
from runbooklib.results import Shown, Table

BLANK = re.compile(" ")
SLOW = 1.0  # seconds from which on it is worth saying what a fact took


@dataclass(frozen=True)
class Fact:
    """A JSON-like value, or the reason why there is none."""

    value: Any = None
    unseen: str = ""
    advisory: bool = False  # nobody must be stopped because this could not be seen
    seconds: float = 0.0  # that asking took
    fix: str = ""  # what makes it visible, where whoever asked knows


@dataclass(frozen=True)
class Evidence(Shown):
    """Facts by name, beside what the params expect; rules read it, files keep it."""

    site: Mapping[str, Any]
    facts: Mapping[str, Fact] = field(default_factory=dict)
    taken: str = ""  # when, UTC

    def __getitem__(self, name: str) -> Any:
        """A fact's value; None where it was not seen."""
        fact = self.facts.get(name)
        return fact.value if fact and not fact.unseen else None

    def under(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """The seen facts `prefix NAME` as (NAME, value)."""
        return iter(self._under.get(prefix, ()))

    @cached_property
    def _under(self) -> dict[str, list[tuple[str, Any]]]:
        """The same for every prefix there is: some hundred rules ask, each for its own."""
        found: dict[str, list[tuple[str, Any]]] = {}
        seen = ((name, fact.value) for name, fact in self.facts.items() if not fact.unseen)
        for name, value in seen:
            for space in BLANK.finditer(name):
                found.setdefault(name[: space.start()], []).append((name[space.end() :], value))
        return found

    def also(self, name: str, fact: Fact) -> Evidence:
        """The same evidence with one fact more."""
        return replace(self, facts={**self.facts, name: fact})

    @classmethod
    def alone(cls, name: str, fact: Fact) -> Evidence:
        """One fact of which nobody says which site it is about."""
        site: dict[str, Any] = {"name": "", "hostname": "", "ipv4": None, "ipv6": None, "ports": [], "domains": []}
        return cls(site, {name: fact})

    @property
    def server(self) -> str:
        """Which mail server it is about; the first one there was where old evidence does not say."""
        return str(self.site.get("server", DOCKER_MAILSERVER))

    @property
    def domains(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.site["domains"]
        return found

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """What was not seen first, then by what it tells of, each in few words; the whole of it is in the bundle."""
        rows = tuple(_row(name, fact) for name, fact in sorted(self.facts.items(), key=_place))
        return Table(self._title(), ("about", "fact", "value", "took"), rows)

    def _title(self) -> str:
        seen = sum(not fact.unseen for fact in self.facts.values())
        taken = f" at {self.taken}" if self.taken else ""
        return f"evidence: {seen} of {len(self.facts)} facts seen{taken}"

    def saved(self) -> dict[str, Any]:
        """The evidence as JSON holds it."""
        return {"site": dict(self.site), "facts": {name: asdict(fact) for name, fact in self.facts.items()}}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Evidence:
        """The evidence from what `saved` gave."""
        return cls(saved["site"], {name: Fact(**fact) for name, fact in saved["facts"].items()})


def _place(named: tuple[str, Fact]) -> tuple[bool, int]:
    name, fact = named
    return not fact.unseen, facts.ORDER.index(facts.kind(name))


def _row(name: str, fact: Fact) -> tuple[str, str, str, str]:
    value = f"not seen: {facts.readable(fact.unseen)}" if fact.unseen else facts.short(name, fact.value)
    return (
        facts.kind(name),
        facts.readable(name, facts.NAME),
        value,
        f"{fact.seconds:.1f} s" if fact.seconds >= SLOW else "",
    )
