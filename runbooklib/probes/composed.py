"""The container's settings three times: in the env file, in compose.yaml, and as it was made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from runbooklib.probes.mailflow import UnseenError
from runbooklib.servers.docker_mailserver import layout

# Settings whose values hold no secret in any version; of all others only that they differ is told.
HARMLESS = re.compile(
    r"ENABLE_\w+|SSL_(TYPE|(ALT_)?(CERT|KEY)_PATH)|TLS_LEVEL|(POSTFIX|DOVECOT)_INET_PROTOCOLS|POSTFIX_\w+_SIZE_LIMIT"
    r"|PERMIT_DOCKER|SPOOF_PROTECTION|SMTP_ONLY|ONE_DIR|ACCOUNT_PROVISIONER|LOG_LEVEL|TZ|OVERRIDE_HOSTNAME|SRS_\w*DOMAIN\w+"
    r"|SRS_SENDER_CLASSES|POSTMASTER_ADDRESS|POSTSCREEN_ACTION|MOVE_SPAM_TO_JUNK|MARK_SPAM_AS_READ|DMS_VMAIL_[UG]ID|hostname|image"
)
PLAIN = re.compile(r"[^\"'$#\\]*")  # what Compose neither substitutes nor unquotes
SHOWN = ("hostname", "image")  # of the service, beside its environment

Settings = Mapping[str, str | None]  # None: given in words whose meaning only Compose knows


def service(text: str) -> Mapping[str, Any]:
    """The mail server's service in compose.yaml.

    Raises UnseenError where there is none to read.
    """
    try:
        services = (yaml.safe_load(text) or {})["services"]
        named = {told.get("container_name", name): told for name, told in services.items()}
        found: Mapping[str, Any] = named[layout.CONTAINER]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise UnseenError(f"{layout.COMPOSE} has no service {layout.CONTAINER}: {type(error).__name__}") from None
    return found


def in_compose(told: Mapping[str, Any]) -> dict[str, str | None]:
    """The service's environment, which may be a list or a mapping, and what else a rule compares."""
    given = told.get("environment") or {}
    pairs = given.items() if isinstance(given, dict) else (str(line).split("=", 1) for line in given)
    environment = {pair[0]: _plain(str(pair[1])) for pair in map(tuple, pairs) if len(pair) > 1 and pair[1] is not None}
    return environment | {name: _plain(str(told[name])) for name in SHOWN if name in told}


def in_file(text: str) -> dict[str, str | None]:
    """The settings of an env file; of one that stands twice the last counts."""
    lines = (line.strip().removeprefix("export ") for line in text.splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): _plain(value.strip()) for name, value in pairs}


def running(inspected: Mapping[str, Any]) -> dict[str, str | None]:
    """What the container was made with."""
    config = inspected["Config"]
    environment = dict(pair.split("=", 1) for pair in config.get("Env") or [] if "=" in pair)
    return environment | {"hostname": config.get("Hostname", ""), "image": config["Image"]}


def compared(file: Settings, compose: Settings, runs: Settings) -> dict[str, dict[str, str]]:
    """For each setting of the two files where it is said and what the container runs with, hidden if need be."""
    return {
        name: _hidden(name, {place: value for place, value in _places(name, file, compose, runs) if value is not None})
        for name in sorted({*file, *compose})
    }


def _places(name: str, file: Settings, compose: Settings, runs: Settings) -> Iterator[tuple[str, str | None]]:
    if _unclear(name, file) or _unclear(name, compose):
        return
    yield layout.ENV, file.get(name)
    yield layout.COMPOSE, compose.get(name)
    yield "running", runs.get(name, "")


def _unclear(name: str, told: Settings) -> bool:
    return name in told and told[name] is None


def _hidden(name: str, places: dict[str, str]) -> dict[str, str]:
    """What may be a secret as a number each, so that equal ones can still be told from different ones."""
    if HARMLESS.fullmatch(name):
        return places
    values = list(dict.fromkeys(places.values()))
    return {place: f"‹hidden {values.index(value) + 1}›" for place, value in places.items()}


def _plain(value: str) -> str | None:
    return value if PLAIN.fullmatch(value) else None
