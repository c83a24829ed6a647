"""Files on a server, as one command asks for them and one value tells of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FileFact:
    """A file on the server: its text where it holds no secret, else only its digest."""

    digest: str
    mode: int
    owner: str
    text: str | None = None


def question(path: str, *, text: bool) -> str:
    """The shell's words that ask for a file, with its text or without."""
    show = f"base64 -w0 {path}" if text else "true"
    return f"stat -c '%a %U:%G' {path} && sha256sum <{path} && {show}"


def answered(lines: Sequence[str]) -> FileFact | None:
    """The file the answer tells of; None where there is none."""
    if len(lines) < 2:  # noqa: PLR2004 - mode and owner, digest
        return None
    mode, owner = lines[0].split()
    text = base64.b64decode(lines[2]).decode(errors="replace") if len(lines) > 2 else ""  # noqa: PLR2004
    return FileFact(lines[1].split()[0], int(mode, 8), owner, text)
