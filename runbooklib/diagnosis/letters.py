"""A message that somebody pasted, as a fact: who signed it, and what those who received it say of that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runbooklib import authres, taglists
from runbooklib.eml import fields, source
from runbooklib.eml.fields import Header
from runbooklib.eml.source import SourceError
from runbooklib.taglists import TagError

METHODS = ("spf", "dkim", "dmarc")
MOST, LONGEST = 20, 8192  # fields of each kind that are read; characters of one
PASTED = "a message"


def letter(text: str) -> dict[str, Any] | None:
    """Signatures and verdicts of a message with its header; None where it is none, or bears neither."""
    try:
        header = fields.read(source.read(text.encode(errors="replace")).raw)
    except SourceError:
        return None
    authors = header.mailboxes("From")
    signed, results = list(_signatures(header)), list(_results(header))
    if not authors or not (signed or results):
        return None
    return {"kind": PASTED, "told": [], "author": authors[0].domain, "signed": signed, "results": results}


def body(text: str) -> str:
    """What stands below the header: an answer that a message quotes is no header field."""
    return text.lstrip("\n").partition("\n\n")[2]


def _signatures(header: Header) -> Iterator[dict[str, str]]:
    for field in header.of("DKIM-Signature")[:MOST]:
        try:
            tags = taglists.tags(field.text[:LONGEST])
        except TagError:
            continue
        yield {"domain": tags.get("d", "").lower(), "selector": tags.get("s", "").lower()}


def _results(header: Header) -> Iterator[dict[str, str]]:
    """Of the newest receivers, which stand first (RFC 8601 5)."""
    for field in header.of("Authentication-Results")[:MOST]:
        told = authres.parse(field.text[:LONGEST])
        for method in (m for m in told.methods if m.name in METHODS):
            about = method.domain("header.d", "header.i", "header.from", "smtp.mailfrom", "smtp.helo")
            yield {"by": told.authserv_id, "method": method.name, "result": method.result, "about": about}
