"""Mail testers on the web: written to by hand, because each result costs a message and a look at a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbooklib.params import Site
from runbooklib.results import Table


@dataclass(frozen=True)
class Tester:
    """Where an address comes from, and where its result can be seen."""

    page: str  # shows a new address at each visit; empty: the address is always the same
    domain: str
    result: str  # `{}` stands for the local part
    free: str


TESTERS = (
    Tester(
        "https://www.mail-tester.com",
        "mail-tester.com",
        "https://www.mail-tester.com/{}",
        "a few tests a day; kept 7 days; a second message to the same address takes the first one's place",
    ),
    Tester("https://dkimvalidator.com", "dkimvalidator.com", "https://dkimvalidator.com/results", "free"),
    Tester("https://www.learndmarc.com", "learndmarc.com", "the page that showed the address, left open", "free"),
    Tester("", "tools.mxtoolbox.com", "the answer, which links to its report", "free; ping@ is the address"),
)


def by_hand(site: Site) -> Table:
    """Where to write, and where to look afterwards; nothing is sent."""
    columns = ("write to", "then look at", "what is free")
    return Table("mail testers, by hand: send one message from a mail program", columns, tuple(_rows(site)))


def _rows(site: Site) -> Iterator[tuple[str, ...]]:
    for address in site.test.testers:
        yield address, *_told(address)
    for tester in TESTERS if not site.test.testers else ():
        address = f"the address that {tester.page} shows" if tester.page else f"ping@{tester.domain}"
        yield address, tester.result.format("<what stands before the @>"), tester.free


def _told(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    known = (t for t in TESTERS if domain == t.domain or domain.endswith(f".{t.domain}"))
    tester = next(known, None)
    return (tester.result.format(local), tester.free) if tester else ("the page that showed the address", "not known")
