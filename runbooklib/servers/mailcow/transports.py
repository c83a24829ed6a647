"""mailcow's tables about mail that leaves, and what its Postfix makes of them.

Pure but for `read`. Passwords come in clear from the API; here they are only digests.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from runbooklib.params import Relay
from runbooklib.results import Shown, Table
from runbooklib.servers.mailcow.api import Api
from runbooklib.servers.mailcow.state import NO_RELAY, State
from runbooklib.servers.nexthops import next_hop

ESCAPED = "\\:"  # what add/relayhost makes of a colon, and Postfix sends as it is
HANGING = (465, 2465)  # implicit TLS, which mailcow's Postfix and its relay test begin in clear and wait for ever
PORT = re.compile(r":(\d+)$")
NO_PORT = 25
# What verifies the relay's certificate at least as well as what we would write (postconf(5), smtp_tls_policy_maps).
VERIFYING = frozenset({"secure", "fingerprint", "dane-only"})
ENCRYPTING = VERIFYING | {"verify", "encrypt"}


@dataclass(frozen=True)
class Transport:
    """A sender-dependent transport, a row of `relayhosts`."""

    id: str
    hop: str
    username: str = ""
    login: str = field(default="", repr=False)  # digest of user and password; empty: Postfix does not log in
    active: bool = True
    escaped: bool = False  # the password holds what add/relayhost makes of a colon
    used: bool = False  # by a domain

    @property
    def hangs(self) -> bool:
        """Whether its port begins with TLS, where mailcow only knows STARTTLS."""
        found = PORT.search(self.hop)
        return int(found[1] if found else NO_PORT) in HANGING

    def leads_to(self, relay: Relay) -> bool:
        """Whether it is that relay's, with its user; the password is another question."""
        return (self.hop, self.username) == (next_hop(relay), relay.username or "")


@dataclass(frozen=True)
class Policy:
    """How TLS is spoken to a next hop, a row of `tls_policy_override`."""

    id: str
    hop: str
    level: str
    parameters: str = ""
    active: bool = True

    def __str__(self) -> str:
        return " ".join(filter(None, (self.level, self.parameters, "" if self.active else "(inactive)")))

    def suffices(self, relay: Relay) -> bool:
        """Whether nothing goes to that relay in clear, nor, where mailcow can know its CA, to somebody else."""
        if not self.active or relay.ca is not None:
            return self.active and self.level in ENCRYPTING
        others = self.names - {relay.host, "nexthop", "hostname"}
        return self.level in VERIFYING and not (self.level == "secure" and others)

    @property
    def names(self) -> set[str]:
        """What the certificate may be for; none said: the next hop (smtp_tls_secure_cert_match)."""
        told = (p.removeprefix("match=") for p in self.parameters.split() if p.startswith("match="))
        return {name for names in told for name in names.split(":")}


@dataclass(frozen=True)
class Way:
    """What Postfix would do with a sender's mail."""

    hop: str = ""  # empty: directly
    login: str = field(default="", repr=False)
    crossed: bool = False  # the host of one row and the credentials of another: such mail bounces


@dataclass(frozen=True)
class Outbound(Shown):
    """All that decides where mail leaves."""

    have: State
    transports: Mapping[str, Transport] = field(default_factory=dict)  # by id
    policies: Mapping[str, Policy] = field(default_factory=dict)  # by next hop
    overruling: Mapping[str, str] = field(default_factory=dict)  # destination -> next hop, whoever the sender is

    def assigned(self, domain: str) -> str:
        """The id of a domain's row, which may not be there; an alias domain has that of the domain it stands for."""
        hosted = self.have.domains.get(self.have.alias_domains.get(domain, domain))
        return hosted.relayhost if hosted else NO_RELAY

    def own(self, sender: str) -> str:
        """The id of the row of the mailbox that a sender is, or is an alias of and of nothing else."""
        alias = self.have.aliases.get(sender)
        targets = alias.targets if alias and alias.active and not sender.startswith("@") else frozenset()
        box = self.have.mailboxes.get(next(iter(targets)) if len(targets) == 1 else sender)
        return box.relayhost if box else NO_RELAY

    def way(self, sender: str) -> Way:
        """As its queries answer: the host is that of the mailbox's row, else the domain's; the login the other way."""
        mine, domains = self.own(sender), self.assigned(sender.rpartition("@")[2])
        hop, login = self._active(mine, domains), self._active(domains, mine)
        if hop is None or login is None:
            return Way()
        return Way(hop.hop, login.login, crossed=hop.login != login.login)

    def _active(self, *ids: str) -> Transport | None:
        """The first of these rows that is there and active; the others Postfix does not see."""
        return next((t for i in ids if (t := self.transports.get(i)) and t.active), None)

    def dangles(self, id_: str) -> bool:
        """Whether a row is named that Postfix does not see, so that mail leaves directly without a word."""
        return id_ != NO_RELAY and self._active(id_) is None

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        rows: list[tuple[str, ...]] = [
            (t.id, t.hop, t.username, "yes" if t.active else "no", str(self.policies.get(t.hop, "")))
            for t in self.transports.values()
        ]
        return "sender-dependent transports", ("id", "next hop", "user", "active", "TLS"), rows

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


def read(mailcow: Api, have: State) -> Outbound:
    """The tables as they stand.

    Raises MailcowError.
    """
    paths = (("relayhost", "all"), ("tls-policy-map", "all"), ("transport", "all"))
    with ThreadPoolExecutor(len(paths)) as pool:
        transports, policies, maps = pool.map(lambda path: mailcow.items(*path), paths)
    found = (policy(told) for told in policies)
    return Outbound(
        have,
        {t.id: t for t in map(transport, transports)},
        {p.hop: p for p in found},
        {str(m["destination"]): str(m["nexthop"]) for m in maps if str(m.get("active")) == "1"},
    )


def transport(told: Mapping[str, Any]) -> Transport:
    """A row as get/relayhost tells it, its password as a digest."""
    username, password = str(told.get("username") or ""), str(told.get("password") or "")
    return Transport(
        id=str(told["id"]),
        hop=str(told["hostname"]),
        username=username,
        login=digest(username, password) if username else "",
        active=str(told.get("active")) == "1",
        escaped=ESCAPED in password,
        used=bool(told.get("used_by_domains")),
    )


def policy(told: Mapping[str, Any]) -> Policy:
    """A row as get/tls-policy-map tells it."""
    return Policy(
        id=str(told["id"]),
        hop=str(told["dest"]),
        level=str(told["policy"]),
        parameters=str(told.get("parameters") or ""),
        active=str(told.get("active")) == "1",
    )


def digest(username: str, password: str) -> str:
    """A login that can be compared and not be read."""
    return hashlib.sha256(f"{username}:{password}".encode()).hexdigest()


def login(relay: Relay) -> str:
    """The digest of the login that params name; empty where they name none."""
    return digest(relay.username, relay.password.reveal()) if relay.username and relay.password else ""


def of(relay: Relay, transports: Iterable[Transport]) -> list[Transport]:
    """The rows of a relay, the one to use first: in use, then active, then the oldest."""
    rows = [t for t in transports if t.leads_to(relay)]
    return sorted(rows, key=lambda t: (not t.used, not t.active, int(t.id)))


def policy_for(relay: Relay) -> tuple[str, str]:
    """Level and parameters to write: verified, but for a private CA, which mailcow cannot be given by its API."""
    return ("encrypt", "") if relay.ca else ("secure", f"match={relay.host}")
