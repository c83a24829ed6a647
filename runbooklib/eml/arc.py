"""The Authenticated Received Chain (RFC 8617): what each server that handed a message on had found before.

A chain that is broken says nothing about the message: a forwarder of theirs broke it (RFC 8617 5.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import dkim
from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib import authres
from runbooklib.answers import Lookup
from runbooklib.authres import Method
from runbooklib.eml.reading import Eml
from runbooklib.eml.signatures import LONGEST, Keys, answers, key_name, record

MOST = 50  # instances (RFC 8617 4.2.1)
SETS = ("arc-authentication-results", "arc-message-signature", "arc-seal")
INSTANCE = re.compile(r"\s*i\s*=\s*(\d{1,4})\s*;", re.IGNORECASE)


@dataclass(frozen=True)
class Chain:
    """A message's chain: RFC 8617 4.4's word for it, and in words why."""

    result: str = "none"  # none, pass, fail, or temperror where a key could not be looked up
    said: str = ""
    instances: int = 0
    sealers: tuple[str, ...] = ()  # the domains that sealed it, the first one first
    first: tuple[Method, ...] = ()  # what the first of them found

    def __bool__(self) -> bool:
        return self.result != "none"


async def validate(look: Lookup, mail: Eml) -> Chain:
    """The chain of a message, its keys asked side by side."""
    fields = [(name, value) for name, value in mail.fields if name in SETS]
    if not fields:
        return Chain()
    if len(fields) > MOST * len(SETS) or any(len(value) > LONGEST for _, value in fields):
        return Chain("fail", f"more than {MOST} instances, or a header that is too long (RFC 8617 4.2.1)")
    tags = {name: _by_instance(fields, name) for name in SETS[1:]}
    keys = await answers(look, [key_name(t) for held in tags.values() for t in held.values()])
    sealers = tuple(key_name(t).partition("._domainkey.")[2] for _, t in sorted(tags["arc-seal"].items()))
    result, said = _result(mail.raw, keys)
    return Chain(result, said, max((i for i, _ in _numbered(fields)), default=0), sealers, _first(fields))


def _result(raw: bytes, keys: Keys) -> tuple[str, str]:
    silent = [f"{answer.question.name}: {answer.shown}" for answer in keys.values() if not answer.heard]
    if silent:
        return "temperror", f"a key could not be looked up: {silent[0]}"

    def key(name: bytes, timeout: float = 5) -> bytes | None:
        del timeout
        return record(keys.get(name.decode("ascii", "replace").lower().rstrip(".")))

    try:
        verdict, _, said = dkim.arc_verify(raw, dnsfunc=key)
    except Exception as error:  # noqa: BLE001 - dkimpy raises what it meets: KeyError, IndexError, TypeError
        return "fail", f"the chain cannot be read: {error}"
    return ("pass", "every seal holds") if verdict == dkim.CV_Pass else ("fail", str(said))


def _by_instance(fields: list[tuple[str, str]], name: str) -> dict[int, dict[bytes, bytes]]:
    """The tags of each header of that name."""
    found = {}
    for i, value in _numbered([(n, v) for n, v in fields if n == name]):
        try:
            found[i] = dict(parse_tag_value(value.encode()))
        except InvalidTagValueList:
            continue
    return found


def _numbered(fields: list[tuple[str, str]]) -> list[tuple[int, str]]:
    return [(int(found[1]), value) for _, value in fields if (found := INSTANCE.match(value))]


def _first(fields: list[tuple[str, str]]) -> tuple[Method, ...]:
    """What the first set's Authentication-Results say; i= stands before the authserv-id (RFC 8617 4.1.1)."""
    told = [(i, v) for i, v in _numbered([(n, v) for n, v in fields if n == SETS[0]]) if i == 1]
    return authres.parse(told[0][1].partition(";")[2]).methods if told else ()
