"""Masks secrets inside a Jupyter kernel, at the one place every message leaves by."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runbooklib.credentials import mask_tree


@dataclass(frozen=True)
class Masked:
    """Packs a message as `pack` does, secrets masked: streams, displays, results, errors, widgets' states alike.

    A secret printed in pieces leaves in pieces; the archive, which joins them, is masked again.
    """

    pack: Callable[[Any], bytes]

    def __call__(self, message: Any) -> bytes:
        return self.pack(mask_tree(message))


def install() -> None:
    """From now on nothing leaves this kernel unmasked; outside a kernel, or a second time, nothing happens."""
    try:
        from IPython import get_ipython  # noqa: PLC0415 - the command line works without IPython
    except ImportError:
        return
    session = getattr(getattr(get_ipython(), "kernel", None), "session", None)
    if session is not None and not isinstance(session.pack, Masked):
        session.pack = Masked(session.pack)
        _close_the_back_door()


def _close_the_back_door() -> None:
    """What child processes print is caught and sent as a message; ipykernel also writes it raw to its own stdout."""
    with Path(os.devnull).open("wb") as nowhere:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(io.UnsupportedOperation):  # a stream without a file descriptor has no such door
                os.dup2(nowhere.fileno(), stream.fileno())
