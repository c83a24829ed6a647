"""One message through the server's own sendmail, to see what its running signer does."""

from __future__ import annotations

import secrets
import time
from typing import Protocol

from runbooklib.host import Answer, HostError
from runbooklib.params import Site
from runbooklib.results import Check, Status
from runbooklib.servers.keys import Keyring, Turn, signature_row


class Shell(Protocol):
    """Where Postfix and Dovecot run."""

    def inside(self, argv: tuple[str, ...], stdin: str | None = None, timeout: float = 60) -> Answer:
        """A command there; its status is in the answer."""


def proof(site: Site, server: Shell, turn: Turn, have: Keyring, *, apply: bool, wait: float) -> Check:
    """One message to a local mailbox, verified with the server's own public half (DNS comes in 04)."""
    name = f"dkim.proof {turn.domain.name}"
    expected = f"a local message carries a signature by {turn.target} that verifies"
    if not apply:
        return Check(name, Status.PENDING, expected, "no message is sent without apply", "run again with apply")
    own = [a for a in site.mailboxes if a.endswith(f"@{turn.domain.name}")]
    sender, box = next(iter(own), f"postmaster@{turn.domain.name}"), next(iter(site.mailboxes))
    token = f"runbook-{secrets.token_hex(8)}"
    try:
        raw = _through(server, sender, box, token, wait)
    except HostError as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log")
    if raw is None:
        return Check(name, Status.UNKNOWN, expected, f"{token} did not arrive at {box} in time", "look at the mail log")
    return signature_row(name, expected, turn, raw, have.keys)


def _through(server: Shell, sender: str, box: str, token: str, wait: float) -> bytes | None:
    """Hands a message to the server's own sendmail and reads it from the mailbox."""
    text = (
        f"From: {sender}\nTo: {box}\nSubject: DKIM proof {token}\n\n"
        f"Sent by 03-dkim to see whether the running signer signs. It may be deleted.\n"
    )
    sent = server.inside(("sendmail", "-f", sender, box), text)
    if not sent.ok:
        raise HostError(f"sendmail on the server refused the message: {sent.err or sent.out}")
    deadline = time.monotonic() + max(min(wait, 60), 5)
    fetch = ("doveadm", "fetch", "-u", box, "text", "mailbox", "INBOX", "subject", token)
    while time.monotonic() < deadline:
        answer = server.inside(fetch)
        if answer.ok and token in answer.out:
            return answer.out.partition("\n")[2].rstrip("\f\n").replace("\r\n", "\n").encode() + b"\n"
        time.sleep(0.5)
    return None
