"""What has to change at the providers before mail can leave through them: planned here, done through their APIs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from runbooklib.credentials import CredentialError, Secret
from runbooklib.host import stepwise
from runbooklib.params import Domain, Relay, Site
from runbooklib.places import locate
from runbooklib.relays.accounts import ABSENT, Account, Accounts
from runbooklib.relays.mxroute import Mxroute
from runbooklib.relays.resend import Resend
from runbooklib.results import Change, Outcome, Plan

DOMAIN, SETTING, LOGIN, SENDERS = range(4)  # steps: what a later one needs, an earlier one makes
FILE = "file:"


@dataclass(frozen=True)
class ApiChange(Change):
    """Something done through a provider's API, from this machine."""

    call: Callable[[], object] = field(default=lambda: None, compare=False, repr=False)

    def do(self) -> None:
        """The call, which needs no server."""
        self.call()


def plan(site: Site, accounts: Accounts) -> Plan:
    """What is missing or set wrong at the providers; where none can be asked, nothing."""
    changes = [change for account in accounts if account.managed for change in _account(site, account)]
    keys = [change for name, relay in site.used_relays.items() for change in _sending_key(site, name, relay, accounts)]
    return Plan("at the providers", (*changes, *keys))


def apply(site: Site, plan: Plan, *, apply: bool) -> Outcome:
    """Does at the providers what the plan says, or shows it."""
    del site  # as every other stage's: a plan of a site
    return stepwise(plan, lambda change: change.do(), apply=apply)  # type: ignore[attr-defined]


def _account(site: Site, account: Account) -> Iterator[ApiChange]:
    relay, domain = site.relays[account.relay], site.domain(account.domain)
    if relay.provider == "resend":
        yield from _at_resend(relay, account)
    elif account.status and account.status != ABSENT:
        yield from _at_mxroute(relay, domain, account)


def _at_resend(relay: Relay, account: Account) -> Iterator[ApiChange]:
    target = f"{account.relay} {account.domain}"
    if account.status == ABSENT:
        path, region = relay.return_path or "send", relay.region or "us-east-1"
        yield ApiChange(
            DOMAIN,
            target,
            "not known there",
            f"added in {region}, MAIL FROM under {path}.{account.domain}, open and click tracking off",
            "Resend sends only for domains it knows, and then tells the records it wants",
            "remove it at https://resend.com/domains",
            partial(_add, relay, account.domain, region, path),
        )
    elif account.tracking:
        yield ApiChange(
            SETTING,
            f"{target} tracking",
            f"{' and '.join(account.tracking)} tracking on",
            "off",
            "tracking rewrites links and adds an image: the body is no longer what was signed and sent",
            "switch it on at https://resend.com/domains",
            partial(_track_nothing, relay, account.id),
        )


def _managing(relay: Relay) -> Secret:
    if relay.api_key is None:
        raise CredentialError("params name no api_key for this relay")
    return relay.api_key


def _add(relay: Relay, domain: str, region: str, path: str) -> None:
    Resend.of(relay, _managing(relay)).add(domain, region, path)


def _track_nothing(relay: Relay, domain_id: str) -> None:
    Resend.of(relay, _managing(relay)).track_nothing(domain_id)


def makes_key(relay: Relay) -> bool:
    """Whether the sending key is ours to make: params name a file for it that is not there yet."""
    where = relay.password.reference if relay.password else ""
    wanted = relay.provider == "resend" and relay.api_key is not None and where.startswith(FILE)
    return wanted and not locate(where.removeprefix(FILE)).exists()


def _sending_key(site: Site, name: str, relay: Relay, accounts: Accounts) -> Iterator[ApiChange]:
    """A key for the server that may only send; from one domain, where the relay sends for no other."""
    mine = [a for a in accounts if a.relay == name]
    if not makes_key(relay) or relay.password is None or not all(a.managed for a in mine):
        return
    bound = mine[0].domain if len(mine) == 1 else ""
    yield ApiChange(
        LOGIN,
        f"{name} sending key",
        "none",
        f"made for {bound or 'all domains of the team'}, kept in {relay.password.reference} (0600)",
        "the server gets a key that may only send; the managing one stays on this machine",
        f"delete the key {site.server.hostname} at https://resend.com/api-keys, and the file",
        partial(_make_key, relay, site.server.hostname, bound),
    )


def _make_key(relay: Relay, name: str, domain: str) -> None:
    """The file comes first: a token that could not be written down would be lost."""
    team = Resend.of(relay, _managing(relay))
    found = team.find(domain) if domain else None
    path = locate(str(relay.password).removeprefix(FILE))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise CredentialError(f"file:{path} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        _or_no_file(path, lambda: file.write(team.make_sending_key(name, found.id if found else "") + "\n"))


def _or_no_file(path: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except Exception:
        path.unlink()
        raise


def _at_mxroute(relay: Relay, domain: Domain, account: Account) -> Iterator[ApiChange]:
    target = f"{account.relay} {domain.name}"
    if account.hosting:
        yield ApiChange(
            SETTING,
            f"{target} local mail hosting",
            "on",
            "off",
            "while it is on, mail from MXRoute's other customers to this domain stays there and never arrives here",
            "switch it on in the panel",
            partial(_host_nothing, relay, domain.name),
        )
    login = relay.username or ""
    if makes_mailbox(relay, account):
        yield ApiChange(
            LOGIN,
            f"{target} mailbox",
            "none",
            f"{login}, with the password params name",
            "the server logs in as a mailbox of the domain",
            f"delete {login} in the panel",
            partial(_make_mailbox, relay, login),
        )
    if uncovered(relay, domain, account):
        yield ApiChange(
            SENDERS,
            f"{target} catch-all",
            account.catch_all or "none",
            login,
            f"{', '.join(uncovered(relay, domain, account))} send as well, and MXRoute knows only {login}",
            "set it back in the panel",
            partial(_catch_all, relay, domain.name, login),
        )


def makes_mailbox(relay: Relay, account: Account) -> bool:
    """Whether the login is a mailbox of this domain that is not there yet."""
    login = relay.username or ""
    return login.endswith(f"@{account.domain}") and login not in account.mailboxes and relay.password is not None


def login_to_come(name: str, relay: Relay, accounts: Accounts) -> tuple[str, str]:
    """Why the login does not exist yet, and the stage that comes before it; empty where nothing says so."""
    if makes_key(relay):
        return f"{relay.password} is not made yet", ""
    home = next((a for a in accounts if a.relay == name and (relay.username or "").endswith(f"@{a.domain}")), None)
    if home is None or not home.managed or relay.username in home.mailboxes:
        return "", ""
    if home.status == ABSENT:
        return f"{relay.username} can be made once {home.domain} is known there", "04-dns"
    return f"{relay.username} is not made yet", ""


def uncovered(relay: Relay, domain: Domain, account: Account) -> tuple[str, ...]:
    """The addresses that send for the domain and that MXRoute does not know; none where a catch-all stands for them."""
    if account.catch_all or "@" not in (relay.username or ""):
        return ()
    known = {relay.username, *account.mailboxes}
    return tuple(a for a in (*(m.address for m in domain.mailboxes), *domain.aliases) if a not in known)


def _host_nothing(relay: Relay, domain: str) -> None:
    Mxroute.of(relay, _managing(relay)).host_nothing(domain)


def _make_mailbox(relay: Relay, address: str) -> None:
    if relay.password:
        Mxroute.of(relay, _managing(relay)).make_mailbox(address, relay.password)


def _catch_all(relay: Relay, domain: str, address: str) -> None:
    Mxroute.of(relay, _managing(relay)).catch_all_by(domain, address)
