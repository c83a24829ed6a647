"""Why a plan must not be applied: what it would drop, double, weaken or tighten, each reason at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from runbooklib import dmarc, spf
from runbooklib.answers import Answer, Question
from runbooklib.dmarc import Record
from runbooklib.records.observed import Observed
from runbooklib.records.planned import RecordChange
from runbooklib.records.rules.receiving import NOBODY, host
from runbooklib.records.wanted import Desired
from runbooklib.results import Change
from runbooklib.spf import Spf, SpfError

SMALLEST = 10  # rrsets known of a zone, below which a share says nothing
LENIENT = "+?~-"  # qualifiers, from what lets pass to what refuses (RFC 7208 4.6.2)


def refusals(changes: Iterable[RecordChange], want: Desired, have: Observed) -> tuple[str, ...]:
    """Every reason why these changes must not be published."""
    planned = list(changes)
    said = [*dangers(planned), *_shares(planned, want, have)]
    for change in planned:
        reasons = [*_doubled(change), *_weakened(change), *_tightened(change), *_abrupt(change, have)]
        said += [f"{change.target}: {reason}" for reason in reasons]
    return tuple(said)


def dangers(changes: Iterable[Change]) -> tuple[str, ...]:
    """Why these changes must not be published: something would go without a successor."""
    return tuple(
        f"{c.target}: would drop {len(c.removed)} values and add {len(c.added)}"
        for c in changes
        if isinstance(c, RecordChange) and len(c.removed) > len(c.added) and not (c.retired or _succeeded(c))
    )


def _succeeded(change: RecordChange) -> bool:
    """Whether what will stand takes the place of all that goes."""
    return change.whole and (bool(change.added) or len(change.stands) > len(change.removed))


def _shares(changes: list[RecordChange], want: Desired, have: Observed) -> Iterator[str]:
    """A plan that empties a zone comes from a wrong memory or a wrong zone, seldom from a wish."""
    asked = {Question(*w.asked) for w in (*want, *want.unwanted)} & {a.question for a in _own(have)}
    known = Counter(have.zone_of(question.name) for question in asked)
    drops = Counter(c.zone for c in changes if c.removed and not c.added)
    for zone, count in drops.items():
        if known[zone] >= SMALLEST and count > want.largest_share * known[zone]:
            said = f"zone {zone}: would drop {count} of the {known[zone]} rrsets known"
            yield f"{said}, more than {want.largest_share:.0%}; raise dns.largest_share for this run if that is meant"


def _own(have: Observed) -> Iterator[Answer]:
    return (a for a in have if not a.recursive and a.heard)


def _doubled(change: RecordChange) -> Iterator[str]:
    """Of two SPF or DMARC records at a name none counts (RFC 7208 4.5, RFC 9989 4.10)."""
    for kind, claims in {"SPF": spf.is_spf, "DMARC": dmarc.is_dmarc}.items():
        after = [text for text in change.texts_after if claims(text)]
        if len(after) > 1 and any(map(claims, change.added)):
            yield f"would publish a second {kind} record beside {after[0]}"


def _weakened(change: RecordChange) -> Iterator[str]:
    """Each way in which a DMARC record would ask for less than the one that stands."""
    before, after = _policy(change.texts_before), _policy(change.texts_after)
    if before is None or not change.name.startswith("_dmarc."):
        return
    if after is None:
        yield f"would take away the DMARC policy {before}"
        return
    yield from (f"would weaken DMARC: {reason}" for reason in weaker(before, after))


def weaker(before: Record, after: Record) -> Iterator[str]:
    """The words in which one DMARC record asks for less than another (RFC 9989 4.8; pct= RFC 7489 6.3)."""
    for tag, asked in {"p": "policy", "sp": "subdomain_policy", "np": "missing_policy"}.items():
        old, new = getattr(before, asked), getattr(after, asked)
        if dmarc.POLICIES.index(new) < dmarc.POLICIES.index(old):
            yield f"{tag} {old} → {new}"
    for tag, strict in {"adkim": "strict_dkim", "aspf": "strict_spf"}.items():
        if getattr(before, strict) and not getattr(after, strict):
            yield f"{tag} strict → relaxed"
    if after.testing and not before.testing:
        yield "t=y"
    if after.percentage < before.percentage:
        yield f"pct {before.percentage} → {after.percentage}"


def _policy(texts: Iterable[str]) -> Record | None:
    """The one policy that counts; of several none does."""
    found = [text for text in texts if dmarc.is_dmarc(text)]
    return dmarc.accepted(found[0]) if len(found) == 1 else None


def _tightened(change: RecordChange) -> Iterator[str]:
    """A qualifier that would refuse more than it does: its owner tightens it, knowing who sends."""
    before, after = _senders(change.texts_before), _senders(change.texts_after)
    if before is None or after is None:
        return
    new = {(t.name, t.value, t.prefix4, t.prefix6): t for t in after.terms if t.qualifier}
    for term in before.terms:
        now = new.get((term.name, term.value, term.prefix4, term.prefix6))
        if now and term.qualifier and LENIENT.index(now.qualifier) > LENIENT.index(term.qualifier):
            yield f"would tighten SPF: {term.text} → {now.text}"


def _abrupt(change: RecordChange, have: Observed) -> Iterator[str]:
    """A first SPF record on a name in use ends in ~all, until reports say that nobody is missed."""
    first = _senders(change.texts_after) if _senders(change.texts_before) is None else None
    if first is None or first.all is None or first.all.qualifier != "-":
        return
    there = [a for a in _own(have) if a.question == Question(change.name, "MX")]
    if {host(v) for a in there for v in a.values} - {NOBODY}:
        yield f"its first SPF record would end in -all, and {change.name} is in use: mail arrives there"


def _senders(texts: Iterable[str]) -> Spf | None:
    found = [text for text in texts if spf.is_spf(text)]
    try:
        return spf.parse(found[0]) if len(found) == 1 else None
    except SpfError:
        return None
