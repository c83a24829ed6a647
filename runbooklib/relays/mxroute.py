"""MXRoute's API (api.mxroute.com/openapi.yaml): domains, mailboxes, and the DNS values of each domain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

from runbooklib.credentials import Secret
from runbooklib.params import Relay
from runbooklib.relays import shapes
from runbooklib.relays.calls import Api, ConflictError, MalformedError, Reply, UnavailableError, open_api

USUAL = "https://api.mxroute.com"


@dataclass(frozen=True)
class Record:
    """A DNS record of a domain; `name` is relative to it, @ its own."""

    type: str
    name: str
    value: str


@dataclass(frozen=True)
class Values:
    """What MXRoute wants in a domain's zone."""

    spf: Record | None
    dkim: Record | None


@dataclass(frozen=True)
class Mailbox:
    """A mailbox there, with how many messages it sent today and may send a day."""

    address: str
    sent: int | None = None
    limit: int | None = None


@dataclass
class Mxroute:
    """The API with one key."""

    api: Api

    @classmethod
    def of(cls, relay: Relay, key: Secret) -> Self:
        """The API as params name it; X-Server is the mail server's own name."""
        headers = {"X-Server": relay.host or "", "X-Username": relay.api_user or "", "X-API-Key": key.reveal()}
        return cls(open_api(relay, USUAL, headers))

    def domains(self) -> list[str]:
        """The names of the account's domains."""
        return [name.lower() for name in shapes.texts(_data(self.api.get("/domains")), "domains")]

    def ownership(self, domain: str) -> Record:
        """The record that must stand before the domain can be added."""
        told = shapes.mapping(_data(self.api.get("/verification-key")), "verification key")
        record = _record(told.get("record"))
        return Record(record.type, f"{record.name}.{domain}", record.value)

    def add(self, domain: str) -> None:
        """Adds a domain; one that is there already, by an earlier try or before, is fine.

        Raises InvalidError while its ownership record does not stand.
        """
        try:
            self.api.change("POST", "/domains", {"domain": domain})
        except (ConflictError, UnavailableError):
            if domain not in self.domains():
                raise

    def hosting(self, domain: str) -> bool:
        """Whether MXRoute delivers mail for the domain to itself."""
        told = shapes.mapping(_data(self.api.get(f"/domains/{quote(domain)}")), "domain")
        found = shapes.maybe(told, "mail_hosting", bool)
        if found is None:
            raise MalformedError("domain: mail_hosting is missing")
        return found

    def host_nothing(self, domain: str) -> None:
        """Switches its local mail hosting off."""
        self.api.change("PATCH", f"/domains/{quote(domain)}/mail-status", {"enabled": False})

    def values(self, domain: str) -> Values:
        """SPF and DKIM as the API tells them; the key may not be made yet."""
        told = shapes.mapping(_data(self.api.get(f"/domains/{quote(domain)}/dns")), "dns")
        return Values(*(_record(told[kind]) if told.get(kind) else None for kind in ("spf", "dkim")))

    def mailboxes(self, domain: str) -> list[Mailbox]:
        """The domain's mailboxes there."""
        told = shapes.rows(_data(self.api.get(f"/domains/{quote(domain)}/email-accounts")), "mailboxes")
        return [
            Mailbox(shapes.text(m, "email").lower(), shapes.maybe(m, "sent", int), shapes.maybe(m, "limit", int))
            for m in told
        ]

    def make_mailbox(self, address: str, password: Secret) -> None:
        """Makes a mailbox; one that is there already keeps its password."""
        local, _, domain = address.partition("@")
        path = f"/domains/{quote(domain)}/email-accounts"
        try:
            self.api.change("POST", path, {"username": local, "password": password.reveal()})
        except (ConflictError, UnavailableError):
            if address not in [m.address for m in self.mailboxes(domain)]:
                raise

    def catch_all(self, domain: str) -> str:
        """The mailbox that stands for every address of the domain; empty where there is none."""
        told = shapes.mapping(_data(self.api.get(f"/domains/{quote(domain)}/catch-all")), "catch-all")
        return (shapes.maybe(told, "address", str) or "").lower() if told.get("type") == "address" else ""

    def catch_all_by(self, domain: str, address: str) -> None:
        """Lets a mailbox stand for every address of the domain."""
        self.api.change("PATCH", f"/domains/{quote(domain)}/catch-all", {"type": "address", "address": address})


def _data(reply: Reply) -> Any:
    """What stands under `data`."""
    told = shapes.mapping(reply.body, "answer")
    if told.get("success") is not True or "data" not in told:
        raise MalformedError("answer: expected success and data")
    return told["data"]


def _record(told: Any) -> Record:
    found: Mapping[str, Any] = shapes.mapping(told, "record")
    return Record(shapes.text(found, "type").upper(), shapes.text(found, "name"), shapes.text(found, "value"))
