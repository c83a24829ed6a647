"""DNS records of a site: what should stand, what does, what has to change, and what that proves."""

from runbooklib.records.changes import RecordChange, dangers, diff
from runbooklib.records.comparison import Comparison, compare, repeats
from runbooklib.records.observed import Answer, Observed, Question, Word, parents
from runbooklib.records.texts import TagError, dkim_key, dmarc_policy, quoted, strings, tags
from runbooklib.records.unwanted import Unwanted
from runbooklib.records.verdicts import changed, clock, verify
from runbooklib.records.wanted import TTL, Desired, Wanted, desired, reversed_address

__all__ = [
    "TTL",
    "Answer",
    "Comparison",
    "Desired",
    "Observed",
    "Question",
    "RecordChange",
    "TagError",
    "Unwanted",
    "Wanted",
    "Word",
    "changed",
    "clock",
    "compare",
    "dangers",
    "desired",
    "diff",
    "dkim_key",
    "dmarc_policy",
    "parents",
    "quoted",
    "repeats",
    "reversed_address",
    "strings",
    "tags",
    "verify",
]
