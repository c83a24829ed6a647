"""Whether the host's own name may be said to send nothing: bounces are judged there where they leave directly."""

from __future__ import annotations

from typing import Any

from runbooklib.params import Site
from runbooklib.records import Held, Wanted, silent
from runbooklib.results import Status
from runbooklib.servers.nexthops import DIRECT
from runbooklib.servers.standing import Standing


def wanted(site: Site, routes: Standing[Any]) -> Wanted:
    """`v=spf1 -all` at the host's name, held as long as mail without a sender leaves from here (RFC 7208 2.4)."""
    return silent(site.server.hostname, _held(routes))


def _held(routes: Standing[Any]) -> Held | None:
    if not routes.there:
        return Held("no mail server says yet which way mail without a sender leaves", "run again after 02-relay")
    if routes.null != DIRECT:
        return None
    why = "bounces and receipts leave directly, and their SPF is judged at this name: -all would have them refused"
    fix = "take the name out of dns.sends_nothing, or have 02-relay send them through the relay"
    return Held(why, fix, standing=Status.FAIL, differing=Status.WARN)
