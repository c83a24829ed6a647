"""Who signed the messages that arrived: our server, the relay in the domain's name, or nobody."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from runbooklib import records, relays
from runbooklib.answers import Answer, Lookup
from runbooklib.delivery.facts import Fact, judged
from runbooklib.delivery.sightings import Sighting, shown
from runbooklib.domainkeys import KeyRecordError, parse
from runbooklib.eml.signatures import Signature
from runbooklib.records import Wanted
from runbooklib.results import Status

KEYS = "._domainkey."


def _cover(sighting: Sighting) -> Status:
    """How bad a missing or broken signature is: another that aligns stands in for it."""
    return Status.WARN if all(p.aligned.dkim for p in sighting.proofs) else Status.FAIL


def own_signature(sighting: Sighting) -> Fact:
    """What became of our server's signature."""
    found = [sighting.ours(proof) for proof in sighting.proofs]
    lost, broken = found.count(None), [s for s in found if s and s.status is Status.FAIL]
    silent = [s for s in found if s and s.status is Status.UNKNOWN]
    selectors = " or ".join(sighting.own_selectors)
    if lost:
        said = f"missing in {lost} of {len(found)} messages: {_loser(sighting)}"
    else:
        said = "; ".join(dict.fromkeys(f"{shown(s)} {s.result}" for s in found if s))
    status = _cover(sighting) if lost or broken else Status.UNKNOWN if silent else Status.PASS
    fix = _mend(sighting) if lost else "delivery.survives says what broke it; a key that DNS lacks is published by 04"
    expected = f"the signature of our server ({selectors}) arrives and verifies"
    check = judged(sighting, "signature", status, expected, said, fix, "RFC 6376 6.1")
    return Fact(sighting.about, "our signature", said, f"selector {selectors}", check)


def _loser(sighting: Sighting) -> str:
    if sighting.signed_by_us:
        return f"our server signed it by its own log, so {'the relay' if sighting.relay else 'the way'} strips it"
    return "not signed here, or stripped on the way: the log does not say"


def _mend(sighting: Sighting) -> str:
    if sighting.signed_by_us:
        return "ask the relay to leave DKIM-Signature alone; till then its own signature has to align"
    return "see dkim.signing in 03; if it signs, the relay strips the signature"


async def relay_signature(look: Lookup, sighting: Sighting) -> Fact:
    """What the relay signs with in the domain's name, against the selectors that params and its provider name."""
    wanted = _wanted(sighting)
    signed = [s for proof in sighting.proofs for s in sighting.theirs(proof)]
    here = (s.selector for s in signed if s.domain == sighting.domain.name)
    names = [f"{selector}{KEYS}{sighting.domain.name}" for selector in dict.fromkeys([*wanted, *here])]
    answers = dict(zip(names, await asyncio.gather(*(look(name, "TXT") for name in names)), strict=True))
    fact = relay_keys(sighting, list(wanted), signed)
    fact = replace(fact, told="; ".join([fact.told, *map(_standing, answers.values())]))
    if fact.where or (fact.check and fact.check.status is Status.PASS):
        return fact
    lacking = (_lacking(w, answers[w.name]) for w in wanted.values())
    return next((_published(fact, *change) for change in lacking if change), fact)


def _wanted(sighting: Sighting) -> dict[str, Wanted]:
    """The key records the relay should sign by, by selector."""
    found = [w for w in relays.records(sighting.site) if w.kind == "dkim"]
    return {w.name.partition(KEYS)[0]: w for w in found if w.name.partition(KEYS)[2] == sighting.domain.name}


def _lacking(wanted: Wanted, answer: Answer) -> tuple[str, str, str] | None:
    """Where a key that params or the provider tell does not stand: the record, old and new."""
    told = records.compare(wanted, answer) if answer.heard and wanted.values else None
    if told is None or not told.values:
        return None
    return f"{wanted.name} {wanted.type}", answer.shown, told.values[0]


def _published(fact: Fact, where: str, old: str, new: str) -> Fact:
    check = fact.check and replace(fact.check, fix=f"publish at {where}: {old} → {new}; then verify it at the relay")
    return replace(fact, where=where, old=old, new=new, check=check)


def _standing(answer: Answer) -> str:
    name = answer.question.name
    if not answer.values:
        return f"{name}: {answer.word}"
    try:
        key = parse(answer.values[0])
    except KeyRecordError as error:
        return f"{name}: {error}"
    return f"{name}: {key.unusable or f'a key of {key.bits} bits'}"


def relay_keys(sighting: Sighting, known: Sequence[str], signed: Sequence[Signature]) -> Fact:
    """The same as a verdict: not signed, signed with another selector, signed with a key that does not verify."""
    strange = list(dict.fromkeys(s.selector for s in signed if s.selector not in known))
    bad = [s for s in signed if s.status is Status.FAIL]
    silent = [s for s in signed if s.status is Status.UNKNOWN]
    unsigned = [p for p in sighting.proofs if known and not sighting.theirs(p)]
    foreign = [f"{name} (the relay's own name)" for name in sighting.foreign]
    said = ", ".join(dict.fromkeys([*(f"{shown(s)} {s.result}" for s in signed), *foreign])) or "no signature"
    expected = f"the relay signs with {' or '.join(known)}" if known else "no signature of the relay's is expected"
    status = _worst(sighting, wrong=bool(bad or unsigned), strange=bool(strange), silent=bool(silent))
    fix = _key_fix(sighting, known, strange, bad)
    check = judged(sighting, "dkim", status, expected, said, fix, "RFC 6376 3.6")
    where = f"relays.{sighting.domain.relay}.dkim" if strange else ""
    old = (", ".join(known) or "none") if strange else ""
    return Fact(sighting.about, "the relay's signature", said, expected, check, where, old, ", ".join(strange))


def _worst(sighting: Sighting, *, wrong: bool, strange: bool, silent: bool) -> Status:
    if wrong:
        return _cover(sighting)
    if silent:
        return Status.UNKNOWN
    return Status.WARN if strange else Status.PASS


def _key_fix(sighting: Sighting, known: Sequence[str], strange: Sequence[str], bad: Iterable[Signature]) -> str:
    return "; ".join(_key_fixes(sighting, known, strange, bad)) or (
        "verify the domain at the provider (04): till then the relay does not sign for it"
    )


def _key_fixes(
    sighting: Sighting, known: Sequence[str], strange: Sequence[str], bad: Iterable[Signature]
) -> Iterator[str]:
    for selector in strange:
        was = f"in the place of {', '.join(known)}" if known else "in params"
        yield f"name selector {selector} under relays.{sighting.domain.relay}.dkim {was}, with the provider's record"
    for s in {(s.selector, s.domain): s for s in bad}.values():
        yield f"publish at {s.selector}{KEYS}{s.domain} the key that the provider shows for it: {s.said}"
