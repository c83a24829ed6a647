"""Resend's API (resend.com/docs/api-reference): domains, keys, what became of mail, suppressed addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote

from runbooklib.credentials import Secret
from runbooklib.params import Relay
from runbooklib.relays import shapes
from runbooklib.relays.calls import Api, ConflictError, MissingError, ProviderError, Reply, UnavailableError, open_api

USUAL = "https://api.resend.com"
NO_TRACKING = {"open_tracking": False, "click_tracking": False}
PAGE, PAGES = "100", 5
QUOTA = {"today": "x-resend-daily-quota", "this month": "x-resend-monthly-quota"}  # used; the first on free plans only


@dataclass(frozen=True)
class Record:
    """A DNS record as the API tells it: its name relative to the zone, its value perhaps quoted."""

    purpose: str  # SPF and DKIM are for sending; Receiving, Tracking, TrackingCAA are not
    name: str
    type: str
    value: str
    status: str
    priority: int | None = None


@dataclass(frozen=True)
class Domain:
    """A domain of the team."""

    id: str
    name: str
    status: str
    tracking: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Email:
    """A message Resend has taken, and its last event."""

    to: tuple[str, ...]
    subject: str
    last_event: str


@dataclass(frozen=True)
class Suppression:
    """An address to which mail is skipped in silence, for the whole team."""

    email: str
    origin: str  # bounce, complaint or manual
    since: str


@dataclass
class Resend:
    """The API with one key."""

    api: Api
    used: dict[str, int] = field(default_factory=dict)  # how much of the allowance, as the last answer said

    @classmethod
    def of(cls, relay: Relay, key: Secret) -> Self:
        """The API as params name it."""
        headers = {"Authorization": f"Bearer {key.reveal()}", "Accept": "application/json"}
        return cls(open_api(relay, USUAL, headers))

    def domains(self) -> list[Domain]:
        """Every domain of the team, without its records."""
        return [_domain(row) for row in self._pages("/domains")]

    def find(self, name: str) -> Domain | None:
        """The domain of that name, whole."""
        listed = next((d for d in self.domains() if d.name == name), None)
        return self.get(listed.id) if listed else None

    def get(self, domain_id: str) -> Domain:
        """The domain with that id, whole."""
        return _domain(shapes.mapping(self._get(f"/domains/{quote(domain_id)}").body, "domain"))

    def add(self, name: str, region: str, return_path: str) -> Domain:
        """Adds a domain; one that an earlier try added without our hearing of it is found.

        Raises ConflictError where another team has it.
        """
        asked = {"name": name, "region": region, "custom_return_path": return_path, **NO_TRACKING}
        try:
            made = self.api.change("POST", "/domains", asked)
        except (ConflictError, UnavailableError) as error:
            return self._already(name, error)
        return _domain(shapes.mapping(made.body, "domain"))

    def _already(self, name: str, error: ProviderError) -> Domain:
        found = self.find(name)
        if found is None:
            raise error
        return found

    def verify(self, domain_id: str) -> None:
        """Asks Resend to look into DNS; it does so in its own time."""
        self.api.change("POST", f"/domains/{quote(domain_id)}/verify")

    def track_nothing(self, domain_id: str) -> None:
        """Switches open and click tracking off: both rewrite the body."""
        self.api.change("PATCH", f"/domains/{quote(domain_id)}", NO_TRACKING)

    def make_sending_key(self, name: str, domain_id: str) -> str:
        """A new key that may only send, from one domain where an id is given; its token is told this once."""
        asked = {"name": name, "permission": "sending_access"} | ({"domain_id": domain_id} if domain_id else {})
        return shapes.text(shapes.mapping(self.api.change("POST", "/api-keys", asked).body, "key"), "token")

    def suppression(self, address: str) -> Suppression | None:
        """Why mail to an address is skipped, if it is.

        Raises MissingError where this account's API has no suppressions at all.
        """
        try:
            told = shapes.mapping(self._get(f"/suppressions/{quote(address)}").body, "suppression")
        except MissingError as error:
            if "endpoint" in str(error):
                raise
            return None
        return Suppression(
            shapes.text(told, "email"),
            shapes.maybe(told, "origin", str) or "not said why",
            shapes.maybe(told, "created_at", str) or "",
        )

    def emails(self) -> list[Email]:
        """The latest messages, newest first."""
        return [_email(row) for row in self._pages("/emails")]

    def _pages(self, path: str) -> Iterator[Mapping[str, Any]]:
        query = {"limit": PAGE}
        for _ in range(PAGES):
            told = shapes.mapping(self._get(path, **query).body, path)
            rows = shapes.rows(told.get("data"), f"{path} data")
            yield from rows
            if not rows or not shapes.maybe(told, "has_more", bool):
                return
            query["after"] = shapes.text(rows[-1], "id")

    def _get(self, path: str, **query: str) -> Reply:
        reply = self.api.get(path, **query)
        said = {period: reply.headers.get(name, "") for period, name in QUOTA.items()}
        self.used |= {period: int(text) for period, text in said.items() if text.isdigit()}
        return reply


def _domain(told: Mapping[str, Any]) -> Domain:
    on = tuple(kind for kind in ("open", "click") if shapes.maybe(told, f"{kind}_tracking", bool))
    records = shapes.rows(told.get("records", []), "records")
    name = shapes.text(told, "name").lower()
    return Domain(shapes.text(told, "id"), name, shapes.text(told, "status"), on, tuple(map(_record, records)))


def _record(told: Mapping[str, Any]) -> Record:
    return Record(
        shapes.text(told, "record"),
        shapes.text(told, "name"),
        shapes.text(told, "type").upper(),
        shapes.text(told, "value"),
        shapes.maybe(told, "status", str) or "",
        shapes.maybe(told, "priority", int),
    )


def _email(told: Mapping[str, Any]) -> Email:
    to = told.get("to")
    addresses = [to] if isinstance(to, str) else shapes.texts(to, "to")
    return Email(
        tuple(a.lower() for a in addresses),
        shapes.maybe(told, "subject", str) or "",
        shapes.maybe(told, "last_event", str) or "",
    )
