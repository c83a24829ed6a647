"""What became of a DKIM key on its way through a DNS panel: the ways in which a published key is ours no longer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from runbooklib import domainkeys
from runbooklib.domainkeys import DkimKey, KeyRecordError

STRING = 255  # octets of one TXT string (RFC 1035 3.3.14), where panels like to cut
KEY = re.compile(r"(?:^|[;\s\"])p\s*=\s*([^;]*)", re.DOTALL)
STRAY = re.compile(r"[\s\"'\\()]")  # what panels leave of a zone file's form


def good(published: Sequence[str], ours: str) -> bool:
    """Whether a verifier finds this key (base64) in what is published."""
    return len(published) == 1 and (key := read(published[0])) is not None and key.public == ours and not key.unusable


def read(text: str) -> DkimKey | None:
    """The key in a TXT value; None where no verifier can read one."""
    try:
        return domainkeys.parse(text)
    except KeyRecordError:
        return None


def damage(published: Sequence[str], ours: str) -> str:
    """How a panel broke our key (base64), in words; empty where another one stands, or ours unharmed."""
    if len(published) > 1:
        return f"its strings stand as {len(published)} records" if _pieces(published, ours) else ""
    text = "".join(published)
    found = KEY.search(text)
    stands = found[1].strip() if found else ""
    return _broken(text, stands, ours) if stands and not good(published, ours) else ""


def _broken(text: str, stands: str, ours: str) -> str:
    clean = STRAY.sub("", stands)
    if clean and clean == ours:
        return f"{_strays(text)} got into it"
    if len(clean) < len(ours) and ours.startswith(clean):
        place = f", as one string of DNS holds {STRING}" if STRING - 2 <= len(text) <= STRING + 2 else ""
        return f"it is cut after {len(text)} characters{place}"
    if clean.lower() == ours.lower():
        return "capital letters became small ones"
    return ""


def _strays(text: str) -> str:
    kinds = {"quotation marks": "[\"']", "backslashes": r"\\", "parentheses": "[()]", "blanks": r"p\s*=\s*\S+\s+\S"}
    return " and ".join(name for name, pattern in kinds.items() if re.search(pattern, text)) or "something else"


def _pieces(published: Sequence[str], ours: str) -> bool:
    """Whether the records together hold our key: the one that begins it, and no other part that is not ours."""
    begins = [text for text in published if KEY.search(text)]
    rest = [STRAY.sub("", text) for text in published if text not in begins]
    return len(begins) == 1 and bool(rest) and all(part and part in ours for part in rest)
