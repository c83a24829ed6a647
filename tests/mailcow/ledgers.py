"""What a run makes on a mailcow, written down before it is made, and taken away again by whoever is left to do it.

Run as a program it is the reaper: it waits for the end of its standard input, which comes with the end of the tests
however they end, and then deletes what the ledger lists, by exact name, and nothing else.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROUTES = {"transport": ("transport", "destination"), "policy": ("tls-policy-map", "dest")}


@dataclass(frozen=True)
class Access:
    """A mailcow and the key to it."""

    url: str
    key: str
    ca: str | None = None

    def client(self, **settings: Any) -> httpx.Client:
        """A client of this mailcow alone; the environment's proxies and logins are not used."""
        trusted = ssl.create_default_context(cafile=self.ca)
        return httpx.Client(base_url=self.url, verify=trusted, timeout=60, trust_env=False, **settings)


@dataclass(frozen=True)
class Ledger:
    """The file: first whose it is, then what was about to be made."""

    path: Path
    run: str

    def open(self, access: Access, owner: int | None = None) -> None:
        """Begins it; the owner is this process where no other is named."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"url": access.url, "run": self.run, "owner": owner or os.getpid()}) + "\n")

    def note(self, kind: str, *names: str) -> None:
        """Before it is made. What does not carry the run's id is not made."""
        assert any(self.run in name for name in names), f"{kind} {names} does not carry {self.run}"
        self.claim(kind, *names)

    def claim(self, kind: str, *names: str) -> None:
        """The same for what cannot carry the id; the caller has looked that nothing there has these names."""
        with self.path.open("a") as file:
            file.write(json.dumps([kind, *names]) + "\n")

    def entries(self) -> list[tuple[str, tuple[str, ...]]]:
        """Each once, in order."""
        lines = [json.loads(line) for line in self.path.read_text().splitlines()[1:]]
        return list(dict.fromkeys((kind, tuple(names)) for kind, *names in lines))

    def sweep(self, access: Access) -> None:
        """Takes away what it lists; the file goes last, when all is gone."""
        if not self.path.exists():
            return
        with access.client(headers={"X-API-Key": access.key}) as client:
            for kind, names in self.entries():
                _remove(client, kind, names)
        self.path.unlink()


def _remove(client: httpx.Client, kind: str, names: tuple[str, ...]) -> None:
    if kind == "domain":
        _remove_domain(client, *names)
    elif kind == "relayhost":
        rows = [r for r in _all(client, "relayhost") if (r["hostname"], r["username"]) == names]
        _delete(client, "relayhost", [str(row["id"]) for row in rows])
    else:
        route, name = ROUTES[kind]
        _delete(client, route, [str(row["id"]) for row in _all(client, route) if row[name] == names[0]])


def _remove_domain(client: httpx.Client, name: str) -> None:
    """The domain with all it holds, and its key, which mailcow would keep."""
    if _get(client, f"domain/{name}"):
        _delete(client, "mailbox", [box["username"] for box in _get(client, f"mailbox/all/{name}") or []])
        _delete(client, "domain", [name])
    if _get(client, f"dkim/{name}"):
        _delete(client, "dkim", [name])
    assert not _get(client, f"domain/{name}"), f"{name} is still there"


def _all(client: httpx.Client, route: str) -> list[dict[str, Any]]:
    found = _get(client, f"{route}/all")
    return found if isinstance(found, list) else []


def _get(client: httpx.Client, path: str) -> Any:
    return client.get(f"/api/v1/get/{path}").raise_for_status().json()


def _delete(client: httpx.Client, route: str, items: list[str]) -> None:
    if items:
        client.post(f"/api/v1/delete/{route}", json=items).raise_for_status()


def left(folder: Path, access: Access) -> Iterator[Ledger]:
    """Ledgers of earlier runs on the same mailcow that could not sweep; those of running ones are theirs."""
    for path in sorted(folder.glob("*.ledger")):
        head = json.loads(path.read_text().splitlines()[0])
        if head["url"] == access.url and not _alive(head["owner"]):
            yield Ledger(path, head["run"])


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def watch(ledger: Ledger, access: Access) -> subprocess.Popen[bytes]:
    """Starts the reaper, in a session of its own; the key reaches it through the pipe whose end it waits for."""
    argv = [sys.executable, __file__, str(ledger.path), ledger.run]
    reaper = subprocess.Popen(argv, stdin=subprocess.PIPE, start_new_session=True)
    assert reaper.stdin
    reaper.stdin.write(json.dumps([access.url, access.key, access.ca]).encode() + b"\n")
    reaper.stdin.flush()
    return reaper


def _reap(path: str, run: str) -> None:
    url, key, ca = json.loads(sys.stdin.readline())
    sys.stdin.read()
    Ledger(Path(path), run).sweep(Access(url, key, ca))


if __name__ == "__main__":
    _reap(*sys.argv[1:])
