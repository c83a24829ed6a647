"""Tag lists (RFC 6376 3.2) as DKIM keys and DMARC policies use them, and TXT strings as zones hold them."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbooklib.results import RunbookError

TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)
POLICIES = ("none", "quarantine", "reject")  # weakest first
STRING = 255  # octets in one TXT string (RFC 1035 3.3)


class TagError(RunbookError):
    """A text is not the tag list it claims to be."""


def tags(text: str) -> dict[str, str]:
    """The tags of a list, in order.

    Raises TagError for anything that is not `name=value` and for a name that stands twice (RFC 6376 3.2).
    """
    found: dict[str, str] = {}
    for part in text.removesuffix(";").split(";"):
        matched = TAG.fullmatch(part)
        if not matched or matched[1] in found:
            raise TagError(f"{part.strip()[:40]!a} is no tag, or stands twice (RFC 6376 3.2)")
        found[matched[1]] = matched[2]
    return found


@dataclass(frozen=True)
class DkimKey:
    """The public half of a DKIM key as published; an empty one is revoked (RFC 6376 3.6.1)."""

    public: str  # base64 without blanks
    kind: str = "rsa"

    @property
    def readable(self) -> bool:
        """Whether the base64 decodes; a key cut off or mangled by a panel often does not."""
        try:
            return bool(base64.b64decode(self.public, validate=True))
        except (binascii.Error, ValueError):
            return False


def dkim_key(text: str) -> DkimKey:
    """The key in a TXT value; `v=` may be missing (RFC 6376 3.6.1), as Resend's does.

    Raises TagError.
    """
    found = tags(text)
    if found.get("v", "DKIM1") != "DKIM1" or "p" not in found:
        raise TagError("a DKIM key has p= and, if any version, v=DKIM1 (RFC 6376 3.6.1)")
    return DkimKey("".join(found["p"].split()), found.get("k", "rsa").lower())


@dataclass(frozen=True)
class Policy:
    """A DMARC record, its tags as they stand."""

    tags: Mapping[str, str]

    @property
    def asks(self) -> str:
        """What receivers are asked to do; without a known p= nothing (RFC 9989 4.7)."""
        asked = self.tags.get("p", "none").lower()
        return asked if asked in POLICIES else "none"

    def at_least(self, other: Policy) -> bool:
        """Whether it asks for as much as `other`."""
        return POLICIES.index(self.asks) >= POLICIES.index(other.asks)

    def raised_to(self, other: Policy) -> Policy:
        """The record asking for what `other` asks, all other tags kept."""
        return Policy({"v": "DMARC1", "p": other.asks} | {k: v for k, v in self.tags.items() if k not in {"v", "p"}})

    def __str__(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.tags.items())


def is_dmarc(text: str) -> bool:
    """Whether a TXT value claims to be a DMARC record: others at the name do not count (RFC 7489 6.6.3)."""
    return re.match(r"v\s*=\s*DMARC1\s*(;|$)", text) is not None


def dmarc_policy(text: str) -> Policy:
    """The policy in a TXT value.

    Raises TagError, also for a policy that is none of the three.
    """
    policy = Policy(tags(text))
    if not is_dmarc(text) or policy.tags.get("p", "none").lower() not in POLICIES:
        raise TagError(f"expected v=DMARC1 first and p= one of {', '.join(POLICIES)} (RFC 7489 6.3)")
    return policy


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
