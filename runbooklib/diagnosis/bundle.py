"""Evidence as a file: JSON Lines, the site first, then a fact a line; written redacted, read within bounds.

What is taken out of a bundle, and what stays, `redaction` says. Reading holds one line at a time, and not more of the
whole than LARGEST: a bundle may have come from anybody. What is not taken in is a fact not seen, with the reason.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

from runbooklib.credentials import mask_tree
from runbooklib.diagnosis.evidence import Evidence, Fact
from runbooklib.diagnosis.redaction import redacted
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX
from runbooklib.results import RunbookError

FORMAT, VERSION = "mail-runbooks evidence", 1
LONGEST = 4 * 2**20  # octets of one fact
LARGEST = 16 * 2**20  # octets of all facts together; as values they take up to twenty times as much
MOST = 20_000  # facts
SECONDS = 20.0  # to read a bundle
PIECE = 2**16  # octets of a line too long, passed over at a time
MODE = 0o600  # what is redacted still tells how a site is built
OPENS = re.compile(rb'\s*\{\s*"bundle"\s*:')
NAMED = re.compile(rb'\s*\{\s*"fact"\s*:\s*("(?:[^"\\]|\\.){1,200}")')
WORDS: Mapping[str, type | tuple[type, ...]] = {"unseen": str, "fix": str, "advisory": bool, "seconds": (int, float)}
NAME_OR_NONE = (str, type(None))
SITE: dict[str, type | tuple[type, ...]] = dict.fromkeys(("name", "hostname"), str)
SITE |= {"ipv4": NAME_OR_NONE, "ipv6": NAME_OR_NONE, "domains": list}


class BundleError(RunbookError):
    """A file is no evidence bundle, or one of another version."""


def lines(evidence: Evidence) -> Iterator[str]:
    """The evidence as it stands, line by line."""
    yield _json({"bundle": FORMAT, "version": VERSION, "taken": evidence.taken, "site": dict(evidence.site)})
    yield from (_line(name, fact) for name, fact in evidence.facts.items())


def bounded(evidence: Evidence) -> Evidence:
    """The evidence with the reason in the place of each fact that is too long to keep."""
    sizes = {name: len(_line(name, fact)) for name, fact in evidence.facts.items()}
    long = {
        name: replace(evidence.facts[name], value=None, unseen=_too_long(n)) for name, n in sizes.items() if n > LONGEST
    }
    return replace(evidence, facts={**evidence.facts, **long})


def _line(name: str, fact: Fact) -> str:
    return _json({"fact": name, **asdict(fact)})


def _json(told: Mapping[str, Any]) -> str:
    # ASCII: its length in octets is that in characters, and half a surrogate pair does not break it.
    return json.dumps(mask_tree(told))


def write(evidence: Evidence, path: str | Path) -> Path:
    """Writes the evidence redacted, for its owner's eyes alone; at any moment the file is whole or the old one.

    Raises BundleError where it cannot be written.
    """
    whole, fresh = Path(path).expanduser().resolve(), ""
    if whole.exists() and not whole.is_file():
        raise BundleError(f"{path} is no file to write evidence into")  # a device would be replaced by one
    try:
        with tempfile.NamedTemporaryFile("w", dir=whole.parent, prefix=f".{whole.name}.", delete=False) as file:
            fresh = file.name  # made with mode 0600
            file.writelines(f"{line}\n" for line in lines(redacted(bounded(evidence))))
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).chmod(MODE)
        Path(fresh).replace(whole)
    except OSError as error:
        Path(fresh).unlink(missing_ok=True) if fresh else None
        raise BundleError(f"{path} cannot be written: {error.strerror}") from None
    return whole


def is_bundle(path: str | Path) -> bool:
    """Whether a file begins as a bundle does; one that cannot be read does not."""
    try:
        with Path(path).expanduser().open("rb") as file:
            return bool(OPENS.match(file.read(200)))
    except OSError:
        return False


def read(path: str | Path, seconds: float = SECONDS, most: int = MOST) -> Evidence:
    """The evidence in a file, as much of it as can be read within bounds.

    Raises BundleError when it is none, or of another version.
    """
    ends = time.monotonic() + seconds
    try:
        with Path(path).expanduser().open("rb") as file:
            first = _first(str(path), file.readline(LONGEST))
            facts = dict(_facts(file, ends, most))
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from None
    taken = first.get("taken")
    return Evidence(first["site"], facts, taken if isinstance(taken, str) else "")


def _first(path: str, line: bytes) -> dict[str, Any]:
    expected = f'expected a first line {{"bundle": "{FORMAT}", "version": {VERSION}, …}}'
    what = "gather it with `runbook diagnose PARAMS --save FILE`, or take evidence.jsonl out of a run's folder"
    try:
        first = json.loads(line)
    except (ValueError, RecursionError):
        first = None
    if not isinstance(first, dict) or first.get("bundle") != FORMAT:
        saw = f"saw {line[:60]!r}" if line else "the file is empty"
        raise BundleError(f"{path} is no evidence bundle: {expected}, {saw}; {what}")
    if first.get("version") != VERSION:
        raise BundleError(
            f"{path} is an evidence bundle of another version: expected {VERSION}, saw {first.get('version')!r}; "
            "read it with the mail-runbooks that wrote it, or gather anew"
        )
    if not _sound(first.get("site")):
        raise BundleError(f"{path}: its first line does not tell what the site should be like; {what}")
    return first


def _sound(site: object) -> bool:
    """Whether these are expectations that rules can read, of a mail server that they know."""
    if not isinstance(site, dict) or not all(isinstance(site.get(word), kind) for word, kind in SITE.items()):
        return False
    known = site.get("server", DOCKER_MAILSERVER) in {DOCKER_MAILSERVER, MAILCOW, POSTFIX}
    return known and all(isinstance(domain, dict) and isinstance(domain.get("name"), str) for domain in site["domains"])


def _facts(file: BinaryIO, ends: float, most: int) -> Iterator[tuple[str, Fact]]:
    """Fact after fact; one that is broken or too long does not take the others along."""
    taken, number = 0, 1  # octets, and the line
    while line := file.readline(LONGEST + 1):
        number += 1
        size = len(line)
        if size > LONGEST:
            size += _pass_over(file, ends)
            yield _name(line, number), Fact(unseen=_too_long(size))
        elif line.strip():
            taken += size
            yield _fact(line, number)
        if why := _enough(taken, number, most, ends):
            yield "bundle", Fact(unseen=f"{why}: not read from line {number + 1} on")
            return


def _enough(taken: int, number: int, most: int, ends: float) -> str:
    """Why no more is read, where it is so."""
    if taken > LARGEST:
        return f"the bundle is larger than {LARGEST >> 20} MiB"
    if number > most:
        return f"the bundle has more than {most} lines"
    return "the time to read the bundle was over" if time.monotonic() > ends else ""


def _pass_over(file: BinaryIO, ends: float) -> int:
    """Reads to the end of a line, holding a piece of it at a time; the octets there were."""
    size = 0
    while (piece := file.readline(PIECE)) and time.monotonic() <= ends:
        size += len(piece)
        if piece.endswith(b"\n"):
            break
    return size


def _fact(line: bytes, number: int) -> tuple[str, Fact]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return _name(line, number), Fact(unseen=f"line {number} of the bundle is no JSON")
    if not isinstance(told, dict) or not isinstance(told.get("fact"), str):
        return f"line {number}", Fact(unseen=f"line {number} of the bundle is no fact")
    words = {word: told[word] for word, kind in WORDS.items() if isinstance(told.get(word), kind)}
    if "value" not in told and not words.get("unseen"):
        words["unseen"] = f"line {number} of the bundle has no value"
    return told["fact"], Fact(told.get("value"), **words)


def _name(line: bytes, number: int) -> str:
    """The name a line begins with, where that much of it can be read."""
    named = NAMED.match(line[:PIECE])
    try:
        return str(json.loads(named[1])) if named else f"line {number}"
    except ValueError:
        return f"line {number}"


def _too_long(size: int) -> str:
    return f"larger than {LONGEST >> 20} MiB ({size / 2**20:.1f} MiB)"
