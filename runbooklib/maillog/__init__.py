"""A mail server's log as events: who said what about which queue id, and what of that is not over yet.

Pure: text in, values out; a line that is no log line is left out, and no text raises.
"""

from runbooklib.maillog.events import (
    Attempt,
    Departure,
    Refusal,
    attempt,
    client,
    departures,
    expired,
    follow,
    refusal,
    refusals,
    removed,
    sender,
    signers,
    taken,
)
from runbooklib.maillog.groups import REFUSED, Group, Trouble, grouped, queued, unfinished
from runbooklib.maillog.lines import Event, moment, parse, read
from runbooklib.maillog.logins import shut_out
from runbooklib.maillog.sent import Sent, last_sent

__all__ = [
    "REFUSED",
    "Attempt",
    "Departure",
    "Event",
    "Group",
    "Refusal",
    "Sent",
    "Trouble",
    "attempt",
    "client",
    "departures",
    "expired",
    "follow",
    "grouped",
    "last_sent",
    "moment",
    "parse",
    "queued",
    "read",
    "refusal",
    "refusals",
    "removed",
    "sender",
    "shut_out",
    "signers",
    "taken",
    "unfinished",
]
