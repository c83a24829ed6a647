"""The change detector: notices new contents in the config volume and the certificates, rewrites tables, reloads."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import dovecot, postfix, relays, settings, tls
from .databases import ACCOUNTS, ALIASES, CONFIG, LOGINS, QUOTAS, RELAYS
from .journal import Journal

if TYPE_CHECKING:
    from .settings import Settings

HASHES = Path("/run/config-hashes.json")

ADDRESSES = {ACCOUNTS.path, ALIASES.path}
USERS = {*ADDRESSES, QUOTAS.path}
ALIAS_PATTERNS = {CONFIG / "postfix-regexp.cf", CONFIG / "postfix-aliases.cf"}
RELAYING = {*ADDRESSES, RELAYS.path, LOGINS.path}
WATCHED = USERS | ALIAS_PATTERNS | RELAYING

Hashes = dict[str, str]


def main(_arguments: list[str]) -> int:
    """Watch for ever."""
    config = settings.read_with_credentials()
    journal = Journal("check-for-changes.sh", config["LOG_LEVEL"])
    known: Hashes = json.loads(HASHES.read_text())
    while True:
        time.sleep(float(config["DMS_CONFIG_POLL"]))
        known = step(known, config, journal)


def remember(config: Settings) -> None:
    """Note the contents that this start has read."""
    HASHES.write_text(json.dumps(hashes(config)))


def step(known: Hashes, config: Settings, journal: Journal) -> Hashes:
    """Look once; apply what changed."""
    present = hashes(config)
    if present != known:
        journal.info("Change detected")
        apply({Path(name) for name in changed(known, present)}, config, journal)
    return present


def hashes(config: Settings) -> Hashes:
    """The contents of the watched files that exist."""
    paths = [path for path in (*WATCHED, *tls.sources(config)) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def changed(known: Hashes, present: Hashes) -> set[str]:
    """The files with new contents; one that was deleted is not among them, so nothing follows from it."""
    return {name for name, value in present.items() if known.get(name) != value}


def apply(paths: set[Path], config: Settings, journal: Journal) -> None:
    """Rewrite what depends on these files and reload."""
    if paths & set(tls.sources(config)):
        tls.setup(config, journal)
    if paths & (ADDRESSES | ALIAS_PATTERNS):
        postfix.write_tables()
    if paths & RELAYING:
        relays.refresh(config, journal)
    if paths & USERS:
        dovecot.write_users(config, journal)
    postfix.reload()
    dovecot.reload()
