"""`setup alias …`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import maps
from .databases import ACCOUNTS, ALIASES
from .failures import Failed, usage_only

if TYPE_CHECKING:
    from .journal import Journal
    from .maps import Alias


def add(arguments: list[str], _journal: Journal) -> None:
    """Add a recipient to an alias, new or not."""
    address, recipient = _pair(arguments)
    if ACCOUNTS.begins(address):
        raise Failed(f"'{address}' is already defined as an account")
    present = _find(address)
    if present and recipient in recipients(present):
        raise Failed(f"'{address}' is already an alias for recipient: '{recipient}'")
    ALIASES.put(address, f"{present.recipients},{recipient}" if present else recipient)


def delete(arguments: list[str], _journal: Journal) -> None:
    """Remove a recipient from an alias; one that is not there is no failure."""
    address, recipient = _pair(arguments)
    present = _find(address)
    if present:
        drop_recipient(present, recipient)


def show(_arguments: list[str], _journal: Journal) -> None:
    """List the aliases."""
    if not ALIASES.path.exists():
        raise Failed(f"'{ALIASES.path}' does not exist")
    if not ALIASES.lines():
        raise Failed(f"'{ALIASES.path}' is empty, nothing to list")
    sys.stdout.writelines(f"* {line}\n\n" for line in ALIASES.lines())


def recipients(alias: Alias) -> list[str]:
    """The recipients one by one."""
    return alias.recipients.split(",")


def drop_recipient(alias: Alias, recipient: str) -> None:
    """Remove a recipient, and the alias with its last."""
    left = [name for name in recipients(alias) if name != recipient]
    if not left:
        ALIASES.drop(alias.address)
    elif left != recipients(alias):
        ALIASES.put(alias.address, ",".join(left))


def _find(address: str) -> Alias | None:
    return next((alias for alias in maps.aliases(ALIASES.lines()) if alias.address == address), None)


def _pair(arguments: list[str]) -> tuple[str, str]:
    if len(arguments) < 2:  # noqa: PLR2004  alias and recipient
        raise usage_only()
    return arguments[0], arguments[1]
