"""One picture of the ways that messages took: who handed them to whom, when, how secured, and who vouches for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

from runbooklib.eml.shapes import BOX, FONT, GROUND, INK, SOFT, element, fitted, length, lock, mark, words, written
from runbooklib.results import COLOURS, Status

WIDTH, MARGIN = 900, 12
TITLE, BOX_TOP, BOX_HEIGHT, MARKS_TOP = 14, 22, 50, 80  # within a lane
LANE, LINE = 106, 18  # a lane's height, and what a line of trouble adds
GAP, NARROW, WIDEST = 84, 74, 190  # between two boxes, between many, and of a box
MANY, BOLD = 5, 11.9  # stations; what size bold letters are as wide as
HEAD = 30


@dataclass(frozen=True)
class Station:
    """A host on the way."""

    role: str  # our server, relay, recipient
    name: str
    address: str = ""


@dataclass(frozen=True)
class Leg:
    """The way from one station to the next."""

    status: Status = Status.PASS  # unknown where nobody saw it pass, fail where it ended
    seconds: float | None = None
    tls: str = ""  # the version; or `TLS` where only the protocol says so
    secure: bool | None = None  # None: nobody wrote it down
    skewed: bool = False  # the clocks at its ends disagree


@dataclass(frozen=True)
class Mark:
    """A verdict in a word or two, e.g. SPF pass."""

    status: Status
    said: str


@dataclass(frozen=True)
class Lane:
    """One message's way, from left to right."""

    title: str
    status: Status
    stations: Sequence[Station]
    legs: Sequence[Leg]  # one fewer
    marks: Sequence[Mark] = ()
    note: str = ""  # e.g. how many messages took it
    trouble: str = ""  # what went wrong, in a line

    @property
    def height(self) -> int:
        return LANE + LINE * bool(self.trouble)

    @property
    def told(self) -> str:
        """The lane in words, for who cannot see it."""
        hosts = " to ".join(f"{s.role} {s.name}".strip() for s in self.stations)
        said = [f"{self.title}: {self.status}", hosts, ", ".join(m.said for m in self.marks), self.trouble]
        return "; ".join(filter(None, said))


def draw(title: str, lanes: Sequence[Lane]) -> str:
    """The picture as SVG; 900 wide, a lane below the other."""
    height = HEAD + sum(lane.height for lane in lanes) + MARGIN
    box: dict[str, Any] = {"width": WIDTH, "height": height, "viewBox": f"0 0 {WIDTH} {height}", "role": "img"}
    style = f"max-width:100%;height:auto;fill:{INK}"
    svg = element("svg", xmlns="http://www.w3.org/2000/svg", font_family=FONT, style=style, **box)
    svg.append(element("title", text=title))
    svg.append(element("desc", text=". ".join(lane.told for lane in lanes)))
    svg.append(element("rect", width=WIDTH, height=height, rx=6, style=f"fill:{GROUND}"))
    svg.append(words(MARGIN, 20, title, 14, font_weight=700))
    top = HEAD
    for lane in lanes:
        svg.append(element("g", *_lane(lane), transform=f"translate(0 {top})"))
        top += lane.height
    return written(svg)


def _lane(lane: Lane) -> Iterator[Element]:
    yield element("path", d=f"M{MARGIN} 0H{WIDTH - MARGIN}", stroke_width=1, opacity=0.35, style=f"stroke:{SOFT}")
    yield mark(MARGIN, 5, lane.status)
    aside = fitted(lane.note, WIDTH / 3, 11)
    room = WIDTH - 2 * MARGIN - 26 - length(aside, 11)
    yield words(MARGIN + 20, TITLE + 2, fitted(f"{lane.title}: {lane.status}", room, 12.5), 12.5, font_weight=600)
    yield words(WIDTH - MARGIN, TITLE + 2, aside, fill=SOFT, text_anchor="end")
    yield from _way(lane)
    yield from _marks(lane.marks)
    if lane.trouble:
        yield _hinted(words(MARGIN + 20, LANE + 4, fitted(lane.trouble, WIDTH - 60, 11.5), 11.5), lane.trouble)


