"""A list of domains: one a line, DKIM selectors after it, `#` before what is for people."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import idna

from runbooklib.audit.subject import Subject
from runbooklib.results import RunbookError

LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
DOMAIN = re.compile(rf"{LABEL}(\.{LABEL})+")  # RFC 1123 2.1: no mail domain has an underscore
SELECTOR = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")  # RFC 6376 3.1
LONGEST = 253  # characters of a name (RFC 1035 2.3.4, in text form)


class DomainListError(RunbookError):
    """Lines of a list that name no domain; the message names every one."""


@dataclass(frozen=True)
class _Line:
    number: int
    words: tuple[str, ...]

    @property
    def domain(self) -> str:
        """In A-labels (RFC 5891); raises ValueError."""
        name = self.words[0].removesuffix(".")
        name = name.lower() if name.isascii() else idna.encode(name, uts46=True).decode("ascii")
        if not DOMAIN.fullmatch(name) or len(name) > LONGEST:
            raise ValueError(f"{self.words[0]!r} is no domain such as example.org")
        return name

    @property
    def selectors(self) -> tuple[str, ...]:
        """Raises ValueError."""
        bad = next((w for w in self.words[1:] if not SELECTOR.fullmatch(w.lower())), None)
        if bad is not None:
            raise ValueError(f"{bad!r} is no DKIM selector such as mail or s1")
        return tuple(w.lower() for w in self.words[1:])


def read(path: Path) -> str:
    """The text of a list in which every line names a domain.

    Raises DomainListError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not UTF-8"
        raise DomainListError(f"{path}: {reason}") from None
    check(text)
    return text


def check(text: str) -> None:
    """Raises DomainListError with every line that names no domain."""
    problems = [f"line {line.number}: {problem}" for line in _lines(text) if (problem := _problem(line))]
    if not problems and not any(_lines(text)):
        problems = ["no domain in it"]
    if problems:
        raise DomainListError("\n".join(problems))


def subjects(text: str, selectors: Sequence[str] = ()) -> Iterator[Subject]:
    """One subject a domain, made when it is needed; `selectors` are looked for at every domain.

    Raises ValueError where `check` would have refused the line.
    """
    seen = set[str]()
    for line in _lines(text):
        if line.domain not in seen:
            seen.add(line.domain)
            yield Subject(line.domain, selectors=tuple(dict.fromkeys((*line.selectors, *selectors))))


def _lines(text: str) -> Iterator[_Line]:
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if words:
            yield _Line(number, tuple(words))


def _problem(line: _Line) -> str:
    try:
        _ = line.domain, line.selectors
    except ValueError as error:
        return f"{line.words[0]!r}: {error}" if isinstance(error, idna.IDNAError) else str(error)
    return ""
