"""Macros of SPF (RFC 7208 7): texts that name parts of the mail being judged, and the names made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote

EXPANSION = re.compile(r"%(?:\{([a-z])(\d*)(r?)([.+,/_=-]*)\}|([%_-]))", re.IGNORECASE)
SIGNS = {"%": "%", "_": " ", "-": "%20"}
LONGEST_NAME, LONGEST_LABEL = 253, 63  # octets (RFC 1035 2.3.4)
UNPLAIN = re.compile(r'[\\"();@$ ]')  # what zone file text would read as something else (RFC 1035 5.1)


def letters(text: str) -> frozenset[str]:
    """The macro letters in `text`, in lower case."""
    return frozenset(m[1].lower() for m in EXPANSION.finditer(text) if m[1])


def expand(text: str, values: Mapping[str, str]) -> str:
    """`text` with every macro replaced; its syntax was checked when it was read."""
    return EXPANSION.sub(lambda found: _expanded(found, values), text)


def name(text: str, values: Mapping[str, str]) -> str:
    """The domain name that `text` stands for; empty when no question could carry it.

    Labels are cut off at the left until it fits (RFC 7208 7.3).
    """
    whole = expand(text, values).removesuffix(".")
    fitting = whole[-LONGEST_NAME:]
    if len(whole) > LONGEST_NAME and whole[-LONGEST_NAME - 1] != ".":
        fitting = fitting.partition(".")[2]
    return fitting if well_formed(fitting) else ""


def well_formed(domain: str) -> bool:
    """Whether DNS can hold the name: ASCII (RFC 8616 4), no empty label, none too long (RFC 1035 2.3.4)."""
    labels = domain.split(".")
    return domain.isascii() and len(domain) <= LONGEST_NAME and all(0 < len(x) <= LONGEST_LABEL for x in labels)


def presented(domain: str) -> str:
    """A name as a question takes it: in lower case, unusual characters written by number (RFC 1035 5.1)."""
    return UNPLAIN.sub(lambda c: f"\\{ord(c[0]):03d}", domain).lower()


def _expanded(found: re.Match[str], values: Mapping[str, str]) -> str:
    letter, digits, reverse, delimiters, sign = found.groups()
    if sign:
        return SIGNS[sign]
    text = _transformed(values[letter.lower()], digits, bool(reverse), delimiters or ".")
    return _escaped(text) if letter.isupper() else text


@lru_cache(maxsize=256)  # a hostile record repeats one macro thousands of times
def _transformed(value: str, digits: str, reverse: bool, delimiters: str) -> str:
    """Split, reversed, its right-hand parts, joined by dots (RFC 7208 7.3)."""
    parts = re.split(f"[{re.escape(delimiters)}]", value)
    if reverse:
        parts.reverse()
    kept = len(parts) if len(digits) > 9 or not digits else int(digits)  # noqa: PLR2004 - more parts than any text has
    return ".".join(parts[-kept:])


@lru_cache(maxsize=256)
def _escaped(text: str) -> str:
    return quote(text, safe="~")
