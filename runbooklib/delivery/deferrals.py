"""Attempts that did not end yet: who put a message off, in which words, and whether time alone will do.

Pure: what the server's log tells in, values out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from runbooklib.maillog import Attempt
from runbooklib.results import Status

# What receivers say who take the same message a little later: greylisting and rates (postgrey, rspamd, postscreen,
# Exim, Gmail, Yahoo, Outlook.com, QQ, NetEase).
LATER = re.compile(
    r"gr[ae]y-?list|temporarily (?:deferred|rate limited|rejected)|(?:try|come back|retry) (?:again )?(?:later|in \d)"
    r"|please (?:wait|retry|try again)|rate.?limit|throttl|too many (?:messages|connections|recipients)|unusual rate"
    r"|\bTSS0\d\b|\b4\.7\.28\b|\b4\.3\.2\b|\bDT:SPM\b|\bRP:(?:TRC|QRC|CEL)\b",
    re.IGNORECASE,
)
SAID = re.compile(r"\bsaid: (?P<code>[245]\d\d)\b")  # Postfix: host mx.example[192.0.2.1] said: 451 4.7.1 …
CLOCK = re.compile(r"(?<!\d)\d\d:\d\d:\d\d")
RETRIES = "the server tries again by itself, by Postfix's defaults after 5 minutes, then ever less often, for 5 days"


def verdict(attempt: Attempt) -> Status:
    """Put off by a receiver that takes it later: pending; by one that says nothing of it: unknown; else wrong."""
    answered = SAID.search(attempt.said)
    if attempt.status != "deferred" or not answered or answered["code"].startswith("5"):
        return Status.FAIL  # bounced, or nobody who could have taken it was reached and let us in
    return Status.PENDING if LATER.search(attempt.said) else Status.UNKNOWN


def before(tries: Sequence[Attempt]) -> str:
    """How often the message was put off before it was taken, by whom and why; empty where it was not."""
    deferred = [a for a in tries if a.status == "deferred"]
    if not deferred:
        return ""
    first, last = deferred[0], tries[-1]
    times = "once" if len(deferred) == 1 else f"{len(deferred)} times"
    since = f", first at {clock(first)}, taken at {clock(last)}" if clock(first) and clock(last) else ""
    return f"put off {times} before{since}, by {first.relay}: {first.said}"


def clock(attempt: Attempt) -> str:
    """The time of day of an attempt, by the server's clock."""
    found = CLOCK.search(attempt.time)
    return found[0] if found else ""
