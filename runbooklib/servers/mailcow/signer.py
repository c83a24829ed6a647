"""DKIM in mailcow: one key a domain, which signs from the moment it is made; read, or made where there is none."""

from __future__ import annotations

import imaplib
import secrets
import smtplib
import time
from collections.abc import Iterator
from dataclasses import replace
from email.utils import formatdate, make_msgid

from runbooklib import endpoint
from runbooklib.credentials import CredentialError
from runbooklib.endpoint import PERMANENT, EndpointError
from runbooklib.params import Domain, Mailbox, Site
from runbooklib.records import Desired, Observed, Wanted
from runbooklib.results import Check, Checklist, Outcome, Plan, Status, judged
from runbooklib.servers import addresses, keys
from runbooklib.servers.keys import Turn, record_name
from runbooklib.servers.mailcow.doors import Doors
from runbooklib.servers.mailcow.state import State, observe
from runbooklib.servers.mailcow.writes import Write

TITLE = "DKIM"
KEYS = 60  # the step of a plan
RSA_ONLY = "mailcow signs with one RSA key a domain: leave dkim.ed25519 out"
ROTATE = (
    "to rotate, by hand: make a key pair elsewhere, publish its public half under a new selector, wait until every "
    "resolver shows it, then import the private half with that selector in mailcow (System > Configuration > Options > "
    "ARC/DKIM keys), and set dkim.selector to it"
)
UNSIGNED = "mailcow holds the key, and its signer did not use it: `docker compose logs rspamd-mailcow` on the server"
BOXES = ("INBOX", "Junk")
LEAST, MOST = 5.0, 60.0  # seconds until a local message is there


def plan(site: Site, have: State, seen: Observed | None) -> Plan:
    """The keys that are not there; a key that is there stays, whatever selector it has."""
    del seen  # there is no turn to a new key to wait for
    missing = [d for d in site.domains if d.name in have.domains and not have.signs(d.name)]
    refused = tuple(f"{d.name}: {RSA_ONLY}" for d in site.domains if d.dkim.ed25519)
    return Plan(TITLE, tuple(_made(d) for d in missing), refused)


def _made(domain: Domain) -> Write:
    name, selector = domain.name, domain.dkim.selector
    return Write(
        KEYS,
        f"DKIM key {record_name(name, selector)}",
        "absent",
        f"an RSA key of {domain.dkim.size} bits, which signs at once",
        "receivers trust what the domain signs",
        "delete it in mailcow",
        path="add/dkim",
        body={"domains": name, "dkim_selector": selector, "key_size": domain.dkim.size},
        read=("dkim", name),
        shows={"dkim_selector": selector, "length": domain.dkim.size},
    )


def records(site: Site, have: State) -> Desired:
    """The public half of the key that signs for each domain; without a value where none is made yet."""
    return Desired(tuple(_record(domain, have) for domain in site.domains))


def _record(domain: Domain, have: State) -> Wanted:
    selector = have.signs(domain.name) or domain.dkim.selector
    return keys.record(domain.name, selector, have.keys.get((domain.name, selector), ""))


