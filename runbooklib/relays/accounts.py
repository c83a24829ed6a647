"""What the relays' providers say of the domains that send through them, as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from runbooklib.records import Wanted
from runbooklib.results import Check, Shown, Table

ABSENT, VERIFIED = "absent", "verified"
PARTLY = {"partially_verified", "partially_failed"}  # of all it offers; sending may need less
WAITING = {"not_started", "pending", "partially_verified"}  # the provider has not looked yet, or is looking
BROKEN = {"failed", "partially_failed", "temporary_failure"}  # it looked, and missed something


@dataclass(frozen=True)
class Account:
    """One domain at its relay's provider; without a managing key little of it is known."""

    domain: str
    relay: str
    managed: bool = False  # whether the provider's API answered our managing key
    status: str = ""  # in the provider's words, `absent` where it does not know the domain; empty: not known
    records: tuple[Wanted, ...] = ()  # as the provider tells them
    id: str = ""
    missing: tuple[str, ...] = ()  # records the provider does not see yet, each with its word for that
    unneeded: tuple[str, ...] = ()  # records it offers that sending does not need
    tracking: tuple[str, ...] = ()  # of open and click, those that are on: they rewrite the body
    hosting: bool | None = None  # whether the provider would deliver mail for the domain to itself
    mailboxes: tuple[str, ...] = ()  # of the domain, there
    catch_all: str = ""  # the mailbox there that stands for every address of the domain
    problem: Check | None = None  # why the API could not be asked

    @property
    def trusted(self) -> bool:
        """Whether the provider has seen every record that sending needs."""
        return self.status == VERIFIED or (self.status in PARTLY and not self.missing)

    @property
    def settings(self) -> str:
        """What is set there, in a few words."""
        said = [f"{kind} tracking on" for kind in self.tracking]
        said += ["local mail hosting on"] * bool(self.hosting)
        said += [f"mailboxes {', '.join(self.mailboxes)}"] * bool(self.mailboxes)
        return "; ".join(said)

    @property
    def row(self) -> tuple[str, ...]:
        """For a table."""
        known = self.status or (self.problem.observed if self.problem else "not known: no managing key")
        records = "\n".join(f"{w.type} {w.name}" for w in self.records)
        return self.domain, self.relay, known, records, self.settings, "\n".join(self.unneeded)


@dataclass(frozen=True)
class Accounts(Shown):
    """All of them, and what was learnt about each relay as a whole."""

    accounts: tuple[Account, ...] = ()
    rows: tuple[Check, ...] = ()  # keys, allowance, suppressed recipients

    def __iter__(self) -> Iterator[Account]:
        return iter(self.accounts)

    def of(self, domain: str) -> Account | None:
        """The account of a domain; None where its relay has no API, or it sends directly."""
        return next((a for a in self.accounts if a.domain == domain), None)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        columns = ("domain", "relay", "status there", "records it wants", "settings", "offered, not needed")
        return "what the providers say", columns, [a.row for a in self.accounts]

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()
