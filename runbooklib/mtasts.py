"""MTA-STS as a language (RFC 8461 3.1, 3.2): the record that announces a policy, and the policy file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from runbooklib import taglists
from runbooklib.results import RunbookError
from runbooklib.taglists import TagError

VERSION = re.compile(r"v=STSv1[ \t]*;")
IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,32}")
FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*:([^\r]*)")
LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
PATTERN = re.compile(rf"(?:\*\.)?(?:{LABEL}\.)*{LABEL}")  # lower case
MODES = ("none", "testing", "enforce")
LONGEST_AGE = 31_557_600  # seconds, a year
MOST = 8  # reasons that are said
LARGEST = 64 * 1024  # octets of a policy that senders need to read (RFC 8461 3.3)


class StsError(RunbookError):
    """A text is no MTA-STS record or policy: senders deliver as if there were none."""


@dataclass(frozen=True)
class Announcement:
    """The record at `_mta-sts`: another id means another policy."""

    id: str

    def __str__(self) -> str:
        return f"v=STSv1; id={self.id};"


@dataclass(frozen=True)
class Policy:
    """A policy file: which hosts may receive, with a certificate that verifies."""

    mode: str
    mx: tuple[str, ...]  # names, or *. and a name
    max_age: int  # seconds that senders keep it

    def covers(self, host: str) -> bool:
        """Whether a pattern allows this MX host; `*.` stands for exactly one label (RFC 8461 4.1)."""
        name = host.lower().rstrip(".")
        parent = name.partition(".")[2]
        return any(p in {name, f"*.{parent}" if parent else name} for p in self.mx)

    def __str__(self) -> str:
        fields = ["version: STSv1", f"mode: {self.mode}", *(f"mx: {p}" for p in self.mx), f"max_age: {self.max_age}"]
        return "".join(f"{line}\r\n" for line in fields)


def is_sts(text: str) -> bool:
    """Whether a TXT value claims to be an MTA-STS record; others at the name do not count."""
    return VERSION.match(text) is not None


def parse_record(text: str) -> Announcement:
    """The record in a TXT value.

    Raises StsError.
    """
    if not is_sts(text):
        raise StsError("an MTA-STS record begins with v=STSv1; (RFC 8461 3.1)")
    try:
        tags = taglists.tags(text)
    except TagError as error:
        raise StsError(str(error)) from None
    if not IDENTIFIER.fullmatch(tags.get("id", "")):
        raise StsError("id= is 1 to 32 letters and digits (RFC 8461 3.1)")
    return Announcement(tags["id"])


def announced(values: Iterable[str]) -> Announcement:
    """The record among the TXT values of `_mta-sts`.

    Raises StsError where there is none, several, or one that cannot be read: to senders that is all the same.
    """
    found = [value for value in values if is_sts(value)]
    if len(found) != 1:
        raise StsError(f"{len(found) or 'no'} MTA-STS records{', which count as none' if found else ''} (RFC 8461 3.1)")
    return parse_record(found[0])


def parse_policy(text: str) -> Policy:
    """The policy in a file.

    Raises StsError with everything that is wrong.
    """
    if len(text) > LARGEST:
        raise StsError(f"{len(text)} characters: senders read {LARGEST} octets (RFC 8461 3.3)")
    lines = [line for line in re.split("\r?\n", text) if line.strip(" \t")]
    fields = [(m[1], m[2].strip(" \t")) for line in lines if (m := FIELD.fullmatch(line))]
    first = dict(reversed(fields))  # of a field that stands twice the first counts (RFC 8461 3.2)
    mx = tuple(dict.fromkeys(value.lower() for name, value in fields if name == "mx"))
    problems = [f"{line[:40]!a} is no field" for line in lines if not FIELD.fullmatch(line)]
    problems += _problems(first, mx)
    if problems:
        raise StsError("; ".join(problems[:MOST]) + " (RFC 8461 3.2)")
    return Policy(first["mode"], mx, int(first["max_age"]))


def _problems(first: dict[str, str], mx: tuple[str, ...]) -> Iterator[str]:
    if first.get("version") != "STSv1":
        yield "version is STSv1"
    if first.get("mode") not in MODES:
        yield f"mode is one of {', '.join(MODES)}"
    age = first.get("max_age", "")
    if not re.fullmatch("[0-9]{1,10}", age) or int(age) > LONGEST_AGE:
        yield f"max_age is 0 to {LONGEST_AGE} seconds"
    if not mx and first.get("mode") != "none":
        yield "at least one mx is named"
    yield from (f"mx {p[:60]!a} is no host name" for p in mx if not PATTERN.fullmatch(p))
