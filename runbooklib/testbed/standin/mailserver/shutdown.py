"""How the container gives up: one line, then process 1 is asked to end, which makes the exit status 0."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from .journal import Journal


def now(journal: Journal, *reasons: str) -> NoReturn:
    """Log the reasons and end the container."""
    for reason in reasons:
        journal.error(reason)
    journal.error("Shutting down")
    os.kill(1, signal.SIGTERM)
    sys.exit(1)
