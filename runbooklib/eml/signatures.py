"""The DKIM signatures of a message, each verified with the key DNS has now (RFC 6376).

dkimpy does the arithmetic; what it lets through and other verifiers refuse is refused here: rsa-sha1 and short keys
(RFC 8301), a From that is not signed, keys for other hashes or services, t=s (RFC 6376). Tests compare with OpenDKIM.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import dkim
import dns.exception
import dns.name
from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib import domainkeys
from runbooklib.answers import Answer, Lookup, Question, Word
from runbooklib.domainkeys import KeyRecordError
from runbooklib.eml.reading import ascii_domain
from runbooklib.results import Status

LONGEST = 8192  # octets of a header that is verified: dkimpy takes seconds over 20,000 blanks, nobody signs so
MOST = 20  # signatures that are verified: a limit is up to the verifier (RFC 6376 8.4)

# What dkimpy raises at hostile octets; PyNaCl raises ValueError at a signature that is too short.
BROKEN = (dkim.DKIMException, ValueError, LookupError, TypeError)

Keys = Mapping[str, Answer]  # by name: what DNS says where a key should be


@dataclass(frozen=True)
class Signature:
    """One signature: pass, fail, or unknown where its key could not be looked up."""

    domain: str
    selector: str
    status: Status
    said: str
    value: bytes = field(default=b"", repr=False)  # the header's own text
    result: str = "fail"  # the same as RFC 8601 2.7.1 has it

    @property
    def good(self) -> bool:
        """Whether its domain vouches for the message."""
        return self.status is Status.PASS

    def begins(self, start: str) -> bool:
        """Whether this is the one whose b= begins so: what receivers name it by (RFC 6008 4)."""
        return b"".join(_tags(self.value).get(b"b", b"").split()).startswith(start.encode())


@dataclass(frozen=True)
class Refusal:
    """Why no verifier counts a signature, whatever its arithmetic says."""

    result: str
    said: str


async def verify(look: Lookup, raw: bytes) -> list[Signature]:
    """Every DKIM-Signature of the message, in the order they stand, the first twenty verified."""
    try:
        message = dkim.DKIM(raw)
    except BROKEN as error:
        return [Signature("", "", Status.FAIL, f"the message cannot be parsed: {error}", result="permerror")]
    signed = [value for name, value in message.headers if name.lower() == b"dkim-signature"]
    keys = await answers(look, [key_name(tags) for value in signed[:MOST] if (tags := _tags(value))])
    found = [replace(_verify(message, i, value, keys), value=value) for i, value in enumerate(signed[:MOST])]
    return [*found, *(_one_too_many(value) for value in signed[MOST : MOST + 1])]


def _one_too_many(value: bytes) -> Signature:
    said = f"more than {MOST} signatures: this one and those below it are not verified (RFC 6376 8.4)"
    return Signature("", "", Status.FAIL, said, value, "policy")


async def answers(look: Lookup, names: Iterable[str]) -> Keys:
    """What DNS says at these names, asked side by side; what is no name does not exist."""
    wanted = list(dict.fromkeys(names))
    found = await asyncio.gather(*(_answer(look, name) for name in wanted))
    return dict(zip(wanted, found, strict=True))


async def _answer(look: Lookup, name: str) -> Answer:
    try:
        dns.name.from_text(name)
    except (dns.exception.DNSException, UnicodeError):  # anyone may write a header: an empty or too long label
        return Answer(Question(name, "TXT"), "", Word.NXDOMAIN, note="no name")
    return await look(name, "TXT")


def key_name(tags: Mapping[bytes, bytes]) -> str:
    """Where the key of a signature with these tags is (RFC 6376 3.6.2.1)."""
    domain, selector = (ascii_domain(tags.get(tag, b"").decode("utf-8", "replace")) for tag in (b"d", b"s"))
    return f"{selector}._domainkey.{domain}"


def record(answer: Answer | None) -> bytes | None:
    """The key record in an answer; text that is none may stand beside it."""
    values = answer.values if answer else ()
    found = [value for value in values if "p=" in value] or [value for value in values if "DKIM" in value]
    return found[0].encode() if found else None


def _tags(value: bytes) -> dict[bytes, bytes]:
    """The tags of a header, none where it is too long or malformed."""
    try:
        return dict(parse_tag_value(value)) if len(value) <= LONGEST else {}
    except InvalidTagValueList:
        return {}


def _verify(message: dkim.DKIM, index: int, value: bytes, keys: Keys) -> Signature:
    if len(value) > LONGEST:
        return Signature("", "", Status.FAIL, f"the signature header has {len(value)} octets", result="policy")
    tags = _tags(value)
    if not tags:
        return Signature("", "", Status.FAIL, "the signature header is malformed", result="neutral")
    selector, _, domain = key_name(tags).partition("._domainkey.")
    answer = keys[key_name(tags)]
    if not answer.heard:
        said = f"its key could not be looked up: {answer.question.name} TXT: {answer.shown}"
        return Signature(domain, selector, Status.UNKNOWN, said, result="temperror")
    refused = _refused(tags, record(answer)) or _disproved(message, index, record(answer))
    if refused:
        return Signature(domain, selector, Status.FAIL, refused.said, result=refused.result)
    said = f"{tags.get(b'a', b'').decode('ascii', 'replace')}, verified with the key in DNS"
    return Signature(domain, selector, Status.PASS, said, result="pass")


def _disproved(message: dkim.DKIM, index: int, key: bytes | None) -> Refusal | None:
    """What the arithmetic has against it."""
    try:
        good = message.verify(idx=index, dnsfunc=lambda _, timeout: key)  # noqa: ARG005 - the name dkimpy calls it by
    except BROKEN as error:
        return Refusal("fail", str(error))
    broken = "does not verify: the body or a signed header was changed, or DNS holds another key"
    return None if good else Refusal("fail", broken)


def _refused(tags: Mapping[bytes, bytes], text: bytes | None) -> Refusal | None:
    if tags.get(b"a") == b"rsa-sha1":
        return Refusal("policy", "rsa-sha1 is no signature any more (RFC 8301 3.1)")
    if b"from" not in [name.strip().lower() for name in tags.get(b"h", b"").split(b":")]:
        return Refusal("permerror", "h= leaves out From, so anyone may have written it (RFC 6376 6.1.1)")
    if text is None:
        return Refusal("permerror", "its key is not in DNS")
    try:
        key = domainkeys.parse(text.decode("utf-8", "replace"))
    except KeyRecordError as error:
        return Refusal("permerror", f"its key cannot be read: {error}")
    if key.strict and _identity(tags) != tags.get(b"d", b"").lower():
        return Refusal("permerror", "i= lies below d=, which the key forbids by t=s (RFC 6376 3.6.1)")
    weak = key.kind == "rsa" and 0 < key.bits < domainkeys.SHORTEST
    return Refusal("policy" if weak else "permerror", key.unusable) if key.unusable else None


def _identity(tags: Mapping[bytes, bytes]) -> bytes:
    """The domain of i=, which is d= where it is left out (RFC 6376 3.5)."""
    return tags.get(b"i", b"@" + tags.get(b"d", b"")).rpartition(b"@")[2].lower()
