"""A site whose mail server is the double of mailcow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cows
import pytest
from cows import Cow
from sites import make

from runbooklib import credentials
from runbooklib.credentials import Secret
from runbooklib.params import Site
from runbooklib.servers.mailcow.api import Api

PASSWORDS = {"HI_PASSWORD": "hi-Passw0rd", "OFFICE_SMTP": "office-secret", "COW_KEY": cows.KEY, "COW_RO": cows.RO_KEY}


def site(cow: Cow, **changes: Any) -> Site:
    """The small site of the tests on this mailcow; it refuses no address, which mailcow cannot beside a catch-all."""
    mail = {"server": "mailcow", "url": cow.url, "api_key": "env:COW_KEY", "tls": {"ca": str(cow.ca)}}
    return make(**{"mail": mail, "domains__0__refuse": [], "server__ipv4": "127.0.0.1", **changes})


def elsewhere(**changes: Any) -> Site:
    """The same site where nobody is asked."""
    mail = {"server": "mailcow", "url": "https://mail.lantern.example", "api_key": "env:COW_KEY"}
    return make(**{"mail": mail, "domains__0__refuse": [], **changes})


def client(cow: Cow, key: str = "env:COW_KEY", **settings: Any) -> Api:
    """Its API, with short pauses."""
    return Api(cow.url, Secret(key), str(cow.ca), **{"pauses": (0.0, 0.0), **settings})


@contextmanager
def grazing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cow]:
    """A mailcow as after its installation, with the references of the site above."""
    for name, value in PASSWORDS.items():
        monkeypatch.setenv(name, value)
    with cows.double() as cow:
        yield cow
    credentials.forget()
