"""TXT values as zones hold them: strings of 255 octets, quoted."""

from __future__ import annotations

import re

STRING = 255  # octets in one TXT string (RFC 1035 3.3)
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
ESCAPED = re.compile(r"\\(\d{3}|.)", re.DOTALL | re.ASCII)


def strings(text: str) -> tuple[bytes, ...]:
    """A TXT value cut into strings of at most 255 octets; verifiers join them without blanks (RFC 7208 3.3)."""
    raw = text.encode("utf-8", "backslashreplace")
    return tuple(raw[i : i + STRING] for i in range(0, max(len(raw), 1), STRING))


def quoted(text: str) -> str:
    """A TXT value as a zone file writes it (RFC 1035 5.1)."""
    return " ".join('"' + "".join(map(_escaped, part)) + '"' for part in strings(text))


def _escaped(octet: int) -> str:
    if chr(octet) in '"\\':
        return f"\\{chr(octet)}"
    return chr(octet) if 0x20 <= octet < 0x7F else f"\\{octet:03d}"  # noqa: PLR2004 - printable ASCII


def parts(raw: str) -> tuple[str, ...]:
    """The strings of a TXT record as a zone file writes it, escapes resolved."""
    return tuple(ESCAPED.sub(_meant, part) for part in QUOTED.findall(raw))


def unquoted(raw: str) -> str:
    """The value of such a record: its strings joined."""
    return "".join(parts(raw)).encode("latin-1", "replace").decode("utf-8", "replace")


def _meant(escape: re.Match[str]) -> str:
    return chr(int(escape[1]) % 256) if escape[1].isdigit() else escape[1]
