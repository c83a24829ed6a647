"""What a running testbed wrote down: the values `testbed:KEY` leads to, in state.json, readable by its owner only."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

FILE = "state.json"


@dataclass(frozen=True)
class Server:
    """The virtual server, as its owner knows it."""

    ipv4: str
    ipv6: str
    host_key: str  # SHA256:… of its ed25519 key
    ssh_key: str  # path of root's private key
    certificate: str  # path, for mail.lantern.example
    certificate_key: str  # path
    egress_25: bool


@dataclass(frozen=True)
class Tsig:
    """The key that may update the site's zone and fetch it whole."""

    name: str
    algorithm: str
    secret: str


@dataclass(frozen=True)
class Dns:
    """The authoritative server."""

    ipv4: str
    ipv6: str
    tsig: Tsig


@dataclass(frozen=True)
class Resolver:
    """The validating resolver."""

    ipv4: str
    ipv6: str


@dataclass(frozen=True)
class Registry:
    """Where the mail server's image is pulled from."""

    ipv4: str
    ipv6: str
    name: str


@dataclass(frozen=True)
class Account:
    """A mail host of others, and our login there."""

    ipv4: str
    ipv6: str
    name: str
    username: str
    password: str


@dataclass(frozen=True)
class Stranger(Account):
    """A mail host of others that judges what it is sent, and scores what it is asked to."""

    rspamd: str  # URL of its controller


@dataclass(frozen=True)
class Provider(Account):
    """A relay with an API that manages domains, and our key to it."""

    api: str  # by address: the notebooks' machine does not ask the testbed's resolver
    api_user: str
    api_key: str


@dataclass(frozen=True)
class Mailcow:
    """A second server, on which mailcow runs and nobody has a shell, and the keys to its API."""

    ipv4: str
    ipv6: str
    name: str
    url: str  # by address: the notebooks' machine does not ask the testbed's resolver
    api_key: str
    api_key_ro: str


@dataclass(frozen=True)
class Image:
    """The mail server's image this testbed holds."""

    reference: str  # what a compose file names
    id: str
    source: str  # stand-in, host engine or registry
    description: str


@dataclass(frozen=True)
class State:
    """All of it."""

    name: str  # prefix of everything the engine holds for this testbed
    bridge: str  # the network's interface on this machine
    subnet4: str
    subnet6: str
    server: Server
    dns: Dns
    resolver: Resolver
    registry: Registry
    relay: Account
    resend: Provider
    mxroute: Provider
    mailcow: Mailcow
    mx: Stranger
    mailboxes: dict[str, str]  # name → password
    ca: str  # path of the private CA's certificate
    image: Image


def load(folder: Path) -> State | None:
    """The state in `folder`; none when there is none, or one this version does not understand."""
    try:
        state: State = _build(State, json.loads((folder / FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return state


def _build(kind: Any, fields: dict[str, Any]) -> Any:
    hints = get_type_hints(kind)
    values = {f.name: fields[f.name] for f in dataclasses.fields(kind)}
    return kind(**{k: _build(hints[k], v) if dataclasses.is_dataclass(hints[k]) else v for k, v in values.items()})


def save(folder: Path, state: State) -> None:
    """Writes the state whole or not at all, mode 0600."""
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".state-")  # mkstemp's mode is 0600
    with os.fdopen(descriptor, "w") as file:
        json.dump(asdict(state), file, indent=2)
    Path(name).replace(folder / FILE)
