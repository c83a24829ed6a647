"""What the config volume's lines become in Postfix's and Dovecot's own tables. Pure: text in, lines out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GENERATED = (
    "# WARNING: this file is auto-generated. Modify /tmp/docker-mailserver/postfix-accounts.cf to edit the user list."
)


@dataclass(frozen=True)
class Account:
    """A mailbox: its address, the password's hash, and further Dovecot fields."""

    address: str
    password: str
    fields: str = ""

    @property
    def maildir(self) -> str:
        """Where its mail lies, below the mail volume."""
        local, _, domain = self.address.partition("@")
        return f"{domain}/{local}"


@dataclass(frozen=True)
class Alias:
    """An alias and its recipients as written, separated by commas."""

    address: str
    recipients: str


def accounts(lines: Iterable[str]) -> list[Account]:
    """The accounts of postfix-accounts.cf."""
    return [Account(*(line.strip().split("|", 2))) for line in lines if "|" in line]


def aliases(lines: Iterable[str]) -> list[Alias]:
    """The aliases of postfix-virtual.cf."""
    pairs = (line.split(None, 1) for line in lines)
    return [Alias(pair[0], pair[1].strip()) for pair in pairs if len(pair) == 2]  # noqa: PLR2004  a pair


def quotas(lines: Iterable[str]) -> dict[str, str]:
    """The limits of dovecot-quotas.cf by address."""
    return {address: limit.strip() for address, _, limit in (line.partition(":") for line in lines)}


def domains(known: Iterable[Account], others: Iterable[Alias]) -> list[str]:
    """The mail domains: those of accounts and aliases."""
    addresses = [account.address for account in known] + [alias.address for alias in others]
    return sorted({address.rpartition("@")[2] for address in addresses if "@" in address})


def vmailbox(known: Iterable[Account]) -> list[str]:
    """Postfix's table of mailboxes."""
    return [GENERATED, *(f"{account.address} {account.maildir}/" for account in known)]


def userdb(known: Sequence[Account], limits: Mapping[str, str]) -> list[str]:
    """Dovecot's passwd-file of accounts."""
    return [_user(account.address, account, limits) for account in known]


def alias_users(
    known: Sequence[Account], others: Iterable[Alias], limits: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Dovecot users for aliases of one local account, so that quota is asked for them too, and the aliases refused.

    A catch-all makes a user named `@domain` with its target's password, as in 15.1.0.
    """
    by_address = {account.address: account for account in known}
    users, refused = userdb(known, limits), list[str]()
    made: list[str] = []
    for alias in others:
        target = by_address.get(alias.recipients)
        if target is None:
            continue
        if any(user.startswith(alias.address) for user in users + made):
            refused.append(alias.address)
        else:
            made.append(_user(alias.address, target, limits))
    return made, refused


def _user(name: str, account: Account, limits: Mapping[str, str]) -> str:
    limit = limits.get(account.address)
    fields = " ".join(filter(None, [account.fields, f"userdb_quota_rule=*:bytes={limit}" if limit else ""]))
    return f"{name}:{account.password}:5000:5000::/var/mail/{account.maildir}/home::{fields}"


def relayhosts(relaymap: Iterable[str], vhosts: Iterable[str], relay: str) -> list[str]:
    """Sender-dependent next hops: the user's lines, then `relay` for every mail domain not mentioned there.

    A line with a domain alone opts it out.
    """
    lines = list(relaymap)
    mentioned = {line.split()[0] for line in lines}
    own = [line for line in lines if len(line.split()) > 1]
    return own + [f"@{domain}    {relay}" for domain in vhosts if relay and f"@{domain}" not in mentioned]


def logins(lines: Iterable[str], next_hop: str, user: str, password: str) -> list[str]:
    """Postfix's login table: the user's lines, then the environment's login for its one relay."""
    return [*lines, *([f"{next_hop}    {user}:{password}"] if user and password else [])]
