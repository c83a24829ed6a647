"""DMARC: a published policy, own or inherited, is kept where it asks for as much or more; it is never weakened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib import dmarc
from runbooklib.answers import Answer, Question, Word
from runbooklib.dmarc import DmarcError, Found, Record
from runbooklib.records.observed import Observed
from runbooklib.records.rules import Comparison, missing, quoted, right
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status


def policy(wanted: Wanted, answer: Answer) -> Comparison:
    """One record that asks for what is wanted or more, and reports to whom params name besides whom it has."""
    found = [v for v in answer.values if dmarc.is_dmarc(v)]
    if wrapped := quoted(answer, dmarc.is_dmarc):
        return wrapped
    if not found:
        return missing(wanted, answer)
    if len(found) > 1:
        fix = f"keep one: with several none applies (RFC 9989 4.10): {' and '.join(found)}"
        return Comparison(Status.FAIL, f"{len(found)} DMARC records", fix=fix)
    try:
        stands, ours = dmarc.parse(found[0]), dmarc.parse(wanted.values[0])
    except DmarcError as error:
        return Comparison(Status.FAIL, f"{found[0]}: {error}", fix=f"correct it by hand, e.g. {wanted.values[0]}")
    raised = _reporting(stands if stands.at_least(ours) else stands.raised_to(ours), ours)
    return _raised(answer, found[0], stands, raised)


def _raised(answer: Answer, text: str, stands: Record, raised: Record) -> Comparison:
    if raised.tags == stands.tags:
        return right(text)
    return Comparison(Status.FAIL, text, tuple(str(raised) if v == text else v for v in answer.values))


def _reporting(stands: Record, ours: Record) -> Record:
    """The record with our destinations of aggregate reports beside its own."""
    known = {d.uri.lower() for d in stands.aggregate}
    lacking = [d.uri for d in ours.aggregate if d.uri.lower() not in known]
    if not lacking:
        return stands
    return Record({**stands.tags, "rua": ",".join(filter(None, [stands.tags.get("rua", ""), *lacking]))})


def inherited(wanted: Wanted, have: Observed) -> str:
    """The record from above that asks for more than ours would, which would therefore weaken it; empty for none."""
    ours = dmarc.parse(wanted.values[0]).policy if _decides(wanted, have) else ""
    stronger = (f for f in _above(wanted, have) if f.policy and ours and _rank(f.policy) > _rank(ours))
    return next((str(f.record) for f in stronger), "")


def unheard_above(wanted: Wanted, have: Observed) -> tuple[str, ...]:
    """The names whose answer decides what is inherited, and was not heard: a record of ours might weaken it."""
    names = (name for found in _above(wanted, have) for name in found.unheard)
    return tuple(dict.fromkeys(names)) if _decides(wanted, have) else ()


def fitted(wanted: Wanted, have: Observed) -> Wanted:
    """What is wanted, with the strict alignment that the domain has from above and would lose (RFC 9989 4.4)."""
    if not _decides(wanted, have):
        return wanted
    above = [found.record for found in _above(wanted, have) if found.record]
    strict = {"adkim": any(r.strict_dkim for r in above), "aspf": any(r.strict_spf for r in above)}
    tags = {tag: "s" for tag, kept in strict.items() if kept}
    return replace(wanted, values=(str(Record({**dmarc.parse(wanted.values[0]).tags, **tags})),)) if tags else wanted


def _rank(asked: str) -> int:
    return dmarc.POLICIES.index(asked)


def _decides(wanted: Wanted, have: Observed) -> bool:
    """Whether what stands above counts: the domain has no record of its own."""
    own = (v for a in have.at_authority(wanted) for v in a.values)
    return wanted.kind == "dmarc" and bool(wanted.values) and not any(map(dmarc.is_dmarc, own))


def _above(wanted: Wanted, have: Observed) -> Iterator[Found]:
    """What the domain has from above by RFC 9989 and by RFC 7489, as long as it has no record itself."""
    domain = wanted.name.removeprefix("_dmarc.")
    answers = {a.question.name: a for a in reversed(have.above(wanted))}
    answers |= {a.question.name: a for a in reversed(have.above(wanted)) if a.heard}
    # A top-level domain is not asked: nobody's plan can weaken what it says of all its domains.
    absent = {n: Answer(Question(n, "TXT"), "", Word.NXDOMAIN) for n in dmarc.asked(domain) if n.count(".") == 1}
    absent |= {wanted.name: Answer(Question(wanted.name, "TXT"), "", Word.NODATA)}
    found = dmarc.discover(domain, {**answers, **absent})
    return iter((found.walked, found.listed))