def verify(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain has its key, of the selector params name, and a real message is signed with it."""
    del seen
    have = observe(site)
    found = [keys.refused_row(d.name, RSA_ONLY) for d in site.domains if d.dkim.ed25519]
    planned = bool(done.plan) and not done.applied
    for domain in site.domains:
        found += rows(Doors(site), domain, have, planned=planned, apply=apply, wait=wait)
    return Checklist(TITLE, tuple(found))


def rows(doors: Doors, domain: Domain, have: State, *, planned: bool, apply: bool, wait: float) -> Iterator[Check]:
    """A domain's key, its selector, and what it does to a real message."""
    signs = have.signs(domain.name)
    if not signs:
        yield _absent(domain, have, planned=planned)
        return
    wanted = domain.dkim.size if signs == domain.dkim.selector else 0
    row = keys.size_row(record_name(domain.name, signs), have.keys[domain.name, signs], wanted)
    yield replace(row, fix=ROTATE) if row.fix else row
    yield selector_row(domain, signs)
    yield proof(doors, domain, have, apply=apply, wait=wait)


def _absent(domain: Domain, have: State, *, planned: bool) -> Check:
    name, expected = f"dkim.key {record_name(domain.name, domain.dkim.selector)}", "a key that signs"
    if domain.name not in have.domains:
        said = "no such domain in mailcow yet"
        return Check(name, Status.PENDING, expected, said, waits_for="01-bootstrap")
    if planned:
        return Check(name, Status.PENDING, expected, "the plan above is shown, not applied", "run again with apply")
    return Check(name, Status.FAIL, expected, "none", "run 03-dkim with apply")


def selector_row(domain: Domain, signs: str) -> Check:
    """Whether the key that signs has the selector of params; another one signs already, and is not replaced."""
    fix = f"set dkim.selector to {signs} in params, which signs already; {ROTATE}"
    expected, said = f"{domain.dkim.selector} signs", f"{signs} signs"
    return judged(f"dkim.signing {domain.name}", signs == domain.dkim.selector, expected, said, fix, "RFC 6376 3.1")


def proof(doors: Doors, domain: Domain, have: State, *, apply: bool, wait: float, least: float = LEAST) -> Check:
    """One message by submission to a local mailbox, verified with the public half mailcow shows (DNS comes in 04)."""
    turn = _turn(domain, have)
    name = f"dkim.proof {domain.name}"
    expected = f"a local message carries a signature by {turn.target} that verifies"
    if not apply:
        return Check(name, Status.PENDING, expected, "no message is sent without apply", "run again with apply")
    try:
        raw = _through(doors, domain, max(min(wait, MOST), least))
    except (EndpointError, CredentialError) as error:
        status, fix = getattr(error, "status", Status.FAIL), getattr(error, "fix", "")
        return Check(name, status, expected, str(error), fix or "mend what it says, then run again")
    except (smtplib.SMTPException, imaplib.IMAP4.error, OSError) as error:
        code, said = _reply(error)
        status = Status.FAIL if code >= PERMANENT else Status.UNKNOWN
        return Check(name, status, expected, said, "look at mailcow's logs of Postfix and Dovecot")
    if raw is None:
        fix = "look at mailcow's log of Postfix; webmail shows where the message lies"
        return Check(name, Status.UNKNOWN, expected, "the message did not arrive in time", fix)
    row = keys.signature_row(name, expected, turn, raw, have.keys)
    return replace(row, fix=UNSIGNED) if row.fix else row


def _turn(domain: Domain, have: State) -> Turn:
    """The key that signs is the one to prove, whatever params name."""
    signs = have.signs(domain.name)
    return Turn(domain, signs, made=True, unseen="" if signs == domain.dkim.selector else "another key signs")


def _reply(error: Exception) -> tuple[int, str]:
    """The code and words of a refusal; 0 where nothing was refused."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return code, endpoint.reply(code, said)
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code, endpoint.reply(error.smtp_code, error.smtp_error)
    return 0, str(error) or type(error).__name__


def writer(site: Site, domain: Domain) -> tuple[str, Mailbox]:
    """Who sends for a domain, and with whose login: a mailbox of its own, else whoever reads its postmaster@."""
    own = [m for m in domain.mailboxes if m.address in site.mailboxes]
    if own:
        return own[0].address, own[0]
    return f"postmaster@{domain.name}", site.mailboxes[addresses.owner(site, domain)]


def _through(doors: Doors, domain: Domain, seconds: float) -> bytes | None:
    """Submits a message as its author would, and reads it from the mailbox it was sent from.

    Raises EndpointError, CredentialError, smtplib.SMTPException, imaplib.IMAP4.error or OSError.
    """
    sender, box = writer(doors.site, domain)
    token = f"runbook-{secrets.token_hex(8)}"
    text = (
        f"From: {sender}\r\nTo: {box.address}\r\nSubject: DKIM proof {token}\r\n"
        f"Date: {formatdate()}\r\nMessage-ID: {make_msgid(domain=domain.name)}\r\n\r\n"
        "Sent by 03-dkim to see whether the running signer signs. It may be deleted.\r\n"
    )
    with endpoint.ending(doors.opened(doors.submission, "starttls")) as client:
        endpoint.login(client, box.address, box.password)
        client.sendmail(sender, [box.address], text)
    deadline = time.monotonic() + seconds
    with endpoint.leaving(doors.read()) as mailbox:
        endpoint.imap_login(mailbox, box.address, box.password)
        while time.monotonic() < deadline:
            if raw := next((raw for name in BOXES if (raw := _found(mailbox, name, token))), None):
                return raw
            time.sleep(0.5)
    return None


def _found(client: imaplib.IMAP4, folder: str, token: str) -> bytes | None:
    """The message whose subject holds the token; a folder that is not there holds none."""
    if client.select(folder, readonly=True)[0] != "OK":
        return None
    numbers = client.search(None, "SUBJECT", token)[1][0]
    if not numbers:
        return None
    told = client.fetch(numbers.split()[0].decode(), "(BODY.PEEK[])")[1]
    return next((part[1] for part in told if isinstance(part, tuple)), None)
