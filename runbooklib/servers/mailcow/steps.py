"""The steps of stage 02 on mailcow that have to find their row first, or need more than one look afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runbooklib.params import Relay
from runbooklib.results import Check, Status
from runbooklib.servers.mailcow import relaytest, transports
from runbooklib.servers.mailcow.api import Api, NothingDoneError
from runbooklib.servers.mailcow.relaytest import RelayTestError
from runbooklib.servers.mailcow.state import NO_RELAY, box
from runbooklib.servers.mailcow.transports import Transport
from runbooklib.servers.mailcow.writes import Step, Write
from runbooklib.servers.nexthops import next_hop


def assignment(domain: str, row: str) -> dict[str, Any]:
    """The call that makes a domain leave by a row, or directly, and what has to be found afterwards."""
    body = {"items": [domain], "attr": {"relayhost": row}}
    shows = {"domain_name": domain, "relayhost": row}
    return {"path": "edit/domain", "body": body, "read": ("domain", domain), "shows": shows}


@dataclass(frozen=True)
class OnRow(Step):
    """A step about the row of a relay; one that an earlier step made is looked up by next hop and user."""

    relay: Relay = field(kw_only=True, repr=False)
    row: str = field(kw_only=True)

    def found(self, mailcow: Api) -> Transport:
        """Raises NothingDoneError where it is not there (any more)."""
        rows = transports.of(self.relay, map(transports.transport, mailcow.items("relayhost", "all")))
        found = next((t for t in rows if self.row in {"", t.id}), None)
        if found is None:
            raise NothingDoneError(f"mailcow has no transport {next_hop(self.relay)} for that user")
        return found


@dataclass(frozen=True)
class RowWrite(OnRow):
    """A call about that row."""

    def write(self, row: str) -> Write:
        """The call, and what has to be found afterwards."""
        raise NotImplementedError

    def do(self, mailcow: Api) -> None:
        self.write(self.found(mailcow).id).do(mailcow)


@dataclass(frozen=True)
class LoginStored(RowWrite):
    """The row's login and whether it is active, by edit, which stores what it is given."""

    def write(self, row: str) -> Write:
        login = {"username": self.relay.username or "", "password": self.relay.password or "", "active": "1"}
        words = (self.order, self.target, self.before, self.after, self.why)
        body = {"items": [row], "attr": {"hostname": next_hop(self.relay), **login}}
        return Write(*words, path="edit/relayhost", body=body, read=("relayhost", row), shows={"id": row, **login})


@dataclass(frozen=True)
class Assigned(RowWrite):
    """A domain's mail leaves by the row from now on."""

    domain: str = field(kw_only=True)

    def write(self, row: str) -> Write:
        words = (self.order, self.target, self.before, self.after, self.why)
        return Write(*words, **assignment(self.domain, row))


@dataclass(frozen=True)
class Tried(OnRow):
    """mailcow's own relay test; it sends one message, and the steps after it need that the relay took it."""

    name: str = field(kw_only=True)
    patience: float = relaytest.PATIENCE
    sender: str = field(kw_only=True)
    recipient: str = field(kw_only=True)

    def do(self, mailcow: Api) -> None:
        """Raises RelayTestError."""
        row = self.found(mailcow)
        if row.hangs:
            raise RelayTestError(_hanging(self.name, row))
        check = relaytest.run(mailcow, row.id, self.name, self.sender, self.recipient, self.patience)
        if check.status is not Status.PASS:
            raise RelayTestError(check)


def _hanging(relay: str, row: Transport) -> Check:
    fix = f"use its STARTTLS port: under relays.{relay} write port: 587, 2525 or 2587"
    said = f"{row.hop} begins with TLS: mailcow's Postfix cannot speak to it, and its test would hang for 300 s"
    return Check(f"relay.test {relay}", Status.FAIL, "a port with STARTTLS", said, fix, "RFC 8314 3.3")


@dataclass(frozen=True)
class Cleared(Step):
    """A mailbox follows its domain again."""

    address: str = ""

    def do(self, mailcow: Api) -> None:
        if self.stands(mailcow):
            return
        mailcow.post("edit/mailbox", {"items": [self.address], "attr": {"relayhost": NO_RELAY}})
        if not self.stands(mailcow):
            raise NothingDoneError(f"mailcow says success, but {self.address} keeps its own transport")

    def stands(self, mailcow: Api) -> bool:
        """Whether the mailbox has no transport of its own."""
        return box(mailcow.facts("mailbox", self.address)).relayhost == NO_RELAY
