"""Facts in few words, for people: by what they tell of, no braces, nothing that moves a cursor."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

SHORT = 120  # characters of a value in the table; the whole of it is in the bundle
NAME = 60  # characters of a fact's name
FEW = 4  # values that are named; of more the number
# Escape sequences, and what turns the direction of writing: a line of a log is anybody's.
UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")

KINDS: Mapping[str, tuple[str, ...]] = {
    "pasted": ("pasted",),
    "access": ("ssh", "api", "bundle"),
    "network": ("port", "port6", "path", "segments", "mtu", "published", "clients"),
    "TLS": ("tls", "tls6", "certificates"),
    "mail server": (
        *("engine", "containers", "startup", "services", "listeners", "sockets", "configuration", "environment"),
        *("postfix", "tables", "transports", "ways", "overruling", "domains", "alias", "aliases", "diverted"),
        *("quotas", "bans"),
    ),
    "mail flow": ("queue", "log", "foreign", "routes", "sending", "relay", "provider", "blocklist", "watchdog"),
    "keys": ("keys", "signer"),
    "DNS": (
        *("resolver", "recursor", "delegation", "address", "ptr", "mx", "exchangers", "spf", "spf-tree", "dkim"),
        *("dmarc", "strays"),
    ),
    "machine": ("disk", "memory", "clock", "machine"),
}
OTHER = "other"
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}
ORDER = (*KINDS, OTHER)


def readable(text: str, most: int = SHORT) -> str:
    """The text on one line, cut, with whatever a terminal would obey left out."""
    shown = UNREADABLE.sub(" ", text[: most * 4]).strip()
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def kind(name: str) -> str:
    """What a fact tells of."""
    return KIND_OF.get(name.partition(" ")[0], OTHER)


def short(name: str, value: Any) -> str:
    """A fact's value in the field's words; what is not of the shape expected is told as it is."""
    tell = TELLING.get(name.partition(" ")[0], _plain)
    try:
        return readable(tell(value))
    except (LookupError, TypeError, ValueError, AttributeError):
        return readable(_plain(value))


def _plain(value: Any) -> str:
    """Any JSON-like value without its braces."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_nested(part)}" for key, part in value.items()) or "none"
    if isinstance(value, list | tuple):
        return _listed(value)
    return _word(value)


def _listed(values: list[Any] | tuple[Any, ...]) -> str:
    if len(values) > FEW and not all(isinstance(value, int) for value in values):
        return f"{len(values)}, the last: {_nested(values[-1])}"
    return ", ".join(map(_nested, values)) or "none"


def _nested(value: Any) -> str:
    """A value inside another: what holds more values still is counted."""
    if isinstance(value, Mapping | list | tuple):
        scalar = not any(isinstance(part, Mapping | list | tuple) for part in _parts(value))
        return f"({_plain(value)})" if value and scalar and len(value) <= FEW else str(len(value)) if value else "none"
    return _word(value)


def _parts(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, Mapping) else list(value)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None or value == "" else str(value)


def _port(seen: Mapping[str, Any]) -> str:
    took = f", {seen['connected'] * 1000:.0f} ms" if seen.get("connected") else ""
    return f"{seen['state']}{took}: {seen['banner']}" if seen["banner"] else f"{seen['state']}{took}"


def _tls(seen: Mapping[str, Any]) -> str:
    return f"certificate good for {seen['days']} days" if "days" in seen else f"{seen['refused']}: {seen['said']}"


def _containers(seen: Any) -> str:
    if isinstance(seen, Mapping):
        return _plain(seen)
    return ", ".join(f"{one['state']}, {one['health']}, {one['restarts']} restarts" for one in seen) or "no container"


def _queue(seen: Mapping[str, Any]) -> str:
    return f"{seen['count']} wait, the oldest for {seen['oldest']} s" if seen["count"] else "empty"


def _log(seen: Mapping[str, Any]) -> str:
    lines = seen["lines"]
    return f"{len(lines)} notable lines, the last: {lines[-1]}" if lines else "nothing notable"


def _said(seen: Mapping[str, Any]) -> str:
    return f"{seen['state']}: {seen['said']}"


def _signer(seen: Mapping[str, Any]) -> str:
    return ", ".join(f"{domain} with s={rows['live'] or 'nothing'}" for domain, rows in seen["signs"].items())


def _certificates(seen: Mapping[str, Any]) -> str:
    return ", ".join(f"{where} {told['days']} days left" for where, told in seen.items())


TELLING: Mapping[str, Callable[[Any], str]] = {
    "port": _port,
    "port6": _port,
    "tls": _tls,
    "containers": _containers,
    "queue": _queue,
    "log": _log,
    "relay": _said,
    "api": _said,
    "startup": lambda lines: f"{len(lines)} lines, the last: {lines[-1]}" if lines else "nothing",
    "disk": lambda used: ", ".join(f"{mount} {told['percent']} % full" for mount, told in used.items()),
    "memory": lambda seen: f"{seen['available']} of {seen['total']} MiB available",
    "clock": lambda seconds: f"{seconds:+g} s against the clock here",
    "signer": _signer,
    "certificates": _certificates,
    "keys": lambda keys: ", ".join(keys) or "none",
    "routes": lambda routes: ", ".join(f"{name} by {hop or 'the recipient’s MX'}" for name, hop in routes.items()),
}
