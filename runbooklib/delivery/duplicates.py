"""Two copies of one message: which host made two of it, by the ids that each host gave it (RFC 5321 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from runbooklib.delivery.arriving import Copy
from runbooklib.eml import hops
from runbooklib.eml.hops import Hop


def origin(copies: Sequence[Copy]) -> str:
    """Where the ways of the copies part, in words; the hosts before that had only one message."""
    first, *others = [hops.read(copy.message) for copy in copies]
    shared = min((_shared(first, way) for way in others), default=0)
    if not shared:
        return "they have no hop in common: it was handed over twice"
    by = first[shared - 1].by or "the host that wrote the last common hop"
    if all(len(way) == shared for way in (first, *others)):
        return f"both came the same way up to {by}, which stored it twice: an alias, a rule or a second delivery there"
    return f"{by} had one and handed it on twice: its queue ids differ from {_next(first, shared)} on"


def _shared(one: Sequence[Hop], other: Sequence[Hop]) -> int:
    """How many hops from the start on are the same."""
    return len(list(takewhile(lambda pair: _id(pair[0]) == _id(pair[1]), zip(one, other, strict=False))))


def _id(hop: Hop) -> tuple[str, str]:
    return hop.by, hop.queue_id


def _next(way: Sequence[Hop], shared: int) -> str:
    return way[shared].by if shared < len(way) else "there"
