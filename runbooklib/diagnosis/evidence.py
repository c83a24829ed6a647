"""What was seen of a site at one moment: each fact its value, or why it could not be seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from runbooklib.params import DOCKER_MAILSERVER
from runbooklib.results import Shown, Table

SHORT = 120  # characters of a value in the table; the whole of it is in `saved`


@dataclass(frozen=True)
class Fact:
    """A JSON-like value, or the reason why there is none."""

    value: Any = None
    unseen: str = ""
    advisory: bool = False  # nobody must be stopped because this could not be seen


@dataclass(frozen=True)
class Evidence(Shown):
    """Facts by name, beside what the params expect; rules read it, files keep it."""

    site: Mapping[str, Any]
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """A fact's value; None where it was not seen."""
        fact = self.facts.get(name)
        return fact.value if fact and not fact.unseen else None

    def under(self, prefix: str) -> Iterator[tuple[str, Any]]:
        """The seen facts `prefix NAME` as (NAME, value)."""
        for name, fact in self.facts.items():
            if name.startswith(f"{prefix} ") and not fact.unseen:
                yield name.removeprefix(f"{prefix} "), fact.value

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
        """What was not seen first."""
        ordered = sorted(self.facts.items(), key=lambda pair: (not pair[1].unseen, pair[0]))
        rows = tuple(
            (name, f"not seen: {fact.unseen}" if fact.unseen else _short(fact.value)) for name, fact in ordered
        )
        return Table("evidence", ("fact", "value"), rows)

    def saved(self) -> dict[str, Any]:
        """The evidence as JSON holds it."""
        return {"site": dict(self.site), "facts": {name: asdict(fact) for name, fact in self.facts.items()}}

    @classmethod
    def read(cls, saved: Mapping[str, Any]) -> Evidence:
        """The evidence from what `saved` gave."""
        return cls(saved["site"], {name: Fact(**fact) for name, fact in saved["facts"].items()})


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
