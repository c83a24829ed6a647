"""Postfix milter: every answer of a provider's SMTP service, by its own rules and the state its API writes.

`python3 -m provider.door PROVIDER SOCKET STATE`
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path
from typing import cast

import Milter

from provider.ledger import Ledger
from provider.rules import Letter, Refusal, Rules

SIGN = "X-Signed-For"  # tells the signing milter after this one for whom; Postfix takes it out on the way
CHANGES = Milter.ADDHDRS + Milter.CHGHDRS + Milter.DELRCPT + Milter.CHGFROM


class Door(Milter.Base):  # type: ignore[misc]  # pymilter is in the container
    """One connection."""

    rules: Rules
    ledger: Ledger

    def envfrom(self, address: str, *_: str) -> int:
        self.identity = self.getsymval("{auth_authen}") or ""
        self.sender = address.strip("<>")
        self.recipients: list[str] = []
        self.headers: list[tuple[str, str]] = []
        return self._answer(self.rules.sender(self.ledger.read(), self.identity, self.sender))

    def envrcpt(self, address: str, *_: str) -> int:
        refusal = self.rules.recipient(self.ledger.read(), self.identity, address.strip("<>"))
        if refusal is None:
            self.recipients.append(address.strip("<>"))
        return self._answer(refusal)

    def header(self, name: str, value: str) -> int:
        self.headers.append((name, re.sub(r"\r?\n(?=[ \t])", "", value).strip()))  # RFC 5322 2.2.3
        return int(Milter.CONTINUE)

    def eom(self) -> int:
        queue_id = self.getsymval("i") or ""
        letter = Letter(self.identity, self.sender, tuple(self.recipients), tuple(self.headers), queue_id)
        refusal = self.rules.content(self.ledger.read(), letter)
        if refusal is None:
            self._take(letter)
        return self._answer(refusal)

    def _take(self, letter: Letter) -> None:
        with self.ledger.change() as state:
            taken = self.rules.take(state, letter)
        if taken.sender != letter.sender:
            self.chgfrom(taken.sender)
        for address in taken.dropped:
            self.delrcpt(f"<{address}>")
        for name, value in taken.headers.items():
            change = self.chgheader if letter.all(name) else self.addheader
            change(*((name, 1, value) if letter.all(name) else (name, value)))
        # never left out: without it the signing milter would go by the author
        self.addheader(SIGN, f"<sign@{taken.signed_for}>" if taken.signed_for else "<unsigned@none.invalid>")

    def _answer(self, refusal: Refusal | None) -> int:
        if refusal is None:
            return int(Milter.CONTINUE)
        self.setreply(str(refusal.code), None, refusal.text.replace("%", "%%"))
        return int(Milter.TEMPFAIL if refusal.code < 500 else Milter.REJECT)  # noqa: PLR2004 - RFC 5321 4.2.1


def main() -> None:
    """Serves Postfix until the process ends."""
    provider, socket, state = sys.argv[1:]
    Door.rules = cast("Rules", importlib.import_module(f"{provider}.rules"))
    Door.ledger = Ledger(Path(state))
    Milter.factory = Door
    Milter.set_flags(CHANGES)
    os.umask(0)  # Postfix connects under its own user
    Milter.runmilter(provider, f"unix:{socket}", 300)


if __name__ == "__main__":
    main()
