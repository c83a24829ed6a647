"""DKIM keys: made in the config volume by `setup config dkim`, copied to OpenDKIM when a container is new."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from .databases import CONFIG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .journal import Journal

SOURCE = CONFIG / "opendkim"
LIVE = Path("/etc/opendkim")
TABLES = ("KeyTable", "SigningTable", "TrustedHosts")
SETTINGS, RESOLV_CONF = Path("/etc/opendkim.conf"), Path("/etc/resolv.conf")


def make(domain: str, selector: str, size: str, journal: Journal) -> None:
    """Make one key where there is none, and its table rows; a size the key generator refuses leaves an empty key."""
    folder = SOURCE / "keys" / domain
    private = folder / f"{selector}.private"
    folder.mkdir(parents=True, exist_ok=True)
    if not private.exists():
        journal.info(f"Creating DKIM private key '{private}'")
        argv = ["opendkim-genkey", "-b", size, "-s", selector, "-d", domain, "-D", str(folder)]
        subprocess.run(argv, check=False)
    name = f"{selector}._domainkey.{domain}"
    _add(SOURCE / "KeyTable", [f"{name} {domain}:{selector}:{LIVE}/keys/{domain}/{selector}.private"])
    _add(SOURCE / "SigningTable", [f"*@{domain} {name}"])
    _add(SOURCE / "TrustedHosts", ["127.0.0.1", "localhost"])


def _add(table: Path, rows: Iterable[str]) -> None:
    present = table.read_text().splitlines() if table.exists() else []
    with table.open("a") as file:
        file.writelines(f"{row}\n" for row in rows if row not in present)


def name_resolvers() -> None:
    """Tell OpenDKIM which resolvers to ask; libunbound would otherwise walk from the public root by itself."""
    lines = (line.split() for line in RESOLV_CONF.read_text().splitlines())
    addresses = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    kept = [line for line in SETTINGS.read_text().splitlines() if not line.startswith("Nameservers")]
    SETTINGS.write_text("".join(f"{line}\n" for line in [*kept, f"Nameservers {','.join(addresses)}"]))


def copy() -> None:
    """Give OpenDKIM its own copy of keys and tables, readable by it alone; without keys, empty tables."""
    (LIVE / "keys").mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        (LIVE / name).touch()
    if not (SOURCE / "KeyTable").exists():
        return
    shutil.copytree(SOURCE, LIVE, dirs_exist_ok=True)
    for path in (LIVE, *LIVE.rglob("*")):
        shutil.chown(path, "opendkim", "opendkim")
    for path in (LIVE / "keys", *(LIVE / "keys").rglob("*")):
        path.chmod(0o700)
