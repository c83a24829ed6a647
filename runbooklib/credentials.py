"""Secrets by reference: resolved when used, masked in everything that is shown, logged or archived."""

from __future__ import annotations

import base64
import contextlib
import html
import json
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from runbooklib.places import locate, testbed_value
from runbooklib.results import RunbookError

FORM = re.compile(r"^(env|file|keyring|testbed):(.+)$")
SHORTEST = 6  # characters; a shorter value occurs by chance, so masking it would garble the record
LONG_LINE = 16  # characters; a line of a key that long is as good as the key
ANSI = re.compile(r"\x1b\[[0-9;]*[mK]")

_masks: dict[str, str] = {}  # one thread may learn while others mask: who goes through it takes a copy


class CredentialError(RunbookError):
    """A reference to a secret leads nowhere, or to something that cannot be one."""


@dataclass(frozen=True)
class Secret:
    """A reference such as env:NAME; shows as the reference, never as its value."""

    reference: str

    def __str__(self) -> str:
        return self.reference

    def reveal(self) -> str:
        """The value, looked up now; from here on it is masked wherever it would show.

        Raises CredentialError when the reference leads nowhere.
        """
        value = _look_up(self.reference)
        if len(value) < SHORTEST:
            raise CredentialError(f"{self.reference} holds {len(value)} characters; a secret has at least {SHORTEST}")
        learn(value, self.reference)
        return value


@dataclass(frozen=True)
class Token(Secret):
    """A reference to an OAuth access token, which logs in by XOAUTH2 where a password would by PLAIN."""


def _look_up(reference: str) -> str:
    matched = FORM.match(reference)
    if not matched:
        raise CredentialError("a secret is written env:NAME, file:PATH, keyring:SERVICE/USER or testbed:KEY")
    kind, rest = matched.groups()
    return {"env": _environment, "file": _file, "keyring": _keyring, "testbed": testbed_value}[kind](rest)


def _environment(name: str) -> str:
    if name not in os.environ:
        raise CredentialError(f"env:{name} is not set: export {name} before you start")
    return os.environ[name]


def _file(path: str) -> str:
    try:
        return locate(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CredentialError(f"file:{path} cannot be read: {type(error).__name__}") from None


def _keyring(rest: str) -> str:
    import keyring  # noqa: PLC0415 - its back ends take long to load and few sites use one

    service, _, user = rest.partition("/")
    value = keyring.get_password(service, user)
    if value is None:
        raise CredentialError(f"keyring:{rest} is not there: `keyring set {service} {user}` puts it in")
    return value


def learn(value: str, reference: str) -> None:
    """Masks `value`, its derived forms and its longer lines from now on."""
    lines = [line for line in value.splitlines() if len(line) >= LONG_LINE and not line.startswith("-----")]
    for form in {form for text in (value, *lines) for form in forms(text)}:
        _masks[form] = f"‹{reference}›"


def learn_quietly(secrets: Iterable[Secret]) -> None:
    """Learns what can be looked up without asking anyone; the rest is learnt, or reported, when it is used."""
    for secret in secrets:
        if not secret.reference.startswith("keyring:"):
            with contextlib.suppress(RunbookError):
                secret.reveal()


def forget() -> None:
    """Masks nothing any more: for one process that works for several sites, such as the tests'."""
    _masks.clear()


def forms(value: str) -> set[str]:
    """The ways a secret is written: as is, quoted for URL, shell, JSON, HTML and Python, inside base64."""
    written = {
        value,
        quote(value, safe=""),
        quote(value),
        quote_plus(value),
        shlex.quote(value),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        html.escape(value),
        html.escape(value, quote=False),
        repr(value)[1:-1],
    }
    written |= {json.dumps(form, ensure_ascii=False)[1:-1] for form in written}  # each of them inside a notebook's JSON
    return {form for form in written | _base64_forms(value.encode()) if len(form) >= SHORTEST}


def _base64_forms(raw: bytes) -> set[str]:
    """What stays the same of `raw` inside any base64, whatever stands before and after it.

    SASL PLAIN puts NUL, user and NUL before a password (RFC 4616), so it may start at any of three offsets.
    """
    found = {base64.b64encode(raw).decode()}
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + raw + b"\0" * 3).decode()
        found.add(text[-(-offset * 8 // 6) : (offset + len(raw)) * 8 // 6])
    return found | {form.translate(str.maketrans("+/", "-_")) for form in found}


def mask(text: str) -> str:
    """The text with every known secret replaced by its reference, longest forms first.

    Colours go where they cut a secret in two: a traceback highlights the `%s` inside a string.
    """
    masked = _replace(text)
    if "\x1b" not in masked:
        return masked
    plain = ANSI.sub("", masked)
    return masked if _replace(plain) == plain else _replace(plain)


def _replace(text: str) -> str:
    masks = _masks.copy()
    for form in sorted((form for form in masks if form in text), key=len, reverse=True):
        text = text.replace(form, masks[form])
    return text


def mask_tree(value: Any) -> Any:
    """`mask` for every string inside a JSON-like value."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {mask(k) if isinstance(k, str) else k: mask_tree(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [mask_tree(v) for v in value]
    return value


def leaks(data: bytes) -> list[str]:
    """The references whose value stands somewhere in `data`."""
    return sorted({reference.strip("‹›") for form, reference in _masks.copy().items() if form.encode() in data})
