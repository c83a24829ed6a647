"""MX: who receives mail for a name."""

from __future__ import annotations

from runbooklib.answers import Answer
from runbooklib.records.rules import Comparison, right
from runbooklib.records.wanted import Wanted
from runbooklib.results import Status

REGIONAL = 3  # labels of a host that names a region below its first one: four at least
NOBODY = "."  # the host of a null MX: nothing is received (RFC 7505)


def host(value: str) -> str:
    """The host of an MX value."""
    return value.split()[1]


def others(wanted: Wanted, answer: Answer) -> tuple[str, ...]:
    """Who else receives for the name."""
    ours = {host(v) for v in wanted.values}
    return tuple(h for h in map(host, answer.values) if h not in {*ours, NOBODY})


def mx(wanted: Wanted, answer: Answer) -> Comparison:
    """An MX that is not ours stays: to replace it would move mail that arrives elsewhere today."""
    foreign = others(wanted, answer)
    if wanted.returns:
        foreign = tuple(h for h in foreign if not _another_region(h, host(wanted.values[0])))
        if foreign:
            return Comparison(Status.FAIL, f"{', '.join(foreign)} receives for {wanted.name}", fix=_occupied(wanted))
    if foreign:
        said = f"{', '.join(foreign)} receives for {wanted.name}"
        beside = " beside us" if len(foreign) < len(answer.values) else ""
        return Comparison(Status.WARN, said + beside, fix=_left(wanted))
    ours = tuple(v for v in answer.values if host(v) == host(wanted.values[0]))
    if ours and ours == answer.values:
        return right(answer.shown)
    return Comparison(Status.FAIL, answer.shown, ours or wanted.values, whole=True)


def _another_region(theirs: str, ours: str) -> bool:
    """Whether a host is the same relay's in another region: feedback-smtp.<region>.amazonses.com."""
    first, second = theirs.split("."), ours.split(".")
    return theirs != ours and len(first) > REGIONAL and (first[0], first[2:]) == (second[0], second[2:])


def _occupied(wanted: Wanted) -> str:
    return (
        f"left as it is: bounces of the relay have to arrive at {host(wanted.values[0])}; if nobody needs mail for "
        "this name, remove the MX yourself and run again, else give the relay another return path"
    )


def _left(wanted: Wanted) -> str:
    if host(wanted.values[0]) == NOBODY:
        return f"left as it is: params say that {wanted.name} receives nothing; remove the MX yourself if that is so"
    return "left as it is; when mail shall arrive here, say take_over_mx: true for this domain in params"
