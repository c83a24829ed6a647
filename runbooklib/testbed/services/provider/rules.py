"""What a provider's SMTP service asks, and what it is answered by `resend.rules` or `mxroute.rules`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

State = dict[str, Any]
LOGIN = 530, "Authentication required"  # RFC 4954 6


@dataclass(frozen=True)
class Refusal:
    """An SMTP answer other than 250."""

    code: int
    text: str


@dataclass(frozen=True)
class Letter:
    """A message at the end of DATA."""

    identity: str  # who logged in; nobody: ""
    sender: str
    recipients: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    queue_id: str = ""

    def all(self, name: str) -> list[str]:
        """The values of a header field."""
        return [value for field_name, value in self.headers if field_name.lower() == name.lower()]

    def first(self, name: str) -> str:
        return (self.all(name) or [""])[0]


@dataclass(frozen=True)
class Taken:
    """What becomes of a message that is accepted."""

    sender: str
    dropped: tuple[str, ...] = ()  # recipients it does not go to
    headers: Mapping[str, str] = field(default_factory=dict)  # replaced, or added where missing
    signed_for: str = ""  # the domain of our signature; none without one


class Rules(Protocol):
    """One provider's."""

    login: Callable[[State, str, str], str]  # the identity from now on, "" where the login is wrong
    sender: Callable[[State, str, str], Refusal | None]  # identity, address
    recipient: Callable[[State, str, str], Refusal | None]
    content: Callable[[State, Letter], Refusal | None]
    take: Callable[[State, Letter], Taken]  # notes in the state what is taken


def domain_of(address: str) -> str:
    """What stands behind the @, in lower case."""
    return address.rpartition("@")[2].lower()


def noted(letter: Letter, *, identity: str, message_id: str, event: str) -> State:
    """A message as the provider's list of mails holds it."""
    return {
        "id": identity,
        "queue_id": letter.queue_id,  # by what the outcome is found in the log
        "message_id": message_id,
        "from": letter.first("From"),
        "to": list(letter.recipients),
        "subject": letter.first("Subject"),
        "last_event": event,
        "created_at": datetime.now(UTC).isoformat(sep=" "),
    }
