"""The testbed's doubles of Resend and MXRoute on loopback, with a certificate, and what DNS shows to them."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import runbooklib.testbed
from runbooklib.testbed import authority

SERVICES = Path(runbooklib.testbed.__file__).parent / "services"
# Made up; long enough to be masked.
MANAGING, SENDING, LOGIN = "re_managing_0123456789", "re_sending_0123456789", "Mailbox-Passw0rd"
KEY = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAL"  # base64 that decodes; no verifier looks at it here
EMPTY: dict[str, Any] = {"domains": {}, "keys": [], "accounts": [], "emails": [], "suppressions": [], "script": []}


@cache
def program(name: str) -> Any:
    """A double's program as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_double", SERVICES / name / "api.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@dataclass
class Seen:
    """What DNS shows to a provider: values by name and type."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def values(self, name: str, kind: str) -> list[str]:
        return self.records.get((name, kind), [])


@dataclass
class Double:
    """A provider that listens: its state, its zone, and what it was asked."""

    name: str
    ledger: Any
    server: Any
    zone: Seen
    ca: Path

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server.server_address[1]}"

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ledger.read()
        return found

    def set(self, **news: Any) -> None:
        """Changes its state as its operator would."""
        with self.ledger.change() as state:
            state.update(news)

    def fault(self, **what: Any) -> None:
        """One more fault, answered once unless `times` says otherwise."""
        with self.ledger.change() as state:
            state["script"].append({"times": 1, **what})

    def asked(self, method: str, path: str = "") -> int:
        """How often it was asked so."""
        return sum(m == method and p.startswith(path) for m, p in self.server.seen)

    def publish(self, *records: tuple[str, str, str]) -> None:
        """Lets it see records in DNS."""
        for name, kind, value in records:
            self.zone.records.setdefault((name, kind), []).append(value)


@contextmanager
def running(name: str, folder: Path, state: dict[str, Any]) -> Iterator[Double]:
    """A double with that state, reached by TLS on loopback."""
    pair, ca = _certificate(folder)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(EMPTY | state))
    module, zone = program(name), Seen()
    ledger = module.Ledger(path)
    api = module.Api(ledger, zone)
    if name == "resend":
        api.moment, api.window.limit = 0.5, 10_000
    serving = sys.modules["provider.serving"]
    (server,) = serving.serve(api, ledger, ["127.0.0.1:0"], pair)
    try:
        yield Double(name, ledger, server, zone, ca)
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> tuple[tuple[str, str], Path]:
    ca = authority.create()
    issued = ca.issue("localhost")
    paths = [folder / n for n in ("tls.pem", "tls.key", "ca.pem")]
    for path, text in zip(paths, (issued.certificate, issued.key, ca.pem), strict=True):
        path.write_text(text)
    return (str(paths[0]), str(paths[1])), paths[2]


def resend_state() -> dict[str, Any]:
    """A team with a managing key and a sending one."""
    return {
        "keys": [
            {"id": "k1", "token": MANAGING, "permission": "full_access", "domain_id": None},
            {"id": "k2", "token": SENDING, "permission": "sending_access", "domain_id": None},
        ],
        "selector": "resend",
        "dkim_public": KEY + "==",
        "quota": {"daily": 100, "used": 3, "used_month": 41},
    }


def mxroute_state() -> dict[str, Any]:
    """A customer whose panel has a key."""
    return {
        "server": "name.mxrouting.example",
        "keys": [{"id": "panel", "user": "lantern", "token": MANAGING}],
        "selector": "x",
        "dkim_public": KEY + "==",
        "pool": "mxroute.com",
        "verification_key": "_da-verify-0123456789abcdef0123456789abcdef",
    }
