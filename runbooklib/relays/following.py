"""What became of test messages after a relay accepted them, as its provider tells: *accepted* is not *delivered*."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from runbooklib.credentials import CredentialError
from runbooklib.params import Relay, Site
from runbooklib.relays.calls import ProviderError
from runbooklib.relays.observing import suppressions
from runbooklib.relays.resend import Email, Resend
from runbooklib.results import Check, Checklist, Status, say

WAIT = 15.0  # seconds a provider may take to learn what its MX was told
FIRST, LONGEST = 0.5, 2.0  # seconds between two looks
DELIVERED = {"delivered", "opened", "clicked"}
UNDER_WAY = {"queued", "scheduled", "sent", "delivery_delayed", ""}
WHERE = "https://resend.com/emails"
REF = "resend.com/docs/api-reference/emails/retrieve-email"
FIXES = {
    "bounced": "the recipient's server refused it after all; open it there: the bounce never comes to the sender",
    "suppressed": "the address bounced or complained before: find out why, then take it off the suppressions",
    "complained": "its reader called it spam; Resend suppresses the address from now on",
    "failed": "open it there: it says why it was not sent",
    "canceled": "somebody canceled it there",
}


class Letter(Protocol):
    """A test message, as `delivery` plans it."""

    @property
    def domain(self) -> str: ...
    @property
    def recipient(self) -> str: ...
    @property
    def inbound(self) -> bool: ...
    @property
    def bounces(self) -> bool: ...
    @property
    def name(self) -> str: ...


class Parcel(Protocol):
    """What is known of one after looking for it."""

    @property
    def letter(self) -> Letter: ...
    @property
    def gone(self) -> bool: ...


class Arrived(Protocol):
    """All of a run's messages."""

    def __iter__(self) -> Iterator[Parcel]: ...
    def mark(self, parcel: Any) -> str: ...


@dataclass(frozen=True)
class Followed:
    """A message to be found in a provider's list."""

    name: str
    recipient: str
    mark: str  # stands in its subject, and in no other's
    bounces: bool = False  # whether it was sent to be given back

    def among(self, emails: Iterable[Email]) -> Email | None:
        """Its entry there; the relay gave it a Message-ID of its own, the subject is as we wrote it."""
        return next((e for e in emails if self.mark in e.subject and self.recipient in e.to), None)


def fates(site: Site, arrived: Arrived, wait: float = WAIT) -> Checklist:
    """One row for each message a relay with an API accepted, and one for each of its recipients."""
    checks: list[Check] = []
    gone = [p for p in arrived if p.gone and not p.letter.inbound]
    for name, relay in site.used_relays.items():
        mine = [
            Followed(p.letter.name, p.letter.recipient, arrived.mark(p), p.letter.bounces)
            for p in gone
            if site.domain(p.letter.domain).relay == name
        ]
        if mine and relay.provider == "resend":
            checks += _of(name, relay, mine, wait)
    return Checklist("what became of it at the providers", tuple(checks))


def _of(name: str, relay: Relay, mine: list[Followed], wait: float) -> Iterator[Check]:
    try:
        if relay.api_key is None:
            raise CredentialError("not known: no managing key")  # noqa: TRY301 - the same rows as for a key that fails
        team = Resend.of(relay, relay.api_key)
        found = _wait_for(team, mine, wait)
        yield from (_fate(followed, found) for followed in mine)
        yield from suppressions(name, team, dict.fromkeys(f.recipient for f in mine if not f.bounces))
    except (ProviderError, CredentialError) as error:
        yield from (_unknown(followed, str(error)) for followed in mine)


def _wait_for(team: Resend, mine: list[Followed], wait: float) -> list[Email]:
    """The provider's list, read again until every message has come to its end or `wait` seconds are over."""
    deadline, pause = time.monotonic() + wait, FIRST
    while True:
        emails = team.emails()
        open_ones = [f for f in mine if (e := f.among(emails)) is None or e.last_event in UNDER_WAY]
        if not open_ones or time.monotonic() + pause > deadline:
            return emails
        say(f"{len(open_ones)} of {len(mine)} messages still under way at the provider")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)


def _fate(followed: Followed, emails: Iterable[Email]) -> Check:
    email = followed.among(emails)
    if email is None:
        return _unknown(followed, "accepted by the relay, and not in the provider's list")
    status, fix = _judged(followed, email.last_event)
    if status is Status.UNKNOWN:
        return _unknown(followed, f"{email.last_event!a}, a word this version does not know")
    said = email.last_event or "no event yet"
    said += ": accepted by the relay, not delivered yet" * (status is Status.PENDING)
    return Check(_name(followed), status, _expected(followed), said, fix, REF)


def _judged(followed: Followed, event: str) -> tuple[Status, str]:
    """What an event means: of a message that was to come back, the opposite."""
    if event in UNDER_WAY:
        return Status.PENDING, f"look again later, or at {WHERE}"
    if followed.bounces and event == "bounced":
        return Status.PASS, ""
    if followed.bounces and event in DELIVERED:
        return Status.FAIL, f"the address that bounces took it, so nothing tells of mail that is lost: see {WHERE}"
    if event in DELIVERED:
        return Status.PASS, ""
    return (Status.FAIL, f"{FIXES[event]}: {WHERE}") if event in FIXES else (Status.UNKNOWN, "")


def _unknown(followed: Followed, said: str) -> Check:
    return Check(_name(followed), Status.UNKNOWN, _expected(followed), said, f"see {WHERE}", REF, advisory=True)


def _name(followed: Followed) -> str:
    return f"relay.fate {followed.name}"


def _expected(followed: Followed) -> str:
    return "bounced, says the provider" if followed.bounces else "delivered, says the provider"