def _way(lane: Lane) -> Iterator[Element]:
    count = len(lane.stations)
    gap = NARROW if count >= MANY else GAP
    wide = min((WIDTH - 2 * MARGIN - (count - 1) * gap) / max(count, 1), WIDEST)
    lefts = [MARGIN + i * (wide + gap) for i in range(count)]
    for station, left in zip(lane.stations, lefts, strict=True):
        yield _station(station, left, wide)
    for leg, (left, right) in zip(lane.legs, pairwise(lefts), strict=True):
        yield from _leg(leg, left + wide, right)


def _station(station: Station, left: float, wide: float) -> Element:
    middle, room = left + wide / 2, wide - 10
    frame: dict[str, Any] = {"x": f"{left:.1f}", "y": BOX_TOP, "width": f"{wide:.1f}", "height": BOX_HEIGHT, "rx": 5}
    texts = [
        words(middle, BOX_TOP + 14, fitted(station.role, room, 10), 10, fill=SOFT),
        words(middle, BOX_TOP + 29, fitted(station.name, room, BOLD), 11, font_weight=600),
        words(middle, BOX_TOP + 44, fitted(station.address, room, 10), 10, fill=SOFT),
    ]
    box = element("rect", style=f"fill:{BOX};stroke:{SOFT}", stroke_width=0.8, **frame)
    shown = element("g", box, *(text for text in texts if text.text), text_anchor="middle")
    return _hinted(shown, " ".join(filter(None, [station.role, station.name, station.address])))


def _hinted(thing: Element, said: str) -> Element:
    """With its whole text where a pointer rests on it."""
    thing.insert(0, element("title", text=said)) if thing.tag == "g" else thing.append(element("title", text=said))
    return thing


def _leg(leg: Leg, start: float, end: float) -> Iterator[Element]:
    y, middle, passed = BOX_TOP + BOX_HEIGHT / 2, (start + end) / 2, leg.status is Status.PASS
    colour = SOFT if passed else COLOURS[leg.status]
    dash: dict[str, Any] = {"stroke_dasharray": "5 4"} if leg.status in {Status.UNKNOWN, Status.PENDING} else {}
    line = f"M{start + 3:.1f} {y}H{end - 9:.1f}"
    yield element("path", d=line, stroke_width=1.6 if passed else 2.4, style=f"stroke:{colour}", **dash)
    yield element("path", d=f"M{end - 3:.1f} {y}l-8-4.5v9z", style=f"fill:{colour}")
    if not passed:
        yield mark(middle - 7, y - 7, leg.status)
    above = words(middle, y - (7 if passed else 11), _clock(leg), 10.5, text_anchor="middle")
    yield above
    yield from _secured(leg, middle, y + (7 if passed else 11))


def _clock(leg: Leg) -> str:
    if leg.seconds is None:
        return ""
    told = "under 1 s" if 0 <= leg.seconds < 1 else f"{leg.seconds:.0f} s".replace("-", "\N{MINUS SIGN}")
    return f"{told}, clock?" if leg.skewed else told


def _secured(leg: Leg, middle: float, top: float) -> Iterator[Element]:
    if leg.secure is None:
        return
    said = leg.tls or "TLS" if leg.secure else "no TLS"
    left = middle - (14 + length(said, 10.5)) / 2
    yield lock(left, top, closed=leg.secure)
    yield words(left + 14 + 2 * (not leg.secure), top + 10, said, 10.5)


def _marks(marks: Sequence[Mark]) -> Iterator[Element]:
    left = float(MARGIN + 20)
    for each in marks:
        text = fitted(each.said, 260, 11)
        yield mark(left, MARKS_TOP, each.status)
        yield _hinted(words(left + 19, MARKS_TOP + 11, text), each.said)
        left += 19 + length(text, 11) + 16
