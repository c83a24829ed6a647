"""What waits in Postfix's queue: as much of it as can be read, and how much there is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from runbooklib.host import Answer

OCTETS = 4_000_000  # of the listing, some 8,000 messages; a stolen account fills a queue with hundred thousands
# The first part of the listing, a message a line, then the number of all.
SCRIPT = """postqueue -j | LC_ALL=C awk -v most="$1" \\
  '{ count++; size += length($0) + 1; if (size <= most) print } END { print count + 0 }'"""


@dataclass(frozen=True)
class Queue:
    """The first messages, as `postqueue -j` tells them, and the number of all."""

    read: list[dict[str, Any]]
    count: int


def of(run: Callable[[tuple[str, ...]], Answer], octets: int = OCTETS) -> Queue:
    """The queue, where `run` reaches Postfix; empty where there is none."""
    return parse(run(("sh", "-c", SCRIPT, "queue", str(octets))).out)


def parse(told: str) -> Queue:
    """What the script printed."""
    lines = told.splitlines()
    read = [json.loads(line) for line in lines if line.startswith("{")]
    return Queue(read, int(lines[-1]) if lines and lines[-1].isdigit() else len(read))
