"""SPF: one record, holding at least the mechanisms wanted; what else it holds is the owner's."""

from __future__ import annotations

from dataclasses import replace

from runbooklib import spf
from runbooklib.answers import Answer
from runbooklib.records.rules import Comparison, missing, quoted, right
from runbooklib.records.texts import parts
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status


def record(wanted: Wanted, answer: Answer) -> Comparison:
    """What is wanted merged into what stands; never a second record beside it."""
    found = [v for v in answer.values if spf.is_spf(v)]
    if wrapped := quoted(answer, spf.is_spf):
        return wrapped
    if not found:
        return replace(missing(wanted, answer), said="no SPF record" if answer.values else str(answer.word))
    if len(found) > 1:
        return _twice(found)
    if not spf.parse(wanted.values[0]).tested:
        return _silent(wanted, found[0])
    try:
        stands = spf.parse(found[0])
    except spf.SpfError as error:
        fix = _respaced(found[0], answer) or f"correct it by hand; it should hold {wanted.values[0]}"
        return Comparison(Status.FAIL, f"{found[0]}: permerror, {error}", fix=fix)
    return _merged(answer, found[0], stands, stands.merged(spf.parse(wanted.values[0]), wanted.name))


def _merged(answer: Answer, text: str, stands: spf.Spf, merged: spf.Spf) -> Comparison:
    if merged != stands:
        return Comparison(Status.FAIL, text, tuple(str(merged) if v == text else v for v in answer.values))
    if stands.all and stands.all.qualifier == "+":
        fix = "end it in ~all: +all lets the whole world send as this domain"
        return Comparison(Status.WARN, text, fix=fix)
    return right(text)


def _silent(wanted: Wanted, text: str) -> Comparison:
    """A name said to send nothing; what stands and lets somebody send is not ours to forbid."""
    try:
        stands = spf.parse(text)
    except spf.SpfError as error:
        return Comparison(Status.FAIL, f"{text}: permerror, {error}", fix=f"make it {wanted.values[0]}")
    if stands == spf.parse(wanted.values[0]):
        return right(text)
    fix = f"left as it is: it lets others send as this name; if nothing does, make it {wanted.values[0]} yourself"
    return Comparison(Status.WARN, text, fix=fix)


def _twice(found: list[str]) -> Comparison:
    said = f"{len(found)} SPF records, which is permerror (RFC 7208 4.5): {' and '.join(found)}"
    try:
        first, *others = map(spf.parse, found)
    except spf.SpfError:
        return Comparison(Status.FAIL, said, fix="keep one record, correct and complete")
    for other in others:
        first = first.merged(other)
    return Comparison(Status.FAIL, said, fix=f"replace them by one: {first}")


def _respaced(text: str, answer: Answer) -> str:
    """What to do where the record was cut into strings and a blank was lost; empty where that is not it."""
    strings = next((parts(raw) for v, raw in zip(answer.values, answer.raw, strict=False) if v == text), ())
    try:
        meant = spf.parse(" ".join(strings)) if len(strings) > 1 else None
    except spf.SpfError:
        return ""
    return f"its strings are joined without a blank (RFC 7208 3.3): enter it as {meant}" if meant else ""
