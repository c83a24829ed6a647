"""How mailcow answers at its doors, asked from this machine: certificates, logins, and recipients on port 25."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from runbooklib import endpoint
from runbooklib.credentials import CredentialError
from runbooklib.endpoint import Endpoint, EndpointError, LoginError, Tls
from runbooklib.params import Mailbox, Site
from runbooklib.results import Check, Status, passed
from runbooklib.servers.recipients import OPEN_RELAY, POSTSCREEN_SECONDS, REFUSED, asked, judge, replies

SUBMISSION, SUBMISSIONS, IMAP, IMAPS = 587, 465, 143, 993
TLS_DOORS: tuple[tuple[int, Tls], ...] = ((SUBMISSION, "starttls"), (SUBMISSIONS, "implicit"), (IMAPS, "implicit"))
REFUSALS = 3  # of a password; mailcow bans an address after ten in 600 s
BLOCKED = "blocked using"  # postscreen, of a client on a DNS blocklist, as many private lines are
FIXES = {
    OPEN_RELAY: "mailcow accepts mail for others: look at data/conf/postfix/extra.cf at once",
    REFUSED: "something in mailcow takes the address: look for it under E-Mail > Configuration",
}
USUAL = "run 01-bootstrap with apply; E-Mail > Configuration in mailcow shows mailboxes and aliases"


def at(site: Site, port: int, tls: Tls) -> Endpoint:
    """A door of the site's mailcow, by the name its certificate is for."""
    return Endpoint(site.server.hostname, port, tls, site.mail.tls.ca)


def opened(site: Site, port: int, tls: Tls, timeout: float = 15) -> smtplib.SMTP:
    """SMTP at its own address, so that it works before DNS names it.

    Raises EndpointError.
    """
    return endpoint.smtp(at(site, port, tls), endpoint.local_dial, site.server.ipv4, timeout)


def read(site: Site) -> imaplib.IMAP4:
    """IMAP there.

    Raises EndpointError.
    """
    return endpoint.imap(at(site, IMAPS, "implicit"), endpoint.local_dial, site.server.ipv4)


def certificates(site: Site) -> list[Check]:
    """The certificate each TLS service shows, verified by name as a client would."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda door: _certificate(site, *door), TLS_DOORS))


def _certificate(site: Site, port: int, tls: Tls) -> Check:
    name, expected = f"server.tls.{port}", f"a certificate valid for {site.server.hostname}"
    try:
        if port == IMAPS:
            with endpoint.leaving(read(site)):
                pass
        else:
            with endpoint.ending(opened(site, port, tls)):
                pass
    except EndpointError as error:
        return Check(name, error.status, expected, str(error), error.fix, "RFC 9525 6")
    return passed(name, expected, "verified", "RFC 9525 6")


def logins(site: Site) -> list[Check]:
    """Whether each mailbox takes its password, one after the other, until three were refused."""
    rows, refused = list[Check](), 0
    for mailbox in site.mailboxes.values():
        if refused == REFUSALS:
            said = f"not tried: {REFUSALS} passwords were refused, and mailcow bans who goes on"
            rows.append(_login_row(mailbox, Status.UNKNOWN, said, "mend the refused ones first"))
            continue
        rows.append(_login(site, mailbox))
        refused += rows[-1].status is Status.FAIL
    return rows


def _login_row(mailbox: Mailbox, status: Status, said: str, fix: str = "") -> Check:
    expected = f"{mailbox.password} opens submission ({SUBMISSION}) and IMAP ({IMAPS})"
    return Check(f"server.login {mailbox.address}", status, expected, said, fix, "RFC 6409 4.3, RFC 9051 6.2")


def _login(site: Site, mailbox: Mailbox) -> Check:
    tries: tuple[tuple[str, Callable[[Site, Mailbox], None]], ...] = (("submission", _submits), ("IMAP", _reads))
    for door, attempt in tries:
        try:
            attempt(site, mailbox)
        except LoginError as error:
            fix = "set the password of params in mailcow, or name the right one; it was set when the mailbox was made"
            return _login_row(mailbox, error.status, f"{door}: {error}", fix)
        except (EndpointError, CredentialError) as error:
            status, fix = getattr(error, "status", Status.FAIL), getattr(error, "fix", "")
            return _login_row(mailbox, status, f"{door}: {error}", fix)
    return _login_row(mailbox, Status.PASS, "both do")


def _submits(site: Site, mailbox: Mailbox) -> None:
    with endpoint.ending(opened(site, SUBMISSION, "starttls")) as client:
        endpoint.login(client, mailbox.address, mailbox.password)


def _reads(site: Site, mailbox: Mailbox) -> None:
    with endpoint.leaving(read(site)) as client:
        endpoint.imap_login(client, mailbox.address, mailbox.password)


def recipients(site: Site) -> list[Check]:
    """What port 25 answers to mailboxes, aliases, made-up, refused and foreign addresses; nothing is sent."""
    name, expected = "server.recipients", "an SMTP dialogue on port 25"
    if not site.test.smtp25:
        said, fix = "test.smtp25 is false: this machine may not speak to port 25", "05-send shows what arrives"
        return [Check(name, Status.UNKNOWN, expected, said, fix, advisory=True)]
    questions = asked(site)
    try:
        with endpoint.ending(opened(site, 25, "none", POSTSCREEN_SECONDS)) as client:
            given = replies(client, [address for _, address, _ in questions])
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        fix = "`docker compose logs postfix-mailcow` on the server says what refused the connection"
        return [Check(name, Status.UNKNOWN, expected, str(error), fix)]
    if blocked := next((said for said in given.values() if BLOCKED in said), ""):
        fix = "this machine's address is on a blocklist: ask from another, or set test.smtp25 to false"
        return [Check(name, Status.UNKNOWN, expected, blocked, fix, advisory=True)]
    return list(judge(questions, given, FIXES, USUAL))


def rows(site: Site) -> Iterator[Check]:
    """All of it, side by side."""
    with ThreadPoolExecutor() as pool:
        for part in pool.map(lambda ask: ask(site), (certificates, logins, recipients)):
            yield from part
