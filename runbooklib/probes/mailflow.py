"""What any mail server tells of the mail that passes it: queue, log, routes, keys."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from runbooklib import maillog, servers
from runbooklib.host import HostError
from runbooklib.params import Site

RECENT = timedelta(minutes=15)  # older lines tell of what may long be mended
AHEAD = timedelta(days=1)  # a stamp without a year that would lie further ahead is of last year
LINES = 200  # of the log, kept in the evidence
NOTABLE = re.compile(r"\b(warning|error|fatal|panic|reject|refused|not secure)\b|no signing table match", re.IGNORECASE)


class UnseenError(HostError):
    """Something on the server could not be looked at."""


def queue(site: Site) -> dict[str, Any]:
    """How much waits, since when (seconds), and why."""
    waiting = servers.of(site).queue()
    reasons = Counter(r["delay_reason"] for entry in waiting for r in entry["recipients"] if "delay_reason" in r)
    oldest = max((time.time() - entry["arrival_time"] for entry in waiting), default=0.0)
    return {"count": len(waiting), "oldest": round(oldest), "reasons": dict(reasons)}


def log(site: Site) -> dict[str, Any]:
    """The notable lines of the recent mail log, and the answers that bounced messages."""
    return digest(events(site), datetime.now(UTC) - RECENT)


def events(site: Site) -> list[maillog.Event]:
    """The end of the mail log."""
    text = servers.of(site).log()
    if not text:
        raise UnseenError("no mail log")
    return maillog.parse(text)


def digest(told: Iterable[maillog.Event], since: datetime, zone: tzinfo | None = None) -> dict[str, Any]:
    """What rules read of a log; stamps without a year and zone are `zone`'s, and without that taken for recent."""
    new = recent(told, since, zone)
    tried = [attempt for event in new if (attempt := maillog.attempt(event)) and attempt.status == "bounced"]
    lines = [f"{event.program}: {event.text}" for event in new if NOTABLE.search(event.text)]
    return {"lines": lines[-LINES:], "bounced": dict(Counter(attempt.said for attempt in tried))}


def recent(told: Iterable[maillog.Event], since: datetime, zone: tzinfo | None = None) -> list[maillog.Event]:
    """The events that are not older."""
    return [event for event in told if not _before(event.time, since, zone)]


def _before(stamp: str, since: datetime, zone: tzinfo | None) -> bool:
    try:
        return datetime.fromisoformat(stamp) < since
    except (TypeError, ValueError):
        return zone is not None and _dated(stamp, since, zone) < since


def _dated(stamp: str, since: datetime, zone: tzinfo) -> datetime:
    """A stamp of RFC 3164 4.1.2, which leaves out the year; the last one in which it is not ahead of us."""
    year = since.astimezone(zone).year
    dated = datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
    return dated if dated < since + AHEAD else dated.replace(year=year - 1)


def routes(site: Site) -> dict[str, str]:
    """The next hop of each domain's mail, as the server itself resolves it."""
    seen = servers.routes(site)
    if not seen.there:
        raise UnseenError("no mail server")
    return dict(seen.current)


def keys(site: Site) -> dict[str, str]:
    """The public halves of the server's DKIM keys by record name."""
    return {wanted.name: wanted.values[0] for wanted in servers.records(site) if wanted.values}
