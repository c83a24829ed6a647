"""Measures ours against the peers on this machine, now: prints the table and writes latest.json beside this file."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # what tests share is shared here, too

import kernels  # noqa: E402 - as above
import lookups  # noqa: E402 - as above
import score  # noqa: E402 - as above
import sending  # noqa: E402 - as above
from figures import table  # noqa: E402 - as above


def say(line: str) -> None:
    """One line, seen at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Prints the table and keeps it."""
    measured = [*lookups.figures(say), *score.figures(say), *kernels.figures(), *sending.figures(say)]
    (HERE / "latest.json").write_text(json.dumps([asdict(f) for f in measured], indent=1) + "\n")
    say(table(measured))


if __name__ == "__main__":
    main()
