"""One message as a lane of the picture: where it was seen, how far it came, and who vouches for it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runbooklib.delivery.arriving import Arrived, Copy, Parcel
from runbooklib.delivery.messages import Letter, Route
from runbooklib.delivery.outgoing import SKEW
from runbooklib.eml import Authentication, hops
from runbooklib.eml.hops import Hop, Step
from runbooklib.eml.picture import Lane, Leg, Mark, Station
from runbooklib.results import Status
from runbooklib.spf import Result

HOST = re.compile(r"^(?P<name>[^\[,]+)(?:\[(?P<address>[^\]]+)\])?")  # Postfix: smtp.relay.example[198.51.100.5]:587
MOST = 5  # stations in a lane; hosts between are left out where there are more
FATES = {"accepted": Status.PASS, "refused": Status.FAIL, "unsent": Status.FAIL, "unknown": Status.UNKNOWN}
TRIED = {"sent": Status.PASS, "deferred": Status.PENDING, "bounced": Status.FAIL}
RESULTS = {Result.PASS: Status.PASS, Result.TEMPERROR: Status.UNKNOWN}

Way = tuple[list[Station], list[Leg]]


def lane(arrived: Arrived, parcel: Parcel, proof: Authentication | None, ours: str) -> Lane:
    """What is known of one message; `ours` is our server's name."""
    copies = parcel.of("message")
    stations, legs = _seen(parcel, copies[0], proof, ours) if copies and proof else _followed(parcel, ours)
    marks = [*_arrival(arrived, parcel), *(_vouching(parcel.letter, proof) if proof else ())]
    status = Status.worst([*(leg.status for leg in legs), *(mark.status for mark in marks)])
    return Lane(parcel.letter.name, status, *_shortened(stations, legs), marks, trouble=_trouble(parcel, status))


def _seen(parcel: Parcel, copy: Copy, proof: Authentication, ours: str) -> Way:
    """By the Received headers of what arrived, up to where the recipient took it."""
    way = [hop for hop in proof.mail.hops if not hop.local]
    way = way[: way.index(proof.border) + 1] if proof.border in way else way
    steps = list(hops.timeline(way, parcel.handed.at or None, parcel.came(copy)))
    if not steps:
        return _followed(parcel, ours)
    first = Station("this machine", way[0].said, way[0].address)
    addresses = [hop.address for hop in way[1:]] + [""]
    roles = _roles(parcel.letter, len(way))
    hosts = [Station(role, hop.by, at) for role, hop, at in zip(roles, way, addresses, strict=True)]
    return [first, *hosts], [_leg(step, parcel.letter, ours) for step in steps]


def _roles(letter: Letter, count: int) -> list[str]:
    last = "our server" if letter.inbound else "recipient"
    first, middle = ("their server", "") if letter.inbound else ("our server", "relay")
    return [*[first, *[middle] * (count - 2)][: count - 1], last]


def _leg(step: Step, letter: Letter, ours: str) -> Leg:
    """In clear it fails at our own server and warns elsewhere, but for a door that is tried in clear."""
    hop: Hop = step.hop
    meant = bool(letter.door) and "STARTTLS" not in letter.door
    bare = not (hop.secure or meant)
    status = Status.WARN if bare or hop.outdated or abs(step.skew) > SKEW else Status.PASS
    worse = bare and ours in {hop.by, hop.said}
    seconds = step.skew or step.seconds
    return Leg(Status.FAIL if worse else status, seconds, hop.version, hop.secure, bool(step.skew))


def _followed(parcel: Parcel, ours: str) -> Way:
    """Without a copy: by what the first server answered, the server's log, and what came back."""
    letter, handed = parcel.letter, parcel.handed
    here = Station("", "this machine", handed.client)
    if handed.fate == "unsent" and handed.verdict is Status.PASS:
        return [here], []  # nobody was to get it
    foreign = letter.inbound and letter.route not in {Route.DIRECT, Route.FORGED}
    near = Station("their server", _domain(letter.sender)) if foreign else Station("our server", ours)
    status = handed.verdict if handed.fate == "unsent" else FATES[handed.fate]
    secure = bool(handed.tls) if handed.fate == "accepted" else None
    first = Leg(_expected(letter, status), None, _version(handed.tls), secure)
    if not handed.taken or not (foreign or not letter.inbound):
        return [here, near], [first]
    far, passed = _onward(parcel, ours)
    return [here, near, *far], [first, *passed]


def _onward(parcel: Parcel, ours: str) -> Way:
    """From the first server on."""
    letter, tries = parcel.letter, parcel.tries
    end = Station("our server", ours) if letter.inbound else Station("recipient", _domain(letter.recipient))
    arrived = Status.FAIL if parcel.of("bounce") else Status.PASS if parcel.of("answer") else Status.UNKNOWN
    if letter.inbound or not tries:
        return [end], [Leg(_expected(letter, arrived))]
    told, status = HOST.match(tries[-1].relay), TRIED.get(tries[-1].status, Status.UNKNOWN)
    name, address = told.groups(default="") if told else (tries[-1].relay, "")
    relay = Station("relay", name, address)
    if status is not Status.PASS:
        return [relay], [Leg(_expected(letter, status))]
    return [relay, end], [Leg(), Leg(_expected(letter, arrived))]


def _expected(letter: Letter, status: Status) -> Status:
    """A refusal is what a bounce and a forgery are sent for."""
    meant = letter.route in {Route.BOUNCE, Route.FORGED} and status is Status.FAIL
    return Status.PASS if meant else status


