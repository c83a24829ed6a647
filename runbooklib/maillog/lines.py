"""Lines of a log as events, in the forms in which servers, journals and containers hand them out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

LONGEST = 8192  # characters of a line that are read; rsyslog cuts there by itself
AHEAD = timedelta(days=1)  # a stamp without a year that would lie further ahead is of last year
RFC3339 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:[\d.]{2,16}(?:Z|[+-]\d\d:?\d\d)"  # journalctl's short-iso leaves the colon out
STAMP = rf"(?P<time>{RFC3339}|[A-Z][a-z]{{2}} [ \d]\d \d\d:\d\d:\d\d)"  # RFC 3164 4.1.2: no year, no zone
PLAIN = r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)"
# What stands before a line: the name of a Compose service, the time `docker logs -t` saw it, a syslog priority.
SERVICE, SEEN = re.compile(r"^[\w.-]{1,64} +\| ?"), re.compile(rf"^{RFC3339} (?=<?\d|[A-Z][a-z]{{2}} [ \d]\d )")
PRIORITY = re.compile(r"^<\d{1,3}>(?:1 (?=\d))?")
SYSLOG = re.compile(rf"^{STAMP} \S+ (?P<program>[\w/.-]{{1,64}}?)(?:\[\d+\])?: (?P<text>.*)$")
RSPAMD = re.compile(rf"^{PLAIN} #\d+\((?P<process>\w+)\) (?:<\w*>; )?(?P<text>.*)$")
DOVECOT = re.compile(  # its own log file names no host
    rf"^{PLAIN} (?P<program>[\w-]{{1,32}})(?P<text>(?:\([^)]*\))?(?:<[^>]*>){{0,2}}: "
    r"(?:Info|Warning|Error|Fatal|Panic): .*)$"
)
QUEUE_ID = re.compile(r"^([0-9A-F]{6,15}|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{11,20}): ")  # short and long form
SCANNED = re.compile(r"\bqid: <(\w+)>")  # rspamd names the queue id in the midst
EXPORTED = re.compile(r"^[A-Z_][A-Z0-9_]*=")  # a field of `journalctl -o export`
MICROSECONDS = re.compile(r"^[0-9]{7,16}$")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Event:
    """One line of the log."""

    time: str
    program: str
    queue_id: str  # empty where the line names none
    text: str


def parse(log: str) -> list[Event]:
    """The events of a log, in its order."""
    return list(read(log.splitlines()))


def read(lines: Iterable[str]) -> Iterator[Event]:
    """The events in lines as they come; of a journal's export, which has a line for each field, each entry as one."""
    entry = dict[str, str]()
    for line in (line[:LONGEST].rstrip("\r\n") for line in lines):
        if EXPORTED.match(line):
            name, _, value = line.partition("=")
            entry[name] = value
            continue
        if entry:
            yield from _journalled(entry)
            entry = {}
        yield from _journalled(_object(line)) if line.startswith("{") else _lined(line)
    yield from _journalled(entry)


def _object(line: str) -> Mapping[str, object]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _journalled(entry: Mapping[str, object]) -> Iterator[Event]:
    """An entry of the journal, as `-o export` and `-o json` give it."""
    stamp, text = str(entry.get("__REALTIME_TIMESTAMP", "")), entry.get("MESSAGE")
    if isinstance(text, str) and MICROSECONDS.match(stamp):
        time = datetime.fromtimestamp(int(stamp) // 1_000_000, UTC).isoformat()
        yield _event(time, str(entry.get("SYSLOG_IDENTIFIER") or entry.get("_COMM") or ""), text)


def _lined(line: str) -> Iterator[Event]:
    bare = PRIORITY.sub("", SEEN.sub("", SERVICE.sub("", ESCAPES.sub("", line))))
    if told := DOVECOT.match(bare) or SYSLOG.match(bare):
        yield _event(told["time"], told["program"], told["text"].removeprefix(": "))
    elif told := RSPAMD.match(bare):
        yield _event(told["time"], "rspamd", told["text"])


def _event(time: str, program: str, text: str) -> Event:
    found = SCANNED.search(text) if program == "rspamd" else QUEUE_ID.match(text)
    return Event(time, program, found[1] if found else "", text)


def moment(stamp: str, now: datetime | None) -> datetime | None:
    """When that was; what names no zone is in that of `now`, and without a year the last one that is not ahead.

    Without `now` only what names its zone can be told.
    """
    try:
        told = datetime.fromisoformat(stamp)
    except ValueError:
        return _dated(stamp, now) if now else None
    if told.tzinfo is None:
        return told.replace(tzinfo=now.tzinfo) if now else None
    return told


def _dated(stamp: str, now: datetime) -> datetime | None:
    for year in (now.year + 1, now.year, now.year - 1, now.year - 2):  # the third, before a 29th of February
        told = _of_year(year, stamp, now.tzinfo)
        if told and told < now + AHEAD:
            return told
    return None


def _of_year(year: int, stamp: str, zone: tzinfo | None) -> datetime | None:
    try:
        return datetime.strptime(f"{year} {stamp}", "%Y %b %d %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        return None
