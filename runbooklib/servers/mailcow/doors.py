"""How mailcow answers at its doors, asked from this machine: certificates, logins, and recipients on port 25."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass

from runbooklib import endpoint
from runbooklib.credentials import CredentialError
from runbooklib.endpoint import Endpoint, EndpointError, LoginError, Tls
from runbooklib.params import Mailbox, Site
from runbooklib.results import Check, Status, passed
from runbooklib.servers.recipients import OPEN_RELAY, POSTSCREEN_SECONDS, REFUSED, asked, judge, replies

REFUSALS = 3  # of a password; mailcow bans an address after ten in 600 s
BLOCKED = "blocked using"  # postscreen, of a client on a DNS blocklist, as many private lines are
FIXES = {
    OPEN_RELAY: "mailcow accepts mail for others: look at data/conf/postfix/extra.cf at once",
    REFUSED: "something in mailcow takes the address: look for it under E-Mail > Configuration",
}
# mailcow leaves Postfix's own smtpd_relay_restrictions, whose defer_unauth_destination puts strangers off with 454.
DENIED = ("5", "454 4.7.1")
USUAL = "run 01-bootstrap with apply; E-Mail > Configuration in mailcow shows mailboxes and aliases"


@dataclass(frozen=True)
class Doors:
    """Where the site's mailcow listens for mail: its own address, so that it works before DNS names it."""

    site: Site
    smtp: int = 25
    submission: int = 587
    submissions: int = 465
    imaps: int = 993
    patience: float = 15.0  # seconds for an answer

    def opened(self, port: int, tls: Tls, timeout: float = 0) -> smtplib.SMTP:
        """SMTP at a door.

        Raises EndpointError.
        """
        seconds = timeout or self.patience
        return endpoint.smtp(self._at(port, tls), endpoint.local_dial, self.site.server.ipv4, seconds)

    def read(self) -> imaplib.IMAP4:
        """IMAP.

        Raises EndpointError.
        """
        where, address = self._at(self.imaps, "implicit"), self.site.server.ipv4
        return endpoint.imap(where, endpoint.local_dial, address, self.patience)

    def _at(self, port: int, tls: Tls) -> Endpoint:
        """By the name its certificate is for."""
        return Endpoint(self.site.server.hostname, port, tls, self.site.mail.tls.ca)


def rows(doors: Doors) -> Iterator[Check]:
    """Certificates, logins and recipients, asked side by side."""
    with ThreadPoolExecutor() as pool:
        for part in pool.map(lambda ask: ask(doors), (certificates, logins, recipients)):
            yield from part


def certificates(doors: Doors) -> list[Check]:
    """The certificate each TLS service shows, verified by name as a client would."""
    asked: dict[int, Callable[[], AbstractContextManager[object]]] = {
        doors.submission: lambda: endpoint.ending(doors.opened(doors.submission, "starttls")),
        doors.submissions: lambda: endpoint.ending(doors.opened(doors.submissions, "implicit")),
        doors.imaps: lambda: endpoint.leaving(doors.read()),
    }
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda door: _certificate(doors.site.server.hostname, *door), asked.items()))


def _certificate(hostname: str, port: int, enter: Callable[[], AbstractContextManager[object]]) -> Check:
    name, expected, ref = f"server.tls.{port}", f"a certificate valid for {hostname}", "RFC 9525 6"
    try:
        with enter():
            return passed(name, expected, "verified", ref)
    except EndpointError as error:
        return Check(name, error.status, expected, str(error), error.fix, ref)


def logins(doors: Doors) -> list[Check]:
    """Whether each mailbox takes its password, one after the other, until three were refused."""
    found, refused = list[Check](), 0
    for mailbox in doors.site.mailboxes.values():
        if refused == REFUSALS:
            said = f"not tried: {REFUSALS} passwords were refused, and mailcow bans who goes on"
            found.append(_login_row(mailbox, Status.UNKNOWN, said, "mend the refused ones first"))
            continue
        found.append(_login(doors, mailbox))
        refused += found[-1].status is Status.FAIL
    return found


def _login_row(mailbox: Mailbox, status: Status, said: str, fix: str = "") -> Check:
    expected = f"{mailbox.password} opens submission and IMAP"
    return Check(f"server.login {mailbox.address}", status, expected, said, fix, "RFC 6409 4.3, RFC 9051 6.2")


def _login(doors: Doors, mailbox: Mailbox) -> Check:
    for door, attempt in (("submission", _submits), ("IMAP", _reads)):
        try:
            attempt(doors, mailbox)
        except LoginError as error:
            fix = "set the password of params in mailcow, or name the right one; it was set when the mailbox was made"
            return _login_row(mailbox, error.status, f"{door}: {error}", fix)
        except (EndpointError, CredentialError) as error:
            status, fix = getattr(error, "status", Status.FAIL), getattr(error, "fix", "")
            return _login_row(mailbox, status, f"{door}: {error}", fix)
    return _login_row(mailbox, Status.PASS, "both do")


def _submits(doors: Doors, mailbox: Mailbox) -> None:
    with endpoint.ending(doors.opened(doors.submission, "starttls")) as client:
        endpoint.login(client, mailbox.address, mailbox.password)


def _reads(doors: Doors, mailbox: Mailbox) -> None:
    with endpoint.leaving(doors.read()) as client:
        endpoint.imap_login(client, mailbox.address, mailbox.password)


def recipients(doors: Doors) -> list[Check]:
    """What port 25 answers to mailboxes, aliases, made-up, refused and foreign addresses; nothing is sent."""
    name, expected = "server.recipients", "an SMTP dialogue on port 25"
    if not doors.site.test.smtp25:
        said, fix = "test.smtp25 is false: this machine may not speak to port 25", "05-send shows what arrives"
        return [Check(name, Status.UNKNOWN, expected, said, fix, advisory=True)]
    questions = asked(doors.site, DENIED)
    try:
        with endpoint.ending(doors.opened(doors.smtp, "none", POSTSCREEN_SECONDS)) as client:
            given = replies(client, [address for _, address, _ in questions])
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        fix = "`docker compose logs postfix-mailcow` on the server says what refused the connection"
        return [Check(name, Status.UNKNOWN, expected, str(error), fix)]
    if blocked := next((said for said in given.values() if BLOCKED in said), ""):
        fix = "this machine's address is on a blocklist: ask from another, or set test.smtp25 to false"
        return [Check(name, Status.UNKNOWN, expected, blocked, fix, advisory=True)]
    return list(judge(questions, given, FIXES, USUAL))
