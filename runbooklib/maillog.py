"""A mail server's log as events: who said what about which queue id (Postfix 3.7 wording).

Pure: text in, values out; a line that is no log line is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

LINE = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d)|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) "
    r"\S+ (?P<program>[\w/.-]+?)(?:\[\d+\])?: (?P<text>.*)$"
)
QUEUE_ID = re.compile(r"^([0-9A-F]{6,15}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{11,20}): ")  # short and long form
ATTEMPT = re.compile(
    r"to=<(?P<recipient>[^>]*)>.*?relay=(?P<relay>[^,]+),.*?dsn=(?P<dsn>[\d.]+), "
    r"status=(?P<status>\w+) \((?P<said>.*)\)$"
)
REQUEUED = re.compile(r"queued as (\w+)")
SIGNED = re.compile(r"DKIM-Signature field added \(s=(?P<selector>[^,\s]+), d=(?P<domain>[^)\s]+)\)")  # OpenDKIM
SENDER, LOGIN = re.compile(r": from=<([^>]*)>"), re.compile(r"\bsasl_username=([^,\s]+)")
CLIENT = re.compile(r"^\S+: client=")
LEAVING = re.compile(r"(?:^|/)smtp$")  # what hands mail to others: postfix/smtp, mailcow's enforced-tls-smtp/smtp
FILTERS = re.compile(r"\[(127\.0\.0\.1|::1)\]:\d+$")  # a content filter on the same machine, e.g. Amavis


@dataclass(frozen=True)
class Event:
    """One line of the log."""

    time: str
    program: str
    queue_id: str  # empty where the line names none
    text: str


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt: `status` is sent, deferred or bounced, `said` the other side's words."""

    time: str
    program: str
    recipient: str
    relay: str
    dsn: str
    status: str
    said: str

    @property
    def filtered(self) -> bool:
        """Whether it only went to a filter on the same machine, which queues it anew."""
        return bool(FILTERS.search(self.relay))


@dataclass(frozen=True)
class Departure:
    """An attempt to hand a message to somebody else, with where it came from."""

    sender: str  # MAIL FROM
    login: str  # who had logged in; empty for nobody
    door: str  # the program that took it in, such as postfix/submission/smtpd
    attempt: Attempt


def parse(log: str) -> list[Event]:
    """The events of a log, in its order."""
    return list(_events(log.splitlines()))


def _events(lines: Iterable[str]) -> Iterator[Event]:
    for line in lines:
        if matched := LINE.match(line):
            queued = QUEUE_ID.match(matched["text"])
            yield Event(matched["time"], matched["program"], queued[1] if queued else "", matched["text"])


def attempt(event: Event) -> Attempt | None:
    """The delivery attempt an event tells of, if it does."""
    told = ATTEMPT.search(event.text) if event.queue_id else None
    return Attempt(event.time, event.program, **told.groupdict()) if told else None


def follow(events: Sequence[Event], queue_id: str) -> list[Attempt]:
    """Every attempt to deliver what was queued under this id, through filters that gave it another."""
    ids, found = {queue_id}, list[Attempt]()
    for event in events:
        tried = attempt(event) if event.queue_id in ids else None
        if tried is None:
            continue
        found.append(tried)
        ids |= set(REQUEUED.findall(tried.said)) if tried.filtered else set()
    return found


def departures(events: Iterable[Event]) -> list[Departure]:
    """Every attempt to hand a message to somebody else, in the log's order."""
    senders, logins, doors, found = dict[str, str](), dict[str, str](), dict[str, str](), list[Departure]()
    for event in (e for e in events if e.queue_id):
        key, tried = event.queue_id, attempt(event)
        if told := SENDER.search(event.text):
            senders[key] = told[1].lower()
        if CLIENT.search(event.text):
            login = LOGIN.search(event.text)
            doors[key], logins[key] = event.program, login[1].lower() if login else ""
        if tried and LEAVING.search(event.program) and not tried.filtered:
            found.append(Departure(senders.get(key, ""), logins.get(key, ""), doors.get(key, ""), tried))
    return found


def signers(events: Iterable[Event], queue_id: str) -> list[tuple[str, str]]:
    """Domain and selector of each DKIM signature the server itself put on what was queued under this id."""
    told = (SIGNED.search(e.text) for e in events if e.queue_id == queue_id and e.program == "opendkim")
    return [(found["domain"], found["selector"]) for found in told if found]
