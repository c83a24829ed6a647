"""One request to the API: who asks, what was done about it, and the world it is done in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mailcow.backend import Backend
from mailcow.store import Database

Data = dict[str, Any]


@dataclass
class Session:
    """A caller with a key is the administrator; without one it is nobody."""

    db: Database
    backend: Backend
    hostname: str
    access: str = ""  # rw, ro, or empty: no key
    entries: list[Data] = field(default_factory=list)

    @property
    def admin(self) -> bool:
        return bool(self.access)

    def say(self, kind: str, log: Sequence[Any], message: Any) -> bool:
        """One more entry of the answer; true for a success."""
        self.entries.append({"type": kind, "log": list(log), "msg": message})
        return kind == "success"

    def knows(self, domain: str) -> bool:
        """Whether the caller may do anything with this domain: it is one of this server."""
        found = "SELECT domain FROM domain WHERE domain = ? UNION SELECT alias_domain FROM alias_domain"
        return self.admin and bool(self.db.row(f"{found} WHERE alias_domain = ?", domain, domain))
