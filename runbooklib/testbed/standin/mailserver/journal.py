"""Lines as the container logs them: a stamp, the level in colour, the script's name, the message."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TextIO

COLOURS = {"ERROR": 91, "WARN": 93, "INFO": 94, "DEBUG": 95, "TRACE": 96}
LEVELS = tuple(COLOURS)


def line(level: str, script: str, message: str, when: datetime) -> str:
    """One log line; the colour is there without a terminal too, as in docker-mailserver."""
    stamp = when.isoformat(sep=" ", timespec="seconds")
    return f"{stamp} \x1b[{COLOURS[level]}m{level:<5}\x1b[0m {script}: {message}"


@dataclass(frozen=True)
class Journal:
    """Writes the lines of one script that are at least as grave as `level`."""

    script: str
    level: str = "INFO"

    def error(self, message: str) -> None:
        """Log to standard error."""
        self._write(sys.stderr, "ERROR", message)

    def warn(self, message: str) -> None:
        """Log to standard error."""
        self._write(sys.stderr, "WARN", message)

    def info(self, message: str) -> None:
        """Log to standard output."""
        self._write(sys.stdout, "INFO", message)

    def _write(self, stream: TextIO, level: str, message: str) -> None:
        threshold = self.level.upper() if self.level.upper() in LEVELS else "INFO"
        if LEVELS.index(level) <= LEVELS.index(threshold):
            stream.write(line(level, self.script, message, datetime.now().astimezone()) + "\n")
            stream.flush()
