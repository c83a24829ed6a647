"""A small valid site as a params file would hold it, for tests to bend."""

from __future__ import annotations

import copy
from typing import Any

from runbooklib.params import Site, load

GIVEN: dict[str, Any] = {
    "name": "lantern",
    "server": {"host": "203.0.113.10", "hostname": "mail.lantern.example", "ipv4": "203.0.113.10"},
    "mail": {
        "server": "docker-mailserver",
        "directory": "/opt/mail.lantern.example",
        "tls": {"certificate": "certs/mail.pem", "key": "certs/mail.key"},
    },
    "domains": [
        {
            "name": "lantern.example",
            "relay": "office",
            "mailboxes": [{"address": "hi@lantern.example", "password": "env:HI_PASSWORD"}],
            "aliases": {"sales@lantern.example": "hi@lantern.example"},
            "catch_all": "hi@lantern.example",
            "refuse": ["leaked@lantern.example"],
        }
    ],
    "relays": {
        "office": {
            "provider": "smtp",
            "host": "smtp.example.net",
            "username": "u",
            "password": "env:OFFICE_SMTP",
            "spf": "include:spf.example.net",
        }
    },
}


def given(**changes: Any) -> dict[str, Any]:
    """The mapping, with values replaced at dotted paths written with double underscores."""
    site = copy.deepcopy(GIVEN)
    for path, value in changes.items():
        *parents, last = (int(part) if part.isdigit() else part for part in path.split("__"))
        node: Any = site
        for part in parents:
            node = node[part]
        node[last] = value
    return site


def make(**changes: Any) -> Site:
    """The site itself."""
    return load(given(**changes))
