"""The ways of a run's messages as one picture, for the notebook and the report."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runbooklib.credentials import mask
from runbooklib.delivery.arriving import Parcel, answering
from runbooklib.delivery.lanes import answer, lane
from runbooklib.delivery.proving import Proven
from runbooklib.eml.picture import Lane, Mark, draw
from runbooklib.results import Shown, Status

NOTHING = "nothing was sent, so there is no way to draw"


@dataclass(frozen=True)
class Picture(Shown):
    """A picture that shows itself as such, and in words where none can be seen."""

    title: str
    lanes: tuple[Lane, ...] = ()

    @property
    def svg(self) -> str:
        """Masked as text, before anything encodes it; empty where there is nothing to draw."""
        return mask(draw(self.title, self.lanes)) if self.lanes else ""

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.title if self.lanes else NOTHING, ("",), [(each.told,) for each in self.lanes]

    def data(self) -> dict[str, Any]:
        return {"kind": "picture", "title": self.title, "svg": self.svg}

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        bundle = super()._repr_mimebundle_(include, exclude)
        if not self.lanes:
            return bundle
        # As an image it is also shown in a notebook that is not trusted, and nothing in it can run.
        alt = html.escape(mask(str(self)))
        image = f'<img alt="{alt}" width="900" src="data:image/svg+xml;base64,{_base64(self.svg)}">'
        return {**bundle, "text/html": image, "image/svg+xml": self.svg}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def picture(proven: Proven) -> Picture:
    """One lane for all messages about the same: the one that fared worst, of several the slowest."""
    return Picture("The way each message took", tuple(_lanes(proven)))


def _lanes(proven: Proven) -> Iterator[Lane]:
    awaited, ours = answering(proven.arrived.sent), _our_server(proven)
    alike: dict[str, list[Parcel]] = {}
    for parcel in proven.arrived:
        alike.setdefault(parcel.letter.subject, []).append(parcel)
    for subject, parcels in alike.items():
        drawn = [(lane(proven.arrived, p, proven.of(p), ours), _seconds(p)) for p in parcels]
        answers = [answer(proven.arrived, p) for p in parcels if p.letter.number in awaited]
        yield _named(_answered(_telling(drawn), answers), subject, len(drawn), max(seconds for _, seconds in drawn))


def _telling(drawn: Sequence[tuple[Lane, float]]) -> Lane:
    order = list(Status)
    shown, _ = min(drawn, key=lambda each: (order.index(each[0].status), -each[1]))
    return shown


def _answered(shown: Lane, answers: Sequence[Mark]) -> Lane:
    """With the answer that one of its like got: not each is answered."""
    status = Status.worst([shown.status, *(mark.status for mark in answers)])
    return replace(shown, status=status, marks=(*shown.marks, *answers))


def _our_server(proven: Proven) -> str:
    """Its name, as it wrote it into what arrived; the domain's where nothing did."""
    for parcel in proven.arrived:
        proof = proven.of(parcel)
        way = [hop for hop in proof.mail.hops if not hop.local] if proof else []
        if proof and parcel.letter.inbound and proof.border:
            return proof.border.by
        if way and not parcel.letter.inbound:
            return way[0].by
    return next((parcel.letter.domain for parcel in proven.arrived), "")


def _seconds(parcel: Parcel) -> float:
    copies = parcel.of("message")
    return parcel.after(copies[0]) if copies else 0.0


def _named(shown: Lane, subject: str, count: int, slowest: float) -> Lane:
    if count == 1:
        return shown
    form, good = shown.title.removeprefix(subject).strip() or "plain", shown.status is Status.PASS
    which = f"; the {'slowest' if good else 'worst'}: {form}" if slowest or not good else ""
    return replace(shown, title=subject, note=f"{count} messages{which}")
