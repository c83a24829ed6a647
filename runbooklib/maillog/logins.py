"""Logins that a log tells of: who was refused, and has not got in since."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from runbooklib.maillog.lines import Event

MOST = 200  # names; whoever guesses tries thousands
SAID, CLIENTS = 300, 5  # characters of a line; addresses that are named
DOVECOT = re.compile(r"\(auth failed[^)]*\).*?\buser=<(?P<user>[^>]+)>.*?\brip=(?P<client>[^,\s]+)")
POSTFIX = re.compile(  # which names the user from 3.8 on
    r"^warning: [^\[\s]*\[(?P<client>[^\]]+)\]: SASL \S+ authentication failed:.*\bsasl_username=(?P<user>[^,\s]+)"
)
CAME_IN = re.compile(r"\bLogin: user=<([^>]+)>|^\w+: client=.*\bsasl_username=([^,\s]+)")


@dataclass(frozen=True)
class Refused:
    """A user name that nobody got in with, after it was refused."""

    user: str
    count: int
    clients: list[str]  # the newest addresses it came from
    said: str

    def data(self) -> dict[str, Any]:
        return asdict(self)


def shut_out(told: Iterable[Event]) -> list[Refused]:
    """The names that were refused and have not come in since, the most often refused first."""
    tries = dict[str, list[tuple[str, str]]]()
    for event in told:
        if came := CAME_IN.search(event.text):
            tries.pop((came[1] or came[2]).lower(), None)
        elif refused := DOVECOT.search(event.text) or POSTFIX.search(event.text):
            tries.setdefault(refused["user"].lower(), []).append((refused["client"], event.text))
    found = [_refused(user, each) for user, each in tries.items()]
    return sorted(found, key=lambda refused: -refused.count)[:MOST]


def _refused(user: str, tries: list[tuple[str, str]]) -> Refused:
    clients = list(dict.fromkeys(client for client, _ in tries))[-CLIENTS:]
    return Refused(user, len(tries), clients, tries[-1][1][:SAID])
