"""A write to mailcow as a change of a plan: looked at before, made once, read back after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from runbooklib import host
from runbooklib.credentials import Secret
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.results import Change, Outcome, Plan
from runbooklib.servers.mailcow import api
from runbooklib.servers.mailcow.api import Api, NothingDoneError, UnavailableError


@dataclass(frozen=True)
class Step(Change):
    """A change that is made through mailcow's API; the others of a plan are an installation's, over SSH."""

    def do(self, mailcow: Api) -> None:
        """Raises MailcowError."""
        raise NotImplementedError


@dataclass(frozen=True)
class Write(Step):
    """A call, and what has to be found afterwards; what is there already is not written again.

    A Secret in `body` or `shows` is looked up when it is used, and never shown.
    """

    path: str = ""  # add/domain
    body: Mapping[str, Any] | tuple[str, ...] = field(default=(), repr=False, hash=False)
    read: tuple[str, ...] = ()  # the path below get/ that shows it
    shows: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    gone: bool = False  # nothing of the kind may be found any more
    fix: str = ""  # what to do when it fails, where mailcow's own words do not say

    def do(self, mailcow: Api) -> None:
        """Raises MailcowError; NothingDoneError where mailcow claims success and nothing is to be seen of it."""
        if self.stands(mailcow):
            return
        try:
            mailcow.post(self.path, _revealed(self.body))
        except UnavailableError:
            with suppress(UnavailableError):
                if self.stands(mailcow):
                    return
            raise
        if not self.stands(mailcow):
            raise NothingDoneError(f"{self.path}: mailcow says success, but {self.target} is not so")

    def stands(self, mailcow: Api) -> bool:
        """Whether mailcow shows what this change is to bring about."""
        return found(mailcow.items(*self.read), self.shows) is not self.gone


def found(items: Iterable[Mapping[str, Any]], shows: Mapping[str, Any]) -> bool:
    """Whether one of them holds all that is expected; mailcow writes the same number now as text, now as a number."""
    return any(all(_same(name, item.get(name), value) for name, value in shows.items()) for item in items)


def _same(name: str, told: Any, expected: Any) -> bool:
    if isinstance(expected, Secret):
        expected = expected.reveal()
    if name == "goto":
        return targets(str(told)) == targets(str(expected))
    return str(told) == str(expected)


def targets(goto: str) -> frozenset[str]:
    """Where an alias leads; the order means nothing."""
    return frozenset(part.strip().lower() for part in goto.split(",") if part.strip())


def _revealed(body: Any) -> Any:
    if isinstance(body, Secret):
        return body.reveal()
    return {k: _revealed(v) for k, v in body.items()} if isinstance(body, Mapping) else body


def apply(site: Site, plan: Plan, *, apply: bool) -> Outcome:
    """Does what the plan says through the API, and over SSH where mailcow is being installed; or shows it."""
    return host.stepwise(plan, lambda change: change.do(_door(site, change)), apply=apply)  # type: ignore[attr-defined]


def _door(site: Site, change: Change) -> Api | Host:
    return api.of(site) if isinstance(change, Step) else host.connect(site)
