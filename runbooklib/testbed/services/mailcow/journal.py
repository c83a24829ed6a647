"""Keeps what a service logs in the shape that mailcow's API hands out, and lets it through to the container's log."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path

LINE = re.compile(r"\w{3} [ \d]\d [\d:]{8} (?:(?P<host>\S+) (?P<program>[\w/-]+)\[\d+\]: )?(?P<message>.*)")
# the first word that fits says how bad a line is
PRIORITIES = {"fatal:": "crit", "panic:": "crit", "error:": "err", "warning:": "warning"}


def entry(line: str, service: str) -> dict[str, str]:
    """One line: seconds, priority, program and message, all text."""
    found = LINE.match(line)
    message = found["message"] if found else line
    program = (found["program"] if found else None) or service
    lower = message.lower()
    priority = next((level for word, level in PRIORITIES.items() if word in lower.split(" ", 3)[:3]), "info")
    return {"time": str(int(time.time())), "priority": priority, "program": program, "message": message}


def main(path: Path) -> None:
    """Copies lines until there are no more."""
    with path.open("a") as log:
        for line in sys.stdin:
            sys.stdout.write(line)
            sys.stdout.flush()
            log.write(json.dumps(entry(line.rstrip("\n"), path.stem)) + "\n")
            log.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
