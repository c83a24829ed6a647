"""Which way mail without a sender takes: bounces, receipts, vacation notices."""

from __future__ import annotations

from runbooklib.params import MAILCOW, Site
from runbooklib.relays.egress import is_open
from runbooklib.relays.envelope import takes_null_sender
from runbooklib.results import Checklist
from runbooklib.servers.nexthops import DIRECT, POSTMASTER, next_hop


def null_way(site: Site, proofs: Checklist, today: str) -> str:
    """Directly where port 25 is open or the server knows no other way, else a relay that takes it, else to postmaster.

    `today` is its next hop as it stands, which a relay keeps that could not be asked this time.
    """
    if is_open(proofs) or site.mail.server == MAILCOW:  # which asks its tables for the domain of a sender
        return DIRECT
    told = {name: takes_null_sender(proofs, name) for name in site.used_relays}
    kept = (name for name, taken in told.items() if taken is None and next_hop(site.relays[name]) == today)
    return next((name for name, taken in told.items() if taken), next(kept, POSTMASTER))
