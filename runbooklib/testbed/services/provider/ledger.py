"""What a provider remembers: one JSON file, shared by its API and its SMTP service, changed whole under a lock."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ledger:
    """The file; readers see the old state or the new one, never half of it."""

    path: Path

    def read(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return state

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """The state, written back unless the block raises."""
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            state = self.read()
            yield state
            self._write(state)
        finally:
            os.close(lock)

    def _write(self, state: dict[str, Any]) -> None:
        old = self.path.stat()
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".state-")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(state, file, indent=1)
            os.fchmod(file.fileno(), old.st_mode & 0o777)
            if os.geteuid() == 0:  # the SMTP service's user keeps what is its own
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
        Path(name).replace(self.path)
