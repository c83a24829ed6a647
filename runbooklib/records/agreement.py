"""Whether resolvers say what the authoritative servers say; a cache explains a difference until its time is over."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from runbooklib.answers import Answer, Question, Word
from runbooklib.records.clock import newer, stamp, visibility
from runbooklib.records.comparison import compare, repeats
from runbooklib.records.observed import Observed
from runbooklib.records.wanted import Desired, Wanted
from runbooklib.results import Check, Status

NAME, REF = "dns.resolvers.agree", "RFC 2181 5.2"
EXPECTED = "resolvers repeat the authoritative servers"
SLACK = timedelta(seconds=5)  # between a server's clock tick and our own


@dataclass(frozen=True)
class Difference:
    """What a resolver says otherwise, and why no cache explains it; empty: one may."""

    wanted: Wanted
    answer: Answer
    why: str = ""


def agreement(want: Desired, seen: Observed) -> tuple[Check, ...]:
    """One row about all resolvers; none where none was asked about what stands at the authoritative servers."""
    standing = [w for w in want if not w.elsewhere and stands(w, seen)]
    answers = [a for w in standing for a in seen.at_resolvers(w)]
    return (_row(differences(standing, seen), answers),) if answers else ()


def differences(want: Iterable[Wanted], seen: Observed) -> list[Difference]:
    """Every answer of a resolver that says otherwise, or refuses to say."""
    return [
        Difference(wanted, answer, falsehood(wanted, answer, seen))
        for wanted in want
        for answer in seen.at_resolvers(wanted)
        if _filtered(answer) or (answer.heard and not repeats(wanted, answer, seen))
    ]


def stands(wanted: Wanted, seen: Observed) -> bool:
    """Whether every authoritative server that can be heard holds it."""
    heard = [a for a in seen.at_authority(wanted) if a.heard]
    return bool(heard and wanted.values) and all(compare(wanted, a).good for a in heard)


def falsehood(wanted: Wanted, answer: Answer, seen: Observed) -> str:
    """Why an answer that differs is no cached one; empty where it may be."""
    zone = seen.zone_of(wanted.name)
    if _filtered(answer):
        return f"filters: {answer.note}"
    if answer.heard and not answer.values and not answer.chain and answer.zone not in {zone, ""}:
        return f"forges: says that nothing is there in the name of {answer.zone}, the zone is {zone}"
    if any(map(_sunk, answer.values)):
        return "filters: leads the name to an address where nobody is"
    return _stale(wanted, answer, seen) or _other_copy(answer.server, zone, seen)


def _stale(wanted: Wanted, answer: Answer, seen: Observed) -> str:
    """After a change of ours a cache may hold what stood long before it; an absence only as long as the clock says."""
    until = visibility(seen).until(wanted.name, wanted.type)
    if until and not answer.values and not answer.chain and answer.until > until + SLACK:
        return f"stale: holds the absence beyond {stamp(until)}, when its time is over"
    if until is None and (answer.question, answer.server) in seen.outlived:
        return "stale: said the same again after its TTL was over"
    return ""


def _filtered(answer: Answer) -> bool:
    """The resolver's owner does not let it through, and says so (RFC 8914 4)."""
    return answer.word is Word.REFUSED and bool(answer.note)


def _sunk(value: str) -> bool:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return address.is_unspecified or address.is_loopback


def _other_copy(server: str, zone: str, seen: Observed) -> str:
    """What the resolver finds when no cache can help it: an SOA record that no authoritative server has any more."""
    question = Question(zone, "SOA")
    found = next((a.values[0].split() for a in seen.fresh if (a.server, a.question) == (server, question)), None)
    ours = [a.values[0].split() for a in seen.soas if a.question == question and a.values]
    if not found or not ours:
        return ""
    if found[0] not in {soa[0] for soa in ours}:
        return f"asks elsewhere: its {zone} has the primary {found[0]}"
    if all(newer(int(soa[2]), int(found[2])) for soa in ours):
        return f"asks an old copy: its {zone} has serial {found[2]}"
    return ""


def _row(found: list[Difference], answers: list[Answer]) -> Check:
    heard = [a for a in answers if a.heard]
    false = [d for d in found if d.why]
    truthful = {a.server for a in heard} - {d.answer.server for d in found}
    if false:
        status = Status.WARN if truthful else Status.FAIL
        return Check(NAME, status, EXPECTED, "; ".join(map(_told, false)), _advice(false, truthful), REF)
    if not heard:
        said = ", ".join(dict.fromkeys(f"{a.server} {a.word}" for a in answers))
        fix = "check dns.resolvers in params, and that port 53 is open from here"
        return Check(NAME, Status.UNKNOWN, EXPECTED, said, fix, REF, advisory=True)
    if found:
        until = stamp(max(d.answer.until for d in found))
        said = ", ".join(dict.fromkeys(d.answer.server for d in found))
        return Check(NAME, Status.PENDING, EXPECTED, f"{said} until {until}", f"run again after {until}", REF)
    return Check(NAME, Status.PASS, EXPECTED, ", ".join(dict.fromkeys(a.server for a in heard)), ref=REF)


def _told(difference: Difference) -> str:
    wanted, answer = difference.wanted, difference.answer
    said = " + ".join(answer.shown.splitlines())
    return f"{answer.server} says of {wanted.name} {wanted.type}: {said} ({difference.why})"


def _advice(false: list[Difference], truthful: set[str]) -> str:
    servers = ", ".join(dict.fromkeys(d.answer.server for d in false))
    if truthful:
        return f"the zone is right, {servers} is not: whoever asks it sees something else; tell those who run it"
    return (
        "no resolver sees the zone as its servers hold it: is port 53 redirected here, is the delegation the right one?"
    )
