"""The DKIM signatures of a message, each verified with the key DNS has now (RFC 6376)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib.endpoint import ResolverError
from runbooklib.results import Status

KeyLookup = Callable[..., "bytes | None"]


@dataclass(frozen=True)
class Signature:
    """One signature: pass, fail, or unknown where its key could not be looked up."""

    domain: str
    selector: str
    status: Status
    said: str
    value: bytes = field(default=b"", repr=False)  # the header's own text


def verify(raw: bytes, key: KeyLookup) -> list[Signature]:
    """Every DKIM-Signature of the message, in the order they stand."""
    try:
        message = dkim.DKIM(raw)
    except dkim.DKIMException as error:
        return [Signature("", "", Status.FAIL, f"the message cannot be parsed: {error}")]
    signed = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    return [replace(_verify(message, i, value, key), value=value) for i, value in enumerate(signed)]


def _verify(message: dkim.DKIM, index: int, value: bytes, key: KeyLookup) -> Signature:
    try:
        tags = parse_tag_value(value)
    except InvalidTagValueList:
        return Signature("", "", Status.FAIL, "the signature header is malformed")
    domain, selector = (tags.get(tag, b"").decode("ascii", "replace").lower() for tag in (b"d", b"s"))
    try:
        good = message.verify(idx=index, dnsfunc=key)
    except ResolverError as error:
        return Signature(domain, selector, Status.UNKNOWN, f"its key could not be looked up: {error}")
    except dkim.DKIMException as error:
        return Signature(domain, selector, Status.FAIL, str(error))
    said = f"{tags.get(b'a', b'').decode('ascii', 'replace')}, verified with the key in DNS"
    broken = "does not verify: the body or a signed header was changed, or DNS holds another key"
    return Signature(domain, selector, Status.PASS if good else Status.FAIL, said if good else broken)
