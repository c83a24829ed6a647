"""Logins that wait for one another until a password was taken, and none with one that was refused.

Bans count the refused logins of an address: fail2ban shuts it out at five by its own default, mailcow at ten, and the
stages log in dozens of times with one password.
"""

from __future__ import annotations

import hashlib
import imaplib
import smtplib
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock

from runbooklib import endpoint
from runbooklib.credentials import Secret
from runbooklib.endpoint import LoginError
from runbooklib.params import Site
from runbooklib.results import Status

MOST = 2  # refused passwords at one host: a second run within the window stays below fail2ban's five
WINDOW = 600.0  # seconds for which bans count (findtime in jail.conf(5); mailcow's netfilter)
AGAIN = "mend that login (its own row says how), then run again after ten minutes, in which bans count"

Key = tuple[str, str]  # the user, and a digest of the password: another one may be tried


@dataclass
class _Host:
    turn: Lock = field(default_factory=Lock)
    taken: set[Key] = field(default_factory=set)
    refused: dict[Key, tuple[float, str]] = field(default_factory=dict)  # when, and in which words


class Logins:
    """What hosts said of each password; shared by all that log in for a site."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._hosts: dict[str, _Host] = {}
        self._clock = clock

    def smtp(self, client: smtplib.SMTP, host: str, username: str, password: Secret) -> None:
        """Logs in to submission; raises LoginError, also where it is not tried."""
        self.enter(host, username, password, partial(endpoint.login, client, username, password))

    def imap(
        self, client: imaplib.IMAP4, host: str, username: str, password: Secret, *, identify: bool = False
    ) -> None:
        """Logs in to IMAP; raises LoginError, also where it is not tried."""
        login = partial(endpoint.imap_login, client, username, password, identify=identify)
        self.enter(host, username, password, login)

    def enter(self, host: str, username: str, password: Secret, login: Callable[[], None]) -> None:
        """Logs in by any way: one after the other at a host, until this password was taken there."""
        known = self._hosts.setdefault(host.lower(), _Host())
        key = username, hashlib.sha256(password.reveal().encode()).hexdigest()
        with known.turn:
            if key not in known.taken:
                self._may(host, known, key)
                self._noted(known, key, login)
                return
        self._noted(known, key, login)

    def _may(self, host: str, known: _Host, key: Key) -> None:
        late = self._clock() - WINDOW
        known.refused = {k: (at, said) for k, (at, said) in known.refused.items() if at > late}
        if key in known.refused:
            said = f"not tried, this password was refused before: {known.refused[key][1]}"
            raise LoginError(said, Status.UNKNOWN, AGAIN)
        if len(known.refused) >= MOST:
            names = ", ".join(sorted({user for user, _ in known.refused}))
            said = f"login as {key[0]} not tried: {host} refused {MOST} passwords ({names}), and who goes on is banned"
            raise LoginError(said, Status.UNKNOWN, AGAIN)

    def _noted(self, known: _Host, key: Key, login: Callable[[], None]) -> None:
        try:
            login()
        except LoginError as error:
            if error.refused:
                known.taken.discard(key)
                known.refused[key] = self._clock(), str(error)
            raise
        known.taken.add(key)


_of: dict[int, Logins] = {}


def of(site: Site) -> Logins:
    """Those of a site, for as long as it is loaded: the cells of a stage share no more than the site."""
    if id(site) not in _of:
        weakref.finalize(site, _of.pop, id(site), None)
    return _of.setdefault(id(site), Logins())
