"""`setup email …` and `setup quota …`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from . import alias_commands, dovecot, maps, passwords, postfix, settings, sizes
from .databases import ACCOUNTS, ALIASES, QUOTAS, valid_lines
from .failures import Failed, usage_only

if TYPE_CHECKING:
    from .journal import Journal
    from .maps import Account

QUOTA_FORMAT = re.compile(r"\d+[BkMGT]?")
QUOTA_HINT = "Invalid quota format. e.g. 302M (B (byte), k (kibibyte), M (mebibyte), G (gibibyte) or T (tebibyte))"


def add(arguments: list[str], journal: Journal) -> None:
    """Add an account, its address in lower case."""
    if not arguments:
        raise usage_only()
    address = arguments[0]
    if "@" not in address:
        raise Failed(f"'{address}' should include the domain (eg: user@example.com)", usage=True)
    if address != address.lower():
        journal.warn(f"Mail account '{address}' has uppercase letters and will be normalized to '{address.lower()}'")
        address = address.lower()
    if ACCOUNTS.has(address):
        raise Failed(f"'{address}' already exists")
    if ALIASES.begins(address):
        raise Failed(f"'{address}' is already defined as an alias")
    ACCOUNTS.append(address, passwords.hashed(passwords.given(arguments[1:]), address))


def update(arguments: list[str], _journal: Journal) -> None:
    """Set an account's password."""
    address = _existing(arguments)
    ACCOUNTS.put(address, passwords.hashed(passwords.given(arguments[1:]), address))


def delete(arguments: list[str], journal: Journal) -> None:
    """Remove accounts with what belongs to them; `-y` their mail too."""
    addresses = [word for word in arguments if word != "-y"]
    if not addresses:
        raise usage_only()
    for address in addresses:
        _existing([address])
        if "-y" in arguments or _agreed():
            _delete_mail(address, journal)
        else:
            journal.info("The mailbox data will not be deleted.")
        ACCOUNTS.drop(address)
        QUOTAS.drop(address)
        for alias in maps.aliases(ALIASES.lines()):
            alias_commands.drop_recipient(alias, address)
        journal.info(f"'{address}' and associated data (aliases, quotas) deleted")


def _agreed() -> bool:
    if sys.stdin.isatty():
        sys.stdout.write("Do you want to delete the mailbox data as well? [y/N] ")
        sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _delete_mail(address: str, journal: Journal) -> None:
    folder = dovecot.MAIL / maps.Account(address, "").maildir
    if folder.is_dir():
        journal.info(f"Deleting mailbox data: '{folder}'")
        shutil.rmtree(folder)
    else:
        journal.info(f"There is no mailbox data to delete: '{folder}'")


def show(_arguments: list[str], _journal: Journal) -> None:
    """List accounts with quota and aliases; needs a running Dovecot."""
    if settings.read().get("ACCOUNT_PROVISIONER") != "FILE":
        raise Failed("This command is only compatible with 'ACCOUNT_PROVISIONER=FILE'")
    if not ACCOUNTS.path.exists():
        raise Failed(f"'{ACCOUNTS.path}' does not exist")
    if not ACCOUNTS.lines():
        raise Failed(f"'{ACCOUNTS.path}' is empty, nothing to list")
    for account in maps.accounts(ACCOUNTS.lines()):
        sys.stdout.write(f"* {account.address}{_used(account)}\n{_aliases_of(account)}\n")


def _used(account: Account) -> str:
    if settings.read()["ENABLE_QUOTAS"] != "1":
        return ""
    argv = ["doveadm", "-f", "tab", "quota", "get", "-u", account.address]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Failed(f"Dovecot does not tell the quota of '{account.address}'")
    storage = next(line.split("\t") for line in answer.stdout.splitlines() if "\tSTORAGE\t" in line)
    used, limit, percent = storage[2:5]
    return f" ( {sizes.iec(used)} / {sizes.iec(limit)} ) [{percent}%]"


def _aliases_of(account: Account) -> str:
    names = [
        alias.address for alias in maps.aliases(ALIASES.lines()) if account.address in alias_commands.recipients(alias)
    ]
    return f"    [ aliases -> {', '.join(names)} ]\n" if names else ""


def restrict(arguments: list[str], _journal: Journal) -> None:
    """Forbid an address to send or receive, allow it again, or list the forbidden."""
    if len(arguments) < 2 or arguments[0] not in {"add", "del", "list"} or arguments[1] not in {"send", "receive"}:  # noqa: PLR2004  verb and direction
        raise usage_only()
    verb, direction, *rest = arguments
    path = postfix.access_list(direction)
    lines = valid_lines(path.read_text()) if path.exists() else []
    if verb == "list":
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return
    address = rest[0] if rest else sys.stdin.readline().strip()
    kept = [line for line in lines if line.split()[0] != address]
    if verb == "add":
        if kept != lines:
            raise Failed(f"'{address}' already denied to {direction} mails")
        kept.append(f"{address} \t\t REJECT")
        postfix.restrict(direction)
    path.write_text("".join(f"{line}\n" for line in kept))
    postfix.reload()


def set_quota(arguments: list[str], _journal: Journal) -> None:
    """Limit an account's storage."""
    address = _existing(arguments)
    limit = arguments[1] if len(arguments) > 1 else sys.stdin.readline().strip()
    if not QUOTA_FORMAT.fullmatch(limit):
        raise Failed(QUOTA_HINT, usage=True)
    QUOTAS.put(address, limit)


def delete_quota(arguments: list[str], _journal: Journal) -> None:
    """Take an account's limit away."""
    QUOTAS.drop(_existing(arguments))


def _existing(arguments: list[str]) -> str:
    if not arguments:
        raise usage_only()
    if not ACCOUNTS.has(arguments[0]):
        raise Failed(f"'{arguments[0]}' does not exist")
    return arguments[0]
