"""DKIM keys: the same public key, however it is written; another one may be signing today and stays."""

from __future__ import annotations

import re
from itertools import permutations

from runbooklib import domainkeys
from runbooklib.answers import Answer
from runbooklib.domainkeys import DkimKey, KeyRecordError
from runbooklib.records.rules import Comparison, bare, missing, right
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status

BEGINS = re.compile(r"(^|;)\s*p\s*=")
BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
PIECES = 4  # records a panel may have made of one key; an RSA key of 4,096 bits takes three strings


def alias(wanted: Wanted, answer: Answer) -> Comparison:
    """A provider's key behind a CNAME."""
    target = wanted.values[0]
    if answer.chain[:1] == (target,):
        return right(f"CNAME {target}")
    if not answer.chain and not answer.values:
        return Comparison(Status.FAIL, str(answer.word), (target,))
    if answer.chain:
        return _foreign(wanted, f"CNAME {answer.chain[0]}")
    if not any(map(_read, answer.values)):
        fix = f"no CNAME may stand beside it (RFC 2181 10.1): remove the TXT record, then run again for CNAME {target}"
        return Comparison(Status.FAIL, f"TXT {answer.shown}, no key", fix=fix)
    fix = f"a copy of the key goes stale when the provider renews it: replace the TXT by CNAME {target}"
    return Comparison(Status.WARN, f"TXT {answer.shown}", fix=fix)


def key(wanted: Wanted, answer: Answer) -> Comparison:
    """One record with our key; what no verifier can read is corrected, another key never replaced."""
    if not answer.values:
        return missing(wanted, answer)
    ours = domainkeys.parse(wanted.values[0])
    if len(answer.values) > 1:
        return _several(wanted, answer, ours)
    stands = _read(answer.values[0])
    if stands == ours:
        return right(f"key {_short(ours)}")
    if stands is None and not _meant(answer.values[0]):
        fix = (
            f"nothing may stand beside a key: remove it yourself, or use another selector; wanted is {wanted.expected}"
        )
        return Comparison(Status.FAIL, f"{answer.shown}: no key, and not ours", fix=fix)
    if stands is None or _lost(stands, ours):
        return Comparison(Status.FAIL, f"{answer.shown}: {_unread(answer.values[0], ours)}", wanted.values)
    return _foreign(wanted, f"another key, {_short(stands)}" if stands.public else "a revoked key")


def _several(wanted: Wanted, answer: Answer, ours: DkimKey) -> Comparison:
    count = len(answer.values)
    if count <= PIECES and _pieces(answer.values, ours):
        said = f"the key stands cut into {count} records; its strings belong into one (RFC 6376 3.6.2.2)"
        return Comparison(Status.FAIL, said, wanted.values, whole=True)
    fix = f"keep one: {wanted.values[0]}"
    return Comparison(Status.FAIL, f"{count} TXT records, undefined by RFC 6376 3.6.2.2", fix=fix)


def _pieces(values: tuple[str, ...], ours: DkimKey) -> bool:
    """Whether a panel made a record of each string of our key: one that begins it, the others nothing but base64."""
    begins = [v for v in values if BEGINS.search(v)]
    rest = [v for v in values if v not in begins and BASE64.fullmatch(v)]
    if len(begins) != 1 or len(rest) != len(values) - 1:
        return False
    return any(_read("".join((*begins, *order))) == ours for order in permutations(rest))


def _meant(text: str) -> bool:
    """Whether somebody meant to publish a key, be it one that nobody can read."""
    return bool(BEGINS.search(bare(text)) or "dkim1" in text.lower())


def _lost(stands: DkimKey, whole: DkimKey) -> bool:
    """Whether a panel lost the key's end, or its capital letters."""
    cut = 0 < len(stands.public) < len(whole.public) and whole.public.startswith(stands.public)
    return cut or stands.public.lower() == whole.public.lower()


def _unread(text: str, ours: DkimKey) -> str:
    if _read(bare(text)) == ours:
        return "quotation marks got into the value, so no verifier can read this key"
    return "no verifier can read this key"


def _read(value: str) -> DkimKey | None:
    try:
        return domainkeys.parse(value)
    except KeyRecordError:
        return None


def _short(shown: DkimKey) -> str:
    return f"{shown.public[:8]}…{shown.public[-8:]}"


def _foreign(wanted: Wanted, said: str) -> Comparison:
    fix = f"find out who signs with it; use another selector, or remove it by hand and publish {wanted.expected}"
    refusal = f"{wanted.name} holds {said}: replacing it would break every signature made with it"
    return Comparison(Status.FAIL, said, fix=fix, refusal=refusal)
