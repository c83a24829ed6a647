"""The keys that verify a domain's signatures."""

from __future__ import annotations

import asyncio

from runbooklib import domainkeys
from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.claims import Claim
from runbooklib.audit.subject import Subject
from runbooklib.audit.usage import absent, sends
from runbooklib.domainkeys import DkimKey, KeyRecordError
from runbooklib.results import Check

GOOD, MOST = 2048, 4096  # bits of an RSA key (RFC 8301 3.2)


async def checks(look: Lookup, subject: Subject) -> list[Check]:
    """Each selector that is known; without one only that there are keys, or can be none."""
    if not subject.selectors:
        return [await _any(look, subject)]
    names = {selector: f"{selector}._domainkey.{subject.domain}" for selector in subject.selectors}
    answers = await asyncio.gather(*(look(name, "TXT") for name in names.values()))
    asked = zip(names.items(), answers, strict=True)
    return [row for (s, name), answer in asked for row in _selector(name, answer, own=s not in subject.borrowed)]


async def _any(look: Lookup, subject: Subject) -> Check:
    """NXDOMAIN at `_domainkey` means that nothing stands below it (RFC 8020); all else says nothing of a key."""
    name = f"_domainkey.{subject.domain}"
    answer, used = await asyncio.gather(look(name, "TXT"), sends(look, subject))
    claim = Claim("dns.dkim.published", subject.domain, "a key for each selector that signs")
    if not answer.heard:
        return claim.unheard(answer)
    if answer.word is not Word.NXDOMAIN:
        return claim.unknown("the selectors are not known", "name them: s= in the DKIM-Signature of a sent message")
    if used is False:
        return claim.passed("none: it sends nothing")
    fix = "publish the key of whoever signs for it; without one DMARC rests on SPF alone, and no forward passes"
    told = f"{name} does not exist, so there is no key at all"
    return claim.failed(told, fix) if used else claim.warned(told, fix)


def _selector(name: str, answer: Answer, *, own: bool) -> list[Check]:
    claim = Claim("dns.dkim.published", name, "a key", needed=True)
    if not answer.heard:
        return [claim.unheard(answer)]
    if absent(answer):
        fix = f"publish the key at {name}: until then no signature with this selector verifies"
        return [claim.failed(answer.shown, fix)]
    single = Claim("dns.dkim.single", name, "one record")
    fix = "keep the one whose private half signs: with several a verifier takes any"
    rows = [claim.passed(_short(answer)), single.judged(len(answer.values) == 1, f"{len(answer.values)}", fix)]
    return rows if len(answer.values) > 1 else [*rows, *_record(name, answer.values[0], own=own)]


def _short(answer: Answer) -> str:
    shown = answer.shown
    return shown if len(shown) <= 100 else f"{shown[:60]}…{shown[-20:]}"  # noqa: PLR2004 - what fits a cell


def _record(name: str, text: str, *, own: bool) -> list[Check]:
    claim = Claim("dns.dkim.syntax", name, "a key record that can be read")
    try:
        key = domainkeys.parse(text)
    except KeyRecordError as error:
        return [claim.failed(str(error), "publish the record again, in one piece, as the signer shows it")]
    testing = Claim("dns.dkim.testing", name, "no t=y")
    fix = "remove t=y: verifiers may treat signed mail as unsigned"
    return [
        claim.passed(
            "it can be read" if text.lstrip().startswith("v") else "it can be read; v= is missing, and may be"
        ),
        _key(Claim("dns.dkim.key", name, "a whole key, long enough"), key, own=own),
        testing.doubted(not key.testing, "t=y" if key.testing else "in use", fix),
    ]


def _key(claim: Claim, key: DkimKey, *, own: bool) -> Check:
    """A relay's key is its own to lengthen: Resend's has 1,024 bits, which every verifier takes."""
    if key.revoked:
        return claim.failed(key.unusable, "publish the key that signs, or sign with another selector")
    if key.unusable:
        fix = "make a new key of 2048 bits, and publish its record as the signer shows it"
        return claim.failed(key.unusable, fix)
    told = f"{key.kind} {key.bits} bits"
    if key.kind != "rsa" or GOOD <= key.bits <= MOST:
        return claim.passed(told)
    if not own and key.bits < GOOD:
        return claim.passed(f"{told}, which verifiers take; it is the relay's to lengthen")
    return claim.warned(told, "change to 2048 bits: shorter ones can be broken, longer ones few verifiers read")
