"""What any mail server tells of the mail that passes it: queue, log, routes, keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from runbooklib import endpoint, host, maillog, servers
from runbooklib.endpoint import EndpointError
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.records import Desired
from runbooklib.servers.keys import record_name
from runbooklib.servers.queues import Queue

RECENT = timedelta(minutes=15)  # older lines tell of what may long be mended
KEPT = timedelta(days=1)  # what has not got through is told for longer: who asks about a bounce has just read it
AHEAD = timedelta(minutes=1)  # what is stamped later than now is of a clock that went wrong
LINES, LONGEST = 200, 1000  # of the log, kept in the evidence; characters of each
MESSAGES, STEPS = 10, 30  # the newest that have not got through, with the last events of each
UNTRIED = 600.0  # seconds in which Postfix tries whatever came in, and says why it waits
UNNAMED = 20  # queue ids of what waits and gives no reason
SENDERS = 3  # those with the most in the queue
HOLD = "hold"  # the queue of what is never tried: it waits for a hand, whatever was answered before
NOTABLE = re.compile(r"\b(warning|error|fatal|panic|reject|refused|not secure)\b|no signing table match", re.IGNORECASE)


class UnseenError(HostError):
    """Something on the server could not be looked at."""


def queue(site: Site) -> dict[str, Any]:
    """How much waits, since when (seconds), how much of it somebody holds, and why."""
    return waiting(servers.of(site).queue(), clock(site))


def waiting(entries: Queue, now: datetime | None) -> dict[str, Any]:
    """What `postqueue -j` said; without the server's clock nothing is older than the newest.

    `count` is of all that waits, the rest of the `read` part of it: of a very large queue that is the first.
    """
    newest = now.timestamp() if now else max((entry["arrival_time"] for entry in entries.read), default=0.0)
    ages = [newest - entry["arrival_time"] for entry in entries.read]
    tried = [entry for entry in entries.read if entry.get("queue_name") != HOLD]
    groups = maillog.grouped(trouble for entry in tried for trouble in maillog.queued(entry))
    silent = [
        str(e.get("queue_id", "")) for e in tried if not maillog.queued(e) and newest - e["arrival_time"] > UNTRIED
    ]
    return {
        "count": entries.count,
        "read": len(entries.read),
        "oldest": max(0, round(max(ages, default=0.0))),
        "held": len(entries.read) - len(tried),
        "untried": silent[:UNNAMED],
        "senders": dict(Counter(_sender(entry) for entry in entries.read).most_common(SENDERS)),
        "groups": [group.data() for group in groups],
    }


def _sender(entry: Mapping[str, Any]) -> str:
    """MAIL FROM, empty for the null sender."""
    return str(entry.get("sender", "")).replace("MAILER-DAEMON", "").lower()


def clock(site: Site) -> datetime | None:
    """The server's own time in its own zone; None where only an API is to be asked."""
    if not site.mail.over_ssh:
        return None
    seconds, zone = host.connect(site).run(("date", "+%s %z")).out.split()
    return datetime.fromtimestamp(int(seconds), datetime.strptime(zone, "%z").tzinfo)


def log(site: Site) -> dict[str, Any]:
    """The notable lines of the recent mail log, and what it tells of mail that has not got through."""
    told, now = events(site), clock(site)
    seen = digest(told, now)
    return seen | {"logins": users(site, seen["logins"]), "sent": sent(site, recent(told, now, KEPT))}


def users(site: Site, refused: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The refused logins under a name of a user's, with its domain or without; the others are guesses."""
    names = {*site.mailboxes, *(alias for domain in site.domains for alias in domain.aliases)}
    own = names | {name.partition("@")[0] for name in names}
    return [each for each in refused if each["user"] in own]


def sent(site: Site, told: Sequence[maillog.Event]) -> dict[str, dict[str, Any]]:
    """For each domain how its newest message was signed, with what DNS says of a selector that is not in params."""
    own = {domain.name: domain.dkim.selector for domain in site.domains}
    return {
        each.domain: {
            "time": each.time,
            "heard": each.heard,
            "selectors": (names := [selector for domain, selector in each.signed if domain == each.domain]),
            "published": dict(_published(each.domain, [name for name in names if name != own[each.domain]], site)),
        }
        for each in maillog.last_sent(told)
        if each.domain in own
    }


def _published(domain: str, selectors: Iterable[str], site: Site) -> Iterator[tuple[str, list[str]]]:
    """The TXT values at the key of each selector; one that nobody could tell of is left out."""
    for selector in selectors:
        try:
            yield selector, endpoint.texts(record_name(domain, selector), site.dns.resolvers)
        except EndpointError:
            continue


def events(site: Site) -> list[maillog.Event]:
    """The end of the mail log."""
    text = servers.of(site).history()
    if not text:
        raise UnseenError("no mail log")
    return maillog.parse(text)


def digest(told: Sequence[maillog.Event], now: datetime | None) -> dict[str, Any]:
    """What rules read of a log."""
    new, kept = recent(told, now), recent(told, now, KEPT)
    lines = [f"{event.program}: {event.text}"[:LONGEST] for event in new if NOTABLE.search(event.text)]
    groups = maillog.unfinished(kept)
    return {
        "lines": lines[-LINES:],
        "since": kept[0].time if kept else "",
        "groups": [group.data() for group in groups],
        "logins": [refused.data() for refused in maillog.shut_out(kept)],
        "messages": _messages(kept, groups),
    }


def _messages(told: Sequence[maillog.Event], groups: Sequence[maillog.Group]) -> dict[str, list[str]]:
    """By queue id the last events of some messages that have not got through."""
    ids = [queue_id for group in groups if group.status != maillog.REFUSED for queue_id in group.ids]
    steps = {queue_id: list[str]() for queue_id in sorted(set(ids), key=_seen_in(told))[-MESSAGES:]}
    for event in told:
        if event.queue_id in steps:
            steps[event.queue_id].append(f"{event.time} {event.program}: {event.text}"[:LONGEST])
    return {queue_id: lines[-STEPS:] for queue_id, lines in steps.items()}


def _seen_in(told: Sequence[maillog.Event]) -> Callable[[str], int]:
    """Where in the log a queue id stands last."""
    return {event.queue_id: at for at, event in enumerate(told)}.__getitem__


def recent(told: Sequence[maillog.Event], clock_: datetime | None, span: timedelta = RECENT) -> list[maillog.Event]:
    """The events that are not older, nor of a clock that was ahead; `clock_` is the server's.

    Whoever writes the log may have a clock of its own that is ahead: then its last stamp is what now is.
    """
    last = next((at for event in reversed(told) if (at := maillog.moment(event.time, clock_))), None)
    now = max(filter(None, (last, clock_)), default=None)
    if now is None:
        return list(told)
    stamps = ((event, maillog.moment(event.time, clock_)) for event in told)
    return [event for event, at in stamps if at is None or now - span <= at <= now + AHEAD]


def keys(site: Site) -> dict[str, str]:
    """The public halves of the server's DKIM keys by record name."""
    return halves(servers.records(site))


def halves(records: Desired) -> dict[str, str]:
    """Of records of keys the public halves, where one is made."""
    return {wanted.name: wanted.values[0] for wanted in records if wanted.values}
