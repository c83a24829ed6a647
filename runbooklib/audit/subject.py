"""What is audited, and what is known of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass

from runbooklib.params import BLOCKLISTS, DOMAIN_BLOCKLISTS


@dataclass(frozen=True)
class Subject:
    """A mail domain; with nothing but its name, what cannot be told from DNS alone stays unknown."""

    domain: str  # lower case, A-labels, no final dot
    selectors: tuple[str, ...] = ()  # DKIM selectors that sign for it
    borrowed: tuple[str, ...] = ()  # those of them whose key a relay keeps
    return_paths: tuple[str, ...] = ()  # names in MAIL FROM where that is not the domain, e.g. send.example.org
    senders: tuple[str, ...] = ()  # addresses that send with its MAIL FROM
    host: str = ""  # the mail host that should receive
    sends: bool | None = None  # None: not known
    receives: bool | None = None  # None: not known
    blocklists: tuple[str, ...] = ()  # of domains; each is asked for the domain
    rehearsed: bool = False  # the testbed's addresses count as public


@dataclass(frozen=True)
class Machine:
    """A mail host: its HELO name and its addresses."""

    hostname: str
    addresses: tuple[str, ...]
    sends: bool = False  # hands mail to strangers itself; behind a relay PTR and blocklists matter less
    blocklists: tuple[str, ...] = BLOCKLISTS
    domain_blocklists: tuple[str, ...] = DOMAIN_BLOCKLISTS
    rehearsed: bool = False
