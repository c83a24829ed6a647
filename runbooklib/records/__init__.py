"""DNS records of a site: what should stand, what does, what has to change, and what that proves."""

from runbooklib.records.addresses import ipv6
from runbooklib.records.changes import diff
from runbooklib.records.clock import Visibility, visibility
from runbooklib.records.comparison import compare, repeats
from runbooklib.records.inventory import desired
from runbooklib.records.observed import Observed, parents
from runbooklib.records.planned import RecordChange, RecordPlan
from runbooklib.records.rules import Comparison
from runbooklib.records.safety import dangers
from runbooklib.records.silence import silent
from runbooklib.records.takeover import reception_row
from runbooklib.records.texts import quoted, strings
from runbooklib.records.ticket import Ticket, ticket
from runbooklib.records.transport import Served
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.verdicts import changed, verify
from runbooklib.records.wanted import TTL, Desired, Held, Wanted, reversed_address

__all__ = [
    "TTL",
    "Comparison",
    "Desired",
    "Held",
    "Observed",
    "RecordChange",
    "RecordPlan",
    "Served",
    "Ticket",
    "Unwanted",
    "Visibility",
    "Wanted",
    "changed",
    "compare",
    "dangers",
    "desired",
    "diff",
    "ipv6",
    "parents",
    "quoted",
    "reception_row",
    "repeats",
    "reversed_address",
    "silent",
    "strings",
    "ticket",
    "verify",
    "visibility",
]
