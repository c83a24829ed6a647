"""How long a message was on its way: never the time it waited to be sent, nor until somebody looked."""

from __future__ import annotations

import pytest
from letters import AT

from runbooklib.delivery import paths
from runbooklib.delivery.arriving import Copy, Kind, Parcel
from runbooklib.delivery.handover import Handed
from runbooklib.delivery.messages import Letter, Route

HI, FRIEND = "hi@lantern.example", "friend@stranger.example"
OUT = Letter(1, Route.OUTBOUND, "lantern.example", HI, FRIEND, FRIEND, HI)
UNTOLD = -AT


def copy(kind: Kind, seen: float, stored: float = UNTOLD, raw: bytes = b"") -> Copy:
    return Copy(1, kind, FRIEND, "INBOX", AT + seen, raw, stored=AT + stored)


def handed(at: float, *, earlier: bool = False) -> Handed:
    return Handed(OUT, "accepted", "250 Ok", AT + at, earlier=earlier)


@pytest.mark.parametrize(
    ("seen", "stored", "expected"),
    [
        (40, 1, 2),  # others were still handed over, two seconds apart: the first look was late
        (3600, 2, 3),  # a cell that was run an hour later, or a walk that resumes
        (0.4, 0, 0.4),  # seen before that second was over
        (1.3, 0, 1),
        (40, -30, 40),  # a clock that is behind, as its own word shows
        (40, 90, 40),  # or ahead
        (40, UNTOLD, 40),
    ],
)
def test_a_mailbox_tells_when_a_message_came(seen: float, stored: float, expected: float) -> None:
    found = copy("message", seen, stored)
    for parcel in (Parcel(handed(0), (found,)), Parcel(handed(0, earlier=True), (found,))):
        assert parcel.after(found) == pytest.approx(expected)
        assert parcel.seconds == pytest.approx(expected)


def test_an_answer_was_on_its_way_there_and_back_and_waited_for_nobody() -> None:
    there, back = copy("message", 40, 1), copy("answer", 44, 42)
    assert Parcel(handed(0), (there, back), handed(41)).seconds == pytest.approx(2 + 2)
    assert Parcel(handed(0), (back,)).seconds == pytest.approx(43)  # a reflector's: when it wrote is not known


def test_the_hops_end_when_it_came_not_when_we_looked() -> None:
    raw = b"Received: from a by b.example; Sun, 22 Nov 2026 12:00:01 +0000\r\n\r\n"
    at = 1795348800.0  # Sun, 22 Nov 2026 12:00:00 +0000
    found = Copy(1, "message", FRIEND, "INBOX", at + 40, raw, stored=at + 1)
    assert paths.timed(Parcel(Handed(OUT, "accepted", "", at), (found,)), found).total == 2


def test_what_was_sent_last_is_not_the_slowest() -> None:
    first = Parcel(handed(0), (copy("message", 60, 0),))
    last = Parcel(handed(50), (copy("message", 60, 55),))
    assert (first.seconds, last.seconds) == (1, 6)
