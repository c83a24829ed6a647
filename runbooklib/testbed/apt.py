"""The apt sources this machine already uses, read in both of their formats and turned to another release."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email import message_from_string
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SETTINGS = re.compile(r"^Acquire::(https?::|Check-)", re.IGNORECASE)


@dataclass(frozen=True)
class Source:
    """One archive: where it is, and which suites of it are used."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = KEYRING

    def __str__(self) -> str:
        return (
            f"Types: deb\nURIs: {' '.join(self.uris)}\nSuites: {' '.join(self.suites)}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {self.signed_by}\n"
        )


def of_machine(etc: Path = Path("/etc/apt")) -> tuple[Source, ...]:
    """Every source this machine's apt knows."""
    lists = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]
    found = [s for path in lists if path.is_file() for s in one_line(path.read_text())]
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        found += deb822(path.read_text())
    return tuple(found)


def one_line(text: str) -> tuple[Source, ...]:
    """The sources of a `deb [options] uri suite component…` file (sources.list(5))."""
    matches = (re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+)", line) for line in text.splitlines())
    return tuple(
        Source((m[2],), (m[3],), tuple(m[4].split("#")[0].split()), _keyring(m[1] or "")) for m in matches if m
    )


def _keyring(options: str) -> str:
    named = re.search(r"signed-by=(/\S+)", options)
    return named[1] if named else KEYRING


def deb822(text: str) -> tuple[Source, ...]:
    """The sources of a deb822 file: paragraphs of fields, comments between them."""
    plain = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    paragraphs = (message_from_string(p.strip() + "\n") for p in re.split(r"\n\s*\n", plain))
    return tuple(
        _source({k.lower(): v for k, v in p.items()})
        for p in paragraphs
        if "deb" in p.get("Types", "").split() and p.get("Enabled", "yes").lower() != "no"
    )


def _source(fields: dict[str, str]) -> Source:
    signed_by = fields.get("signed-by", KEYRING).strip()
    return Source(
        tuple(fields["uris"].split()),
        tuple(fields["suites"].split()),
        tuple(fields.get("components", "").split()),
        signed_by if signed_by.startswith("/") else KEYRING,
    )


def of_debian(sources: Iterable[Source], release: str) -> tuple[Source, ...]:
    """The sources that are Debian's own archive of `release`: its suite names, with a component main."""
    own = {release, f"{release}-updates", f"{release}-security"}
    return tuple(s for s in sources if set(s.suites) <= own and "main" in s.components)


def turned(source: Source, old: str, new: str) -> Source:
    """The same archive, another release."""
    return replace(source, suites=tuple(s.replace(old, new, 1) for s in source.suites), components=("main",))


def settings() -> str:
    """The machine's proxy, certificate and date-check settings, as a file for apt.conf.d."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if SETTINGS.match(line) and '"";' not in line)
