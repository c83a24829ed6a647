"""mailcow's double on loopback: its API by TLS over a database of its own, with whatever stands behind it scripted."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import doubles
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from runbooklib.testbed import authority
from runbooklib.testbed.authority import Authority

# Made up; long enough to be masked.
KEY, RO_KEY = "AAAAAA-BBBBBB-CCCCCC-DDDDDD-EEEEEE", "RRRRRR-OOOOOO-RRRRRR-OOOOOO-RRRRRR"
HOSTNAME = "mail.example.org"
LOOPBACK = "127.0.0.1"
KEYPAIRS = 8  # of one size; no double makes more, and each takes a tenth of a second
mailcow = doubles.program("mailcow")


class Behind(mailcow.Backend):  # type: ignore[misc]  # loaded as a program
    """What stands behind the API, as a test writes it: log lines (the newest first), queue, states, MX hosts."""

    def __init__(self) -> None:
        self.lines: dict[str, list[dict[str, str]]] = {}
        self.waiting: list[dict[str, Any]] = []
        self.states = super().containers()
        self.mx: dict[str, list[str]] = {}
        self.gone: list[str] = []
        self.made = count()

    def log(self, service: str) -> list[dict[str, str]]:
        return self.lines.get(service, [])

    def queue(self) -> list[dict[str, Any]]:
        return self.waiting

    def containers(self) -> dict[str, str]:
        return self.states

    def exchangers(self, name: str) -> list[str]:
        return self.mx.get(name, [])

    def forget(self, maildir: str) -> None:
        self.gone.append(maildir)

    def keypair(self, bits: int) -> tuple[str, str]:
        """As the double's own, without a process for each."""
        return keypair(bits, next(self.made) % KEYPAIRS)


@cache
def keypair(bits: int, number: int) -> tuple[str, str]:
    """An RSA key as PEM and its public half in base64."""
    del number  # another key of the same size
    key = rsa.generate_private_key(65537, bits)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode().strip(), base64.b64encode(der).decode()


@dataclass
class Cow:
    """A mailcow that listens: where, its keys, its database, what stands behind it, and what it was asked."""

    url: str
    ca: Path
    store: Any
    behind: Behind
    api: Any
    ledger: Any
    server: Any
    key: str = KEY
    ro_key: str = RO_KEY
    hostname: str = HOSTNAME
    own: dict[str, str] = field(default_factory=lambda: {KEY: "rw", RO_KEY: "ro"})

    def script(self, **fault: Any) -> None:
        """One more answer out of order: status and body, delay, drop, after; once unless `times` says otherwise."""
        with self.ledger.change() as state:
            state["script"].append({"times": 1, **fault})

    def starting(self, *stages: str) -> None:
        """Scripts what is seen of a mailcow that starts, in this order: `refused`, `gateway`, `database`."""
        answers = {"refused": {"drop": True}, "gateway": GATEWAY, "database": DATABASE}
        for stage in stages:
            self.script(**answers[stage])

    def without_keys(self) -> None:
        """As before the container has written the keys: every key is wrong."""
        self.store.run("DELETE FROM api")

    def with_keys(self, allow_from: str = LOOPBACK) -> None:
        """Writes the keys, and from where they may be used."""
        self.store.insert_keys(self.own, allow_from)

    def asked(self, method: str, path: str = "") -> int:
        """How often it was asked so."""
        return sum(m == method and p.startswith(path) for m, p in self.server.seen)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """A table as it stands."""
        found: list[dict[str, Any]] = self.store.rows(f"SELECT * FROM {table}")  # noqa: S608 - a test's own word
        return found


GATEWAY = {"status": 502, "body": "<html>mailcow is starting</html>"}
DATABASE = {"status": 500, "body": "<center>Connection to database failed</center>"}


@contextmanager
def double(*, public: bool = False, patience: float = 300.0) -> Iterator[Cow]:
    """A mailcow as after its installation: two keys, no domain. `public`: wrong keys are counted for a ban."""
    with TemporaryDirectory(prefix="cow-") as folder:
        pair, ca = _certificate(Path(folder))
        store, behind = mailcow.Store(Path(folder) / "mailcow.db"), Behind()
        store.create()
        api = mailcow.Api(store, HOSTNAME, behind, mailcow.Bans(exempt=not public), patience)
        (Path(folder) / "script.json").write_text('{"script": []}')
        ledger = doubles.program("resend").Ledger(Path(folder) / "script.json")
        (server,) = sys.modules["provider.serving"].serve(api, ledger, [f"{LOOPBACK}:0"], pair)
        url = f"https://localhost:{server.server_address[1]}"
        cow = Cow(url, ca, store, behind, api, ledger, server)
        cow.with_keys()
        try:
            yield cow
        finally:
            server.shutdown()
            server.server_close()


@cache
def _authority() -> Authority:
    return authority.create()


def _certificate(folder: Path) -> tuple[tuple[str, str], Path]:
    issued = _authority().issue("localhost")
    paths = [folder / name for name in ("tls.pem", "tls.key", "ca.pem")]
    for path, text in zip(paths, (issued.certificate, issued.key, _authority().pem), strict=True):
        path.write_text(text)
    return (str(paths[0]), str(paths[1])), paths[2]
