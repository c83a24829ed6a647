"""How a `setup` command fails."""

from __future__ import annotations


class Failed(Exception):  # noqa: N818  a command that failed, not an error of the program
    """The message a command ends with, status 1; `usage` says whether its usage is shown first."""

    def __init__(self, message: str = "", *, usage: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage


def usage_only() -> Failed:
    """Arguments are missing: the usage says it all."""
    return Failed(usage=True)
