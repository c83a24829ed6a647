"""Keys and relays that are no longer used, remembered on the server until nothing on its way can need them.

RetiredError  the file that remembers them is not what was written there
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from runbooklib.records import Unwanted
from runbooklib.results import RunbookError

KEY, RELAY = "key", "relay"
PERIOD = re.compile(r"^\d+[mhd]$")
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
HEADING = "# Written by mail-runbooks: what is no longer used, and since when (UTC).\n"
STAMP = "%Y-%m-%dT%H:%M:%SZ"


class RetiredError(RunbookError):
    """The file cannot be read as a list of keys and relays."""


@dataclass(frozen=True)
class Retired:
    """A DKIM key or a relay that a domain has left; what it still holds stays for `period`."""

    kind: str  # key or relay
    domain: str
    since: datetime
    period: str = "7d"
    selector: str = ""  # of a key
    public: str = ""  # a key's record value, to know it again in DNS
    relay: str = ""
    next_hop: str = ""
    spf: tuple[str, ...] = ()  # mechanisms that named the relay's pool
    records: tuple[tuple[str, ...], ...] = ()  # name, type and, where it was known, value

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others."""
        return self.domain, self.kind, self.selector or self.relay

    @property
    def until(self) -> datetime:
        """When mail handed over on its last day has been delivered or has bounced."""
        return self.since + timedelta(**{UNITS[self.period[-1]]: int(self.period[:-1])})

    def due(self, now: datetime) -> bool:
        """Whether it may go."""
        return now >= self.until


def parse(text: str) -> tuple[Retired, ...]:
    """What the file remembers; an empty one nothing.

    Raises RetiredError.
    """
    try:
        return tuple(map(_entry, yaml.safe_load(text) or ()))
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        problem = " ".join(str(error).split())[:120]
        raise RetiredError(
            f"runbook-retired.yaml on the server cannot be read ({type(error).__name__}: {problem}): "
            "correct it, or take it away and remove old keys and records yourself"
        ) from None


def _entry(told: Mapping[str, Any]) -> Retired:
    given = {
        "since": _moment(told["since"]),
        "spf": tuple(told.get("spf", ())),
        "records": tuple(tuple(record) for record in told.get("records", ())),
    }
    entry = Retired(**{**told, **given})
    if entry.kind not in {KEY, RELAY} or not entry.key[2]:
        raise ValueError(f"neither a key nor a relay: {entry.kind} of {entry.domain}")
    if not PERIOD.match(entry.period):
        raise ValueError(f"no period: {entry.period}")
    return entry


def _moment(said: str | datetime) -> datetime:
    """A time as we write it, or as YAML reads one without quotes."""
    moment = said if isinstance(said, datetime) else datetime.fromisoformat(said)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def text(entries: Iterable[Retired]) -> str:
    """The file that remembers them, the same whatever their order; nothing for none."""
    told = [_told(entry) for entry in sorted(entries, key=lambda e: e.key)]
    return HEADING + str(yaml.safe_dump(told, sort_keys=False, width=1000)) if told else ""


def _told(entry: Retired) -> dict[str, Any]:
    fields: dict[str, Any] = vars(entry) | {
        "since": entry.since.astimezone(UTC).strftime(STAMP),
        "spf": list(entry.spf),
        "records": [list(record) for record in entry.records],
    }
    return {name: value for name, value in fields.items() if value}


def unwanted(entries: Iterable[Retired]) -> Iterator[Unwanted]:
    """What these left in DNS; a record whose value nobody noted is not known again, and stays."""
    for entry in entries:
        since = f"{entry.since:%Y-%m-%d}"
        if entry.kind == KEY and entry.public:
            name, why = f"{entry.selector}._domainkey.{entry.domain}", f"a key retired on {since}"
            yield Unwanted(name, "TXT", (entry.public,), why)
        why = f"for {entry.relay}, left on {since}"
        if entry.spf:
            yield Unwanted(entry.domain, "TXT", (), why, entry.spf)
        yield from (Unwanted(name, kind, tuple(values), why) for name, kind, *values in entry.records if values)