def _domain(address: str) -> str:
    return address.rpartition("@")[2] or address


def _version(tls: str) -> str:
    return tls.partition(" ")[0] if tls.startswith("TLSv") else ""


def _shortened(stations: list[Station], legs: list[Leg]) -> Way:
    """The first and last hosts of a long way; the leg over what is left out has the worst of it."""
    if len(stations) <= MOST:
        return stations, legs
    over = legs[2:-1]
    told = [leg.seconds for leg in over if leg.seconds is not None and not leg.skewed]
    worst = Status.worst(leg.status for leg in over)
    bridge = Leg(worst, sum(told) if told else None, "", all(leg.secure for leg in over))
    return [*stations[:3], *stations[-2:]], [*legs[:2], bridge, legs[-1]]


def _arrival(arrived: Arrived, parcel: Parcel) -> Iterator[Mark]:
    """Where it lies, or what is known instead."""
    letter, copies = parcel.letter, parcel.of("message")
    forged = letter.route is Route.FORGED
    if copies:
        copy = copies[0]
        seconds = f" after {parcel.after(copy):.1f} s" if parcel.handed.at else ""
        good = (copy.folder == "INBOX") is not forged
        yield Mark(Status.PASS if good else Status.WARN, f"in {copy.folder}{seconds}")
    if len(copies) > 1:
        yield Mark(Status.WARN, f"{len(copies)} copies")
    if not copies:
        yield from _missing(arrived, parcel)


def _missing(arrived: Arrived, parcel: Parcel) -> Iterator[Mark]:
    letter, handed = parcel.letter, parcel.handed
    rightly = ", as it should be" if _expected(letter, Status.FAIL) is Status.PASS else ""
    if handed.fate == "unsent":
        yield Mark(handed.verdict, "not sent")
    elif handed.fate == "refused":
        yield Mark(_expected(letter, Status.FAIL), f"refused{rightly}")
    elif parcel.of("bounce") or any(a.status == "bounced" for a in parcel.tries):
        yield Mark(_expected(letter, Status.FAIL), f"bounced{rightly}")
    elif letter.lands in arrived.troubles:
        yield Mark(Status.UNKNOWN, "the mailbox could not be read")
    elif letter.lands:
        yield Mark(Status.UNKNOWN, f"not there within {arrived.wait:g} s")
    elif not parcel.of("answer"):
        yield Mark(FATES[handed.fate], f"{handed.fate}; nobody lets us look further")


def _vouching(letter: Letter, proof: Authentication) -> Iterator[Mark]:
    """SPF, DKIM and DMARC as we found them; of a stranger who is nobody there is nothing to find."""
    if letter.route is Route.DIRECT:
        return
    wrong = Status.WARN if letter.inbound else Status.FAIL
    wrong = Status.PASS if letter.route is Route.FORGED else wrong  # that it fails is what it was sent for
    yield _spf(proof, wrong)
    yield _dkim(proof, wrong)
    yield _dmarc(proof, wrong)


def _spf(proof: Authentication, wrong: Status) -> Mark:
    if proof.spf is None:
        return Mark(Status.UNKNOWN, "SPF not known")
    return Mark(RESULTS.get(proof.spf.result, wrong), f"SPF {proof.spf.result}")


def _dkim(proof: Authentication, wrong: Status) -> Mark:
    """The worst signature counts; a broken one only warns where another stands in for it."""
    if not proof.signatures:
        return Mark(wrong, "DKIM none")
    good, rest = ([s for s in proof.signatures if s.good is holds] for holds in (True, False))
    found = {s.status for s in rest}
    broken = Status.WARN if proof.aligned.dkim else wrong
    status = broken if Status.FAIL in found else Status.worst(found)
    return Mark(status, "DKIM " + "; ".join(f"{s.result} ({s.selector})" for s in (*rest, *good)))


def _dmarc(proof: Authentication, wrong: Status) -> Mark:
    told = proof.method("dmarc")
    if proof.verdict == "unknown":
        return Mark(Status.UNKNOWN, "DMARC not known")
    if proof.verdict == "none":
        return Mark(wrong, "DMARC: nothing aligned")
    if told and told.result != "pass":
        return Mark(Status.UNKNOWN if told.result == "temperror" else wrong, f"the recipient says dmarc={told.result}")
    return Mark(Status.PASS, f"DMARC aligned by {proof.verdict}")


def answer(arrived: Arrived, parcel: Parcel) -> Mark:
    """Whether the answer came that was awaited."""
    found, handed = parcel.of("answer"), parcel.answer
    if found:
        return Mark(Status.PASS, f"answered after {parcel.after(found[0]):.1f} s")
    if handed and not handed.taken:
        return Mark(Status.FAIL, f"the answer was {handed.fate}")
    return Mark(Status.UNKNOWN, f"no answer within {arrived.wait:g} s")


def _trouble(parcel: Parcel, status: Status) -> str:
    """The last words there are, where it did not go well or nowhere."""
    if parcel.handed.fate == "unsent":
        return parcel.handed.said
    if status is Status.PASS or parcel.of("message"):
        return ""
    if parcel.tries:
        return f"{parcel.tries[-1].relay}: {parcel.tries[-1].said}"
    bounces = parcel.of("bounce")
    return str(bounces[0].message["Subject"]) if bounces else parcel.handed.said
