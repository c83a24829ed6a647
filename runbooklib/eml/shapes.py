"""The few shapes pictures are drawn with: SVG elements, whatever text they hold escaped, nothing loaded from elsewhere.

Colours are CSS variables with a fallback: a page may set them for its dark theme, an image stands on its own.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

from runbooklib.results import COLOURS, MARKS, Status

INK, SOFT = "var(--picture-ink,#1b1b1b)", "var(--picture-soft,#5b6066)"
GROUND, BOX = "var(--picture-ground,#ffffff)", "var(--picture-box,#f2f4f7)"
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"
WIDE = 0.58  # a letter's width as a part of its size, on average
UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 2.2
# Beside its colour each verdict has a form of its own, within a square of 14.
FORMS = {
    Status.PASS: "M7 0a7 7 0 1 0 .01 0z",
    Status.PENDING: "M2 0h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2h-10a2 2 0 0 1-2-2v-10a2 2 0 0 1 2-2z",
    Status.WARN: "M7 0l7.5 14h-15z",
    Status.UNKNOWN: "M7-1l8 8-8 8-8-8z",
    Status.FAIL: "M4 0h6l4 4v6l-4 4h-6l-4-4v-6z",
}


def clean(text: str) -> str:
    """Text that XML can hold, on one line."""
    return " ".join(UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", text).split())


def element(name: str, *children: Element, text: str = "", style: str = "", **attributes: object) -> Element:
    """One element; `_` in an attribute's name stands for a hyphen."""
    made = Element(name, {key.strip("_").replace("_", "-"): str(value) for key, value in attributes.items()})
    if style:
        made.set("style", style)
    made.text = clean(text) or None
    made.extend(children)
    return made


def written(root: Element) -> str:
    """The element as text."""
    return tostring(root, encoding="unicode")


def fitted(text: str, width: float, size: float) -> str:
    """As much of a text as fits; the middle goes, since host names tell by both ends."""
    plain, room = clean(text), max(int(width / (size * WIDE)), 3)
    if len(plain) <= room:
        return plain
    tail = (room - 1) // 2
    return f"{plain[: room - 1 - tail]}…{plain[-tail:]}"


def length(text: str, size: float) -> float:
    """About how wide a text becomes."""
    return len(text) * size * WIDE


def words(x: float, y: float, text: str, size: float = 11, *, fill: str = "", **more: object) -> Element:
    """A line of text that begins at x, or as `text_anchor` says, in the picture's ink where no other is named."""
    style = f"fill:{fill}" if fill else ""
    return element("text", x=f"{x:.1f}", y=f"{y:.1f}", font_size=size, style=style, text=text, **more)


def mark(x: float, y: float, status: Status) -> Element:
    """A verdict's form in its colour, with its sign."""
    form = element("path", d=FORMS[status], style=f"fill:{COLOURS[status]}")
    sign = words(7, 11.2, MARKS[status], 11, fill="#fff", text_anchor="middle", font_weight=700)
    return element("g", form, sign, transform=f"translate({x:.1f} {y:.1f})")


def lock(x: float, y: float, *, closed: bool) -> Element:
    """A padlock of 9 by 11: its shackle stands in the body, or swung out beside it."""
    colour = SOFT if closed else COLOURS[Status.FAIL]
    shackle = "M2 5v-2a2.5 2.5 0 0 1 5 0v2" if closed else "M7 5v-2a2.5 2.5 0 0 1 5 0v1.5"
    bow = element("path", d=shackle, fill="none", stroke_width=1.4, style=f"stroke:{colour}")
    body = element("rect", y=5, width=9, height=6.5, rx=1, style=f"fill:{colour}")
    return element("g", bow, body, transform=f"translate({x:.1f} {y:.1f})")
