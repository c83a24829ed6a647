"""The mailcow that a run works on: the double, or a real one that the environment names."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cows
import httpx
import pytest
from ledgers import Access, Ledger
from pydantic import TypeAdapter, ValidationError

from runbooklib.params.fields import OwnUrl

WRONG_KEYS = 3  # in all, however many processes the tests run in: mailcow bans after ten in ten minutes
TRIED = f"{WRONG_KEYS} wrong keys were tried in this session"


@dataclass
class Herd:
    """Access, the run's id that every name made here carries, and the ledger of what was made."""

    access: Access
    run: str
    ledger: Ledger
    budget: Path
    double: cows.Cow | None = None  # None: a real one
    ro_key: str = ""
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.access.client()

    @property
    def url(self) -> str:
        return self.access.url

    @property
    def key(self) -> str:
        return self.access.key

    @property
    def ca(self) -> str | None:
        return self.access.ca

    def domain(self, name: str) -> str:
        """A made-up domain of this run."""
        return f"{self.run}-{name}.example"

    def relay(self, name: str = "relay") -> str:
        """A made-up relay's host."""
        return f"{name}-{self.run}.example"

    def ask(self, method: str, path: str, key: str | None = None, **settings: Any) -> httpx.Response:
        """One request, with our key where no other is given; an empty one is none."""
        key = self.key if key is None else key
        headers = {**({"X-API-Key": key} if key else {}), **settings.pop("headers", {})}
        return self.client.request(method, path, headers=headers, **settings)

    def get(self, path: str) -> Any:
        return self.ask("GET", f"/api/v1/get/{path}").json()

    def make(self, kind: str, body: dict[str, Any], *names: str) -> httpx.Response:
        """Adds something, noted first."""
        if names:
            self.ledger.note(kind, *names)
        route = {"policy": "tls-policy-map"}.get(kind, kind)
        return self.ask("POST", f"/api/v1/add/{route}", json=body)

    def spend(self) -> None:
        """Before a key that may be wrong is tried: skips when this session has tried enough of them."""
        if not self.may_try():
            pytest.skip(TRIED)

    def may_try(self) -> bool:
        """The same as an answer; what is granted counts as tried."""
        with self.budget.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            granted = len(file.read()) < WRONG_KEYS
            file.write("x" if granted else "")
        return granted


def real() -> Access | None:
    """The mailcow of MAILCOW_URL and MAILCOW_API_KEY; without TLS only near by, as params take it."""
    url, key = os.environ.get("MAILCOW_URL", "").rstrip("/"), os.environ.get("MAILCOW_API_KEY", "")
    if not (url and key):
        return None
    try:
        TypeAdapter(OwnUrl).validate_python(url)
    except ValidationError as error:
        raise pytest.UsageError(f"MAILCOW_URL: {error}") from None
    return Access(url, key, os.environ.get("MAILCOW_CA") or None)


def encoded(value: Any) -> str:
    """JSON as mailcow prints it for `get`."""
    return json.dumps(value, indent=4, ensure_ascii=False).replace("/", "\\/")
