"""What an HTML part shows: its text, links and images. Nothing is fetched, and nothing a stranger writes raises.

The standard library's parser takes minutes over fifty thousand octets of unfinished tags; this one goes over the text
once.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlsplit

TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]*)([^<>]*)>")
DECLARATION = re.compile(r"<[!?][^<>]*>")
ATTRIBUTE = re.compile(r"([a-zA-Z][\w:-]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"']+)))?")
LONGEST = 4000  # characters of one tag's attributes that are read
HIDDEN = {"style", "script", "head", "title"}
TINY = {"0", "1", "0px", "1px"}


@dataclass(frozen=True)
class Link:
    """Where it leads, and what it says."""

    target: str
    text: str

    @property
    def scheme(self) -> str:
        return split(self.target)[0]

    @property
    def host(self) -> str:
        return split(self.target)[1]


@dataclass(frozen=True)
class Image:
    """An image; `alt` is None where it has none, which is not the same as an empty one."""

    source: str
    alt: str | None
    tiny: bool  # a pixel, or hidden


@dataclass(frozen=True)
class Page:
    """One HTML part."""

    text: str
    links: tuple[Link, ...]
    images: tuple[Image, ...]
    broken: bool = False  # a comment in it never ends


def split(target: str) -> tuple[str, str]:
    """Scheme and host of an address; empty where it cannot be read."""
    try:
        found = urlsplit(target.strip())
        return found.scheme.lower(), (found.hostname or "").rstrip(".")
    except ValueError:
        return "", ""


def read(text: str) -> Page:
    """The page in this text, from its start to its end."""
    reader, at = _Reader(), 0
    while (start := text.find("<", at)) >= 0:
        reader.say(text[at:start])
        if text.startswith("<!--", start):
            end = text.find("-->", start)
            if end < 0:
                return reader.page(broken=True)
            at = end + len("-->")
        elif found := TAG.match(text, start):
            reader.tag(found[2].lower(), found[3], closing=bool(found[1]))
            at = found.end()
        elif found := DECLARATION.match(text, start):
            at = found.end()
        else:
            reader.say("<")
            at = start + 1
    reader.say(text[at:])
    return reader.page()


@dataclass
class _Reader:
    """What was seen so far."""

    links: list[Link] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    hidden: Counter[str] = field(default_factory=Counter)
    link: tuple[str, int] | None = None  # where the link leads that is open, and which word was its first

    def page(self, *, broken: bool = False) -> Page:
        return Page(_joined(self.words), tuple(self.links), tuple(self.images), broken)

    def say(self, text: str) -> None:
        if text and not self.hidden.total():
            self.words.append(unescape(text))

    def tag(self, name: str, told: str, *, closing: bool) -> None:
        if name in HIDDEN:
            self.hidden[name] += -1 if closing else 1
            self.hidden = +self.hidden  # what was never opened is not closed
        elif name == "a":
            self._anchor("" if closing else _attributes(told).get("href", ""))
        elif name == "img" and not closing:
            self.images.append(_image(_attributes(told)))
        self.words.append(" ")

    def _anchor(self, target: str) -> None:
        """Ends the link that is open, and opens the next."""
        if self.link:
            self.links.append(Link(self.link[0], _joined(self.words[self.link[1] :])))
        self.link = (target, len(self.words)) if target else None


def _joined(words: list[str]) -> str:
    return " ".join("".join(words).split())


def _attributes(told: str) -> dict[str, str]:
    """The attributes of a tag; one without a value has an empty one."""
    found = ATTRIBUTE.findall(told[:LONGEST])
    return {name.lower(): unescape("".join(values)) for name, *values in reversed(found)}


def _image(told: dict[str, str]) -> Image:
    style = told.get("style", "").replace(" ", "").lower()
    small = told.get("width", "").strip() in TINY and told.get("height", "").strip() in TINY
    tiny = small or "display:none" in style or "width:1px" in style
    return Image(told.get("src", ""), told.get("alt"), tiny)
