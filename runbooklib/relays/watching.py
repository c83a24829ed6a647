"""Asking a provider to look into DNS, and watching it until it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from runbooklib.credentials import CredentialError
from runbooklib.params import Relay
from runbooklib.relays.accounts import ABSENT, BROKEN, VERIFIED, WAITING, Account
from runbooklib.relays.calls import InvalidError, ProviderError
from runbooklib.relays.mxroute import Mxroute
from runbooklib.relays.observing import lacking
from runbooklib.relays.resend import Resend
from runbooklib.results import say

FIRST, GROWTH, LONGEST = 1.0, 1.5, 15.0  # seconds between two looks


@dataclass
class Watch:
    """One domain that its provider is asked to look at."""

    account: Account
    relay: Relay
    asked: bool = False
    added: bool = False  # the domain became known there just now
    trouble: ProviderError | CredentialError | None = None
    seen: list[str] = field(default_factory=list)  # every status, in the order they came

    @property
    def worth_asking(self) -> bool:
        """Whether asking could bring news."""
        if not self.account.managed or self.account.problem:
            return False
        if self.account.status == ABSENT:
            return self.relay.provider == "mxroute"
        return self.account.status in WAITING | BROKEN and not self.account.trusted

    @property
    def settled(self) -> bool:
        """Whether another look can change nothing."""
        return self.trouble is not None or self.account.trusted or (self.asked and self._failed)

    @property
    def _failed(self) -> bool:
        """A failure counts once it was told after we asked."""
        return bool(self.seen) and self.account.status in BROKEN

    def ask(self) -> None:
        """Asks for the verification; at MXRoute that is adding the domain."""
        self._try(self._ask)

    def look(self) -> None:
        """Reads the status again."""
        self._try(self._look)
        if not self.trouble:
            self.seen.append(self.account.status)
            say(f"{self.account.domain} at {self.account.relay}: {self.account.status}")

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except (ProviderError, CredentialError) as error:
            self.trouble = error

    def _ask(self) -> None:
        if self.relay.api_key is None:
            return
        if self.relay.provider == "resend":
            Resend.of(self.relay, self.relay.api_key).verify(self.account.id)
        self.asked = True

    def _look(self) -> None:
        if self.relay.api_key is None:
            return
        if self.relay.provider == "mxroute":
            self._add(Mxroute.of(self.relay, self.relay.api_key))
            return
        domain = Resend.of(self.relay, self.relay.api_key).get(self.account.id)
        self.account = replace(self.account, status=domain.status, missing=lacking(domain))

    def _add(self, customer: Mxroute) -> None:
        """MXRoute looks for the ownership record the moment it is asked to add the domain."""
        try:
            customer.add(self.account.domain)
        except InvalidError as error:
            if "verification" not in str(error).lower():
                raise
            self.account = replace(self.account, missing=(f"{self.account.records[0].name}: not seen by MXRoute",))
        else:
            self.account, self.added = replace(self.account, status=VERIFIED, missing=()), True


def settle(watches: Iterable[Watch], deadline: float) -> None:
    """Asks all, then looks at them in turn, ever less often."""
    open_ones = list(watches)
    for watch in open_ones:
        watch.ask()
    pause = FIRST
    while open_ones := [w for w in open_ones if not w.settled]:
        left = deadline - time.monotonic()
        if left <= 0 and all(w.seen for w in open_ones):
            return
        time.sleep(max(0.0, min(pause, left)))
        pause = min(pause * GROWTH, LONGEST)
        for watch in open_ones:
            watch.look()
