"""Tag lists (RFC 6376 3.2), the grammar that DKIM keys, DMARC, MTA-STS and TLS-RPT records share."""

from __future__ import annotations

import re

from runbooklib.results import RunbookError

TAG = re.compile(r"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=([\t\r\n -~]*)")
LONGEST = 65535  # octets in any record (RFC 1035 3.2.1); longer text never came from DNS


class TagError(RunbookError):
    """A text is not the tag list it claims to be."""


def is_tag(text: str) -> bool:
    """Whether a text between semicolons is `name=value`."""
    return TAG.fullmatch(text) is not None


def tags(text: str) -> dict[str, str]:
    """The tags of a list, in order.

    Raises TagError for anything that is not `name=value` in ASCII and for a name that stands twice (RFC 6376 3.2).
    """
    if len(text) > LONGEST:
        raise TagError(f"{len(text)} characters are more than DNS carries (RFC 1035 3.2.1)")
    found: dict[str, str] = {}
    for part in text.rstrip(" \t\r\n").removesuffix(";").split(";"):
        matched = TAG.fullmatch(part)
        if not matched or matched[1] in found:
            raise TagError(f"{part.strip()[:40]!a} is no tag, or stands twice (RFC 6376 3.2)")
        found[matched[1]] = matched[2].strip(" \t\r\n")
    return found
