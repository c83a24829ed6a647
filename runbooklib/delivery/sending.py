"""Hands test messages over, all at once, and remembers what each service answered."""

from __future__ import annotations

import re
import smtplib
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from runbooklib import endpoint
from runbooklib.credentials import CredentialError
from runbooklib.delivery.messages import SMTP_PORT, Account, Letter, Letters, compose, posts
from runbooklib.endpoint import Endpoint, EndpointError, reply
from runbooklib.params import Site
from runbooklib.results import Shown, Status, Table

QUEUED = re.compile(r"queued as ([0-9A-Za-z]+)")
AT_ONCE = 16  # connections side by side
POSTSCREEN = 20.0  # seconds; a postscreen greets new clients after 6

Fate = Literal["accepted", "refused", "unsent", "unknown"]


@dataclass(frozen=True)
class Handed:
    """What became of handing one message over.

    `unsent`: we never got so far; `unknown`: the connection broke after the last byte, before the answer.
    """

    letter: Letter
    fate: Fate
    said: str
    at: float = 0.0  # seconds since the epoch
    queue_id: str = ""
    tls: str = ""
    fix: str = ""
    verdict: Status = Status.FAIL  # what an `unsent` means: wrong, or could not tell
    raw: bytes = field(default=b"", repr=False)  # the message as it left us


@dataclass(frozen=True)
class Sent(Shown):
    """What was handed over; falsy when `apply` was false and nothing was."""

    plan: Letters
    handed: tuple[Handed, ...] = ()
    applied: bool = False

    def __bool__(self) -> bool:
        return self.applied

    def __iter__(self) -> Iterator[Handed]:
        return iter(self.handed)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row a message with the answer it got, or what would be sent."""
        if not self.applied:
            return Table("nothing was sent (apply is False); it would be", *self.plan.parts()[1:])  # type: ignore[arg-type]
        rows = tuple((h.fate, h.letter.route, h.letter.sender, h.letter.recipient, h.said) for h in self.handed)
        return Table(f"run {self.plan.run}: handed over", ("", "message", "from", "to", "answer"), rows)


def send(site: Site, plan: Letters, *, apply: bool) -> Sent:
    """Hands every message of the plan over, side by side; with `apply` false sends nothing."""
    if not apply or not plan:
        return Sent(plan)
    with ThreadPoolExecutor(min(AT_ONCE, len(plan) or 1)) as pool:
        return Sent(plan, tuple(pool.map(partial(_hand_over, site, plan), plan)), applied=True)


def _hand_over(site: Site, plan: Letters, letter: Letter) -> Handed:
    message = compose(site, plan, letter)
    handed = submit(site, posts(site)[letter.sender], letter, letter.sender, letter.recipient, message)
    return replace(handed, raw=message)


def submit(site: Site, post: Account, letter: Letter, sender: str, recipient: str, message: bytes) -> Handed:
    """Submits one message as its sender."""
    try:
        with endpoint.ending(_client(site, post)) as client:
            endpoint.login(client, post.username, post.password)
            return _transfer(client, letter, sender, recipient, message)
    except CredentialError as error:
        return Handed(letter, "unsent", str(error))
    except EndpointError as error:
        return _unsent(letter, error)


def _unsent(letter: Letter, error: EndpointError) -> Handed:
    return Handed(letter, "unsent", str(error), time.time(), fix=error.fix, verdict=error.status)


def _client(site: Site, post: Account) -> smtplib.SMTP:
    def attempt(address: str) -> smtplib.SMTP:
        return endpoint.smtp(post.endpoint, endpoint.local_dial, address, POSTSCREEN)

    return endpoint.first(post.addresses(site), attempt)


def _transfer(client: smtplib.SMTP, letter: Letter, sender: str, recipient: str, message: bytes) -> Handed:
    tls = _tls(client)
    try:
        refused = _envelope(client, sender, recipient)
        if refused:
            return Handed(letter, "refused", refused, time.time(), tls=tls)
    except (smtplib.SMTPException, OSError) as error:
        return Handed(letter, "unsent", f"broke off before the message: {error}", time.time(), tls=tls)
    try:
        code, said = client.data(message)
    except smtplib.SMTPDataError as error:
        return Handed(letter, "refused", f"DATA: {reply(error.smtp_code, error.smtp_error)}", time.time(), tls=tls)
    except (smtplib.SMTPException, OSError) as error:
        return Handed(letter, "unknown", f"broke off after the message, before its answer: {error}", time.time())
    answer = reply(code, said)
    queued = QUEUED.search(answer)
    fate: Fate = "accepted" if code == endpoint.OK else "refused"
    return Handed(letter, fate, answer, time.time(), queued[1] if queued else "", tls)


def _envelope(client: smtplib.SMTP, sender: str, recipient: str) -> str:
    """Names sender and recipient; what was refused, or nothing (RFC 5321 4.2.1: 2xx is completion)."""
    code, said = client.mail(sender)
    if not 200 <= code <= 299:  # noqa: PLR2004
        return f"MAIL FROM: {reply(code, said)}"
    code, said = client.rcpt(recipient)
    return "" if 200 <= code <= 299 else f"RCPT TO: {reply(code, said)}"  # noqa: PLR2004


def _tls(client: smtplib.SMTP) -> str:
    sock = client.sock
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    return f"{sock.version()} {(sock.cipher() or ('',))[0]}"


TAKEN = "MAIL FROM and RCPT TO were accepted after the login"


@dataclass(frozen=True)
class Asked:
    """What a server answered at RCPT; `status` is unknown where it could not be asked."""

    address: str
    said: str
    status: Status = Status.PASS
    fix: str = ""


def ask_as(site: Site, post: Account, alias: str, box: str) -> Asked:
    """Asks at submission whether a mailbox may send as an alias of its own, to itself, and stops there."""
    try:
        with endpoint.ending(_client(site, post)) as client:
            endpoint.login(client, post.username, post.password)
            return Asked(alias, _envelope(client, alias, box) or f"{TAKEN} of {box}")
    except CredentialError as error:
        return Asked(alias, str(error), Status.UNKNOWN)
    except EndpointError as error:
        return Asked(alias, str(error), error.status, error.fix)
    except (smtplib.SMTPException, OSError) as error:
        return Asked(alias, f"broke off: {error}", Status.UNKNOWN)


def ask(site: Site, address: str) -> Asked:
    """Asks at RCPT, with the null sender, whether an address is taken, and stops there: nothing is sent."""
    where = Endpoint(site.server.hostname, SMTP_PORT, "none")
    try:
        with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, site.server.ipv4, POSTSCREEN)) as client:
            return Asked(address, _envelope(client, "", address) or "RCPT TO was accepted")
    except EndpointError as error:
        return Asked(address, str(error), Status.UNKNOWN, error.fix)
    except (smtplib.SMTPException, OSError) as error:
        return Asked(address, f"broke off: {error}", Status.UNKNOWN)
