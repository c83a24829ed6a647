"""What really stands behind the API in its container: Postfix, Dovecot, rspamd, and the testbed's DNS."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provider.lookups import Lookups

from mailcow.backend import Backend

VMAIL = Path("/var/vmail")
PROCESSES = {"postfix-mailcow": "master", "dovecot-mailcow": "dovecot", "rspamd-mailcow": "rspamd"}


@dataclass(frozen=True)
class Services(Backend):  # type: ignore[misc]  # in a container it stands at the top
    """Those of this host."""

    data: Path

    def log(self, service: str) -> list[dict[str, str]]:
        path = self.data / f"{service}.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return [json.loads(line) for line in reversed(lines)]

    def queue(self) -> list[dict[str, Any]]:
        said = subprocess.run(["postqueue", "-j"], check=False, capture_output=True, text=True).stdout
        return [json.loads(line) for line in said.splitlines()]

    def containers(self) -> dict[str, str]:
        return {**super().containers(), **{name: _state(process) for name, process in PROCESSES.items()}}

    def exchangers(self, name: str) -> list[str]:
        found = [value.split() for value in Lookups().values(name, "MX")]
        return [host for _, host in sorted(found, key=lambda pair: int(pair[0]))]

    def forget(self, maildir: str) -> None:
        shutil.rmtree(VMAIL / maildir, ignore_errors=True)

    def sign(self, keys: Iterable[dict[str, str]]) -> None:
        """Writes the keys where rspamd looks for them, their lists last and at once."""
        folder, selectors, paths = self.data / "dkim", "", ""
        for key in keys:
            path = folder / f"{key['domain']}.{key['selector']}.key"
            path.write_text(key["private"] + "\n")
            selectors += f"{key['domain']} {key['selector']}\n"
            paths += f"{key['domain']} {path}\n"
        for name, text in (("paths.map", paths), ("selectors.map", selectors)):
            (folder / f"{name}.new").write_text(text)
            (folder / f"{name}.new").replace(folder / name)


def _state(process: str) -> str:
    found = subprocess.run(["pgrep", "-x", process], check=False, capture_output=True).returncode == 0
    return "running" if found else "exited"
