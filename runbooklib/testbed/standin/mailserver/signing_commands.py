"""`setup config dkim`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import dkim, maps
from .databases import ACCOUNTS, ALIASES
from .failures import Failed

if TYPE_CHECKING:
    from .journal import Journal

OPTIONS = ("keysize", "selector", "domain")


def make(arguments: list[str], journal: Journal) -> None:
    """Make the keys that are missing; a key that is there stays, whatever size is asked for."""
    options = dict(zip(arguments[::2], arguments[1::2], strict=False))
    if len(arguments) % 2 or options.keys() - set(OPTIONS):
        raise Failed(f"Unknown option(s) {' '.join(arguments)}", usage=True)
    domains = _domains(options.get("domain", ""))
    if not domains:
        journal.warn("No entries found, no keys to make")
    for domain in domains:
        dkim.make(domain, options.get("selector", "mail"), options.get("keysize", "2048"), journal)


def _domains(named: str) -> list[str]:
    if named:
        return sorted(set(named.split(",")))
    return maps.domains(maps.accounts(ACCOUNTS.lines()), maps.aliases(ALIASES.lines()))
