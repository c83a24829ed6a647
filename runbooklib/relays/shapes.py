"""Reading what an API answered: every value has the type it should have, or the answer is malformed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from runbooklib.relays.calls import MalformedError

T = TypeVar("T")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value, an object."""
    return _a(value, dict, what)


def rows(value: Any, what: str) -> list[Mapping[str, Any]]:
    """The value, a list of objects."""
    return [mapping(row, what) for row in _a(value, list, what)]


def texts(value: Any, what: str) -> list[str]:
    """The value, a list of texts."""
    return [_a(part, str, what) for part in _a(value, list, what)]


def text(holder: Mapping[str, Any], name: str) -> str:
    """A text that must be there."""
    return _a(holder.get(name), str, name)


def maybe(holder: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """A value that may be missing; of another type it is malformed."""
    found = holder.get(name)
    return None if found is None else _a(found, kind, name)


def _a(value: Any, kind: type[T], what: str) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise MalformedError(f"{what}: expected {kind.__name__}, saw {type(value).__name__}")
    return value
