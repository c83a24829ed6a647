"""The files in the config volume that hold accounts, aliases, quotas and relays, and how `setup` edits them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CONFIG = Path("/tmp/docker-mailserver")  # noqa: S108  docker-mailserver's documented mount point


@dataclass(frozen=True)
class Database:
    """A text file of `key<delimiter>value` lines."""

    path: Path
    delimiter: str

    def lines(self) -> list[str]:
        """The lines that are neither blank nor a comment; none where the file is missing."""
        return valid_lines(self.path.read_text()) if self.path.exists() else []

    def has(self, key: str) -> bool:
        """Whether a line holds this key."""
        return self.begins(key + self.delimiter)

    def begins(self, text: str) -> bool:
        """Whether a line begins so: `adm` matches `admin@…`, a dot anything, as docker-mailserver's grep has it."""
        pattern = re.escape(text).replace(r"\.", ".")
        return any(re.match(pattern, line) for line in self.lines())

    def append(self, key: str, value: str) -> None:
        """Add a line."""
        text = self.path.read_text() if self.path.exists() else ""
        glue = "" if not text or text.endswith("\n") else "\n"
        with self.path.open("a") as file:
            file.write(f"{glue}{key}{self.delimiter}{value}\n")

    def put(self, key: str, value: str) -> None:
        """Replace the key's line where it stands, or add one."""
        if not any(self._holds(line, key) for line in self._all()):
            self.append(key, value)
        else:
            self._write(f"{key}{self.delimiter}{value}" if self._holds(line, key) else line for line in self._all())

    def drop(self, key: str) -> None:
        """Remove the key's line."""
        if self.path.exists():
            self._write(line for line in self._all() if not self._holds(line, key))

    def _holds(self, line: str, key: str) -> bool:
        return line.startswith(key + self.delimiter)

    def _all(self) -> list[str]:
        return self.path.read_text().splitlines() if self.path.exists() else []

    def _write(self, lines: Iterable[str]) -> None:
        self.path.write_text("".join([f"{line}\n" for line in lines]))


ACCOUNTS = Database(CONFIG / "postfix-accounts.cf", "|")
ALIASES = Database(CONFIG / "postfix-virtual.cf", " ")
QUOTAS = Database(CONFIG / "dovecot-quotas.cf", ":")
RELAYS = Database(CONFIG / "postfix-relaymap.cf", " ")
LOGINS = Database(CONFIG / "postfix-sasl-password.cf", " ")


def valid_lines(text: str) -> list[str]:
    """The lines of a file without blank lines and comments."""
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
