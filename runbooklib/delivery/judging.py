"""The verdict on each message: accepted, relayed, arrived, authentic, encrypted, answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runbooklib.delivery import abuse, following, incoming, outgoing, returning, webmail
from runbooklib.delivery.arriving import answering
from runbooklib.delivery.cases import Case
from runbooklib.delivery.comparing import Truth
from runbooklib.delivery.folding import fold
from runbooklib.delivery.messages import Letters, Route
from runbooklib.delivery.proving import Proven
from runbooklib.eml import judging
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Status

TITLE = "test messages"


def judge(site: Site, proven: Proven, told: Truth) -> Checklist:
    """Every claim about every message and relay; what was not sent is pending, what cannot be seen advisory."""
    of_relays = told.checks if proven.arrived.sent else ()
    return verdict(site, proven) + Checklist(TITLE, (*of_relays, *webmail.rows(site)))


def verdict(site: Site, proven: Proven) -> Checklist:
    """The same without what only DNS and the server can tell."""
    arrived = proven.arrived
    plan = arrived.sent.plan
    if not arrived.sent:
        return Checklist(TITLE, (*_pending(plan), *plan.missing))
    awaited = answering(arrived.sent)
    cases = [Case(site, proven, parcel) for parcel in arrived]
    checks = fold((c.letter, row) for c in cases for row in _verdict(c, answered=c.letter.number in awaited))
    asked = [row for each in arrived.asked for row in abuse.judge(site, each)]
    return Checklist(TITLE, (*checks, *asked, *plan.missing))


def _pending(plan: Letters) -> Iterator[Check]:
    for subject, count in Counter(letter.subject for letter in plan).items():
        expected = f"{count} messages sent and seen" if count > 1 else "sent and seen"
        yield Check(f"delivery.sent {subject}", Status.PENDING, expected, "not sent: apply is False")
    for question in plan.questions:
        yield abuse.pending(question)


def _verdict(case: Case, *, answered: bool) -> Iterator[Check]:
    found, letter = case.parcel.of("message"), case.letter
    by_ourselves = letter.route in {Route.DIRECT, Route.FORGED}
    yield (incoming.taken if by_ourselves else following.accepted)(case)
    if letter.route is Route.FORGED or not case.parcel.handed.taken:
        return  # wherever a forgery is, it should not have come
    if not letter.inbound:
        yield (relay := following.relayed(case))
        if relay.status in {Status.FAIL, Status.WARN} and not found:
            return  # what did not leave cannot arrive: one row is enough
    if back := returning.returned(case):
        yield back
    if letter.lands:
        yield following.arrived_at(case)
    if answered:
        yield following.answered(case)
    if found:
        yield following.once(case)
        yield from incoming.rows(case, found[0]) if letter.inbound else _outgoing(case)


def _outgoing(case: Case) -> Iterator[Check]:
    """Who vouches for it and what became of it on its way, then what its reader and the big receivers make of it."""
    yield from outgoing.rows(case, case.parcel.of("message")[0])
    if case.proof:
        yield from judging.judge(case.proof, case.letter.name)
