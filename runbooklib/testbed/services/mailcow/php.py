"""PHP's own ideas of numbers, emptiness and names, which show in what mailcow answers."""

from __future__ import annotations

import html
import json
import re
from typing import Any

DOMAIN = re.compile(r"[a-z\d](-*[a-z\d])*(\.[a-z\d](-*[a-z\d])*)*", re.IGNORECASE)
LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*", re.ASCII)
NAME_LENGTH = 253


class FatalError(Exception):
    """PHP gave up in the middle: status 200 and an empty body."""


def integer(value: Any) -> int:
    """What intval makes of it."""
    if isinstance(value, str):
        found = re.match(r"\s*([+-]?\d+)", value)
        return int(found[1]) if found else 0
    return int(value) if isinstance(value, int | float) else int(bool(value))


def numeric(value: Any) -> bool:
    """What is_numeric says."""
    return isinstance(value, int | float) or bool(re.fullmatch(r"\s*[+-]?\d+(\.\d+)?\s*", text(value)))


def empty(value: Any) -> bool:
    """What empty says: "0" is empty too."""
    return not value or value == "0"


def text(value: Any) -> str:
    """A value where a string is asked for; lists and mappings are fatal."""
    if isinstance(value, list | dict):
        raise FatalError
    return "" if value is None or value is False else "1" if value is True else str(value)


def ascii_domain(value: Any) -> str:
    """A name as DNS writes it; empty where it cannot be written."""
    try:
        return text(value).encode("idna").decode()
    except UnicodeError:
        return ""


def is_domain(value: Any) -> bool:
    """Whether it is a domain's name, whatever its number of labels."""
    name = ascii_domain(value)
    return bool(DOMAIN.fullmatch(name)) and len(name) <= NAME_LENGTH


def is_email(value: Any) -> bool:
    """Whether FILTER_VALIDATE_EMAIL would take it: its domain has two labels at least."""
    if not isinstance(value, str):
        return False
    local, at, domain = value.rpartition("@")
    return bool(at and LOCAL_PART.fullmatch(local) and "." in domain and DOMAIN.fullmatch(domain))


def parted(value: Any) -> list[str]:
    """A list written as one string."""
    return [part.strip() for part in re.split(r"[ ,;\n]", text(value))]


def many(value: Any) -> list[Any]:
    """A cast to array."""
    if value is None:
        return []
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


def escaped(value: Any) -> str:
    """What htmlspecialchars makes of it."""
    return html.escape(text(value)).replace("&#x27;", "&#039;")


def encoded(value: Any) -> str:
    """json_encode without flags: compact, ASCII only, every slash escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def pretty(value: Any) -> str:
    """json_encode as the `get` routes ask for it."""
    return json.dumps(value, indent=4, ensure_ascii=False).replace("/", "\\/")
