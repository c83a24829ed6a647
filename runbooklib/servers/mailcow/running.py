"""The running mailcow, as every mail server shows itself to the other rooms: all by its API, no shell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.servers.mailcow import api, state
from runbooklib.servers.mailcow.api import Api
from runbooklib.servers.queues import Queue

HISTORY = 4000  # lines
NO_SHELL = "mailcow is asked through its API, which runs no commands: look on the server itself, if you have SSH there"


@dataclass(frozen=True)
class Container:
    """A container as mailcow tells of it; of restarts and health checks it says nothing."""

    name: str
    state: str
    image: str = ""
    health: str = "not told"
    restarts: int = 0


@dataclass(frozen=True)
class Server:
    """The mailcow of one site."""

    site: Site

    @property
    def api(self) -> Api:
        return api.of(self.site)

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> NoReturn:
        """Raises HostError: there is no shell."""
        del stdin, timeout
        raise HostError(f"{argv[0]} cannot be run", NO_SHELL)

    def log(self, lines: int = 2000) -> str:
        """The end of Postfix's log."""
        return syslog(self.api.items("logs", "postfix", str(lines)))

    def history(self) -> str:
        """Dovecot's log and Postfix's as one: mailcow keeps as many lines of each as LOG_LINES says, in memory."""
        found = (each for name in ("dovecot", "postfix") for each in self.api.items("logs", name, str(HISTORY)))
        return syslog(sorted(found, key=lambda entry: float(entry.get("time") or 0), reverse=True))

    def queue(self) -> Queue:
        """What waits in the queue."""
        read = [queued(each) for each in self.api.items("mailq", "all")]
        return Queue(read, len(read))

    def containers(self) -> list[Container]:
        """The containers of mailcow."""
        told = self.api.facts("status", "containers")
        states = state.containers(told)
        return [Container(name, states[name], str(told[name].get("image", ""))) for name in sorted(states)]


def syslog(entries: Iterable[Mapping[str, Any]]) -> str:
    """Log entries, newest first as mailcow keeps them, as lines of a syslog file, oldest first."""
    return "".join(f"{_line(each)}\n" for each in reversed(list(entries)))


def _line(entry: Mapping[str, Any]) -> str:
    moment = datetime.fromtimestamp(int(float(entry.get("time") or 0)), UTC)
    text = " ".join(str(entry.get("message", "")).split("\n")).rstrip()
    return f"{moment:%Y-%m-%dT%H:%M:%S+00:00} mailcow {entry.get('program', 'postfix')}: {text}"


def queued(told: Mapping[str, Any]) -> dict[str, Any]:
    """A queued message; mailcow has joined each recipient and the reason of the delay into one text."""
    return {**told, "recipients": [_recipient(each) for each in told.get("recipients") or []]}


def _recipient(told: Any) -> dict[str, Any]:
    if isinstance(told, Mapping):
        return dict(told)
    address, _, reason = str(told).partition(" (")
    return {"address": address} | ({"delay_reason": reason.removesuffix(")")} if reason else {})
