"""Passwords: asked for twice on standard input, stored as a hash."""

from __future__ import annotations

import subprocess
import sys

from .failures import Failed


def given(arguments: list[str]) -> str:
    """The password on the command line, else the one typed twice."""
    return arguments[0] if arguments and arguments[0] else _typed_twice()


def _typed_twice() -> str:
    password = _typed("Enter Password: ")
    if not password:
        raise Failed("Password must not be empty")
    if _typed("Confirm Password: ") != password:
        raise Failed("Passwords do not match!")
    return password


def _typed(prompt: str) -> str:
    """One line, blanks at both ends lost as with the shell's `read -r`."""
    if sys.stdin.isatty():
        sys.stdout.write(prompt)
        sys.stdout.flush()
    line = sys.stdin.readline().rstrip("\n").strip(" \t")
    sys.stdout.write("\n")
    return line


def hashed(password: str, address: str) -> str:
    """The hash Dovecot stores."""
    argv = ["doveadm", "pw", "-s", "SHA512-CRYPT", "-u", address, "-p", password]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()
