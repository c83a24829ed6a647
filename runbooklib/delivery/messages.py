"""The test messages a site's params make possible, and how each is written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from enum import StrEnum
from typing import Any

from runbooklib import endpoint
from runbooklib.credentials import Secret
from runbooklib.endpoint import Endpoint
from runbooklib.params import DOCKER_MAILSERVER, IMPLICIT_TLS, Domain, Login, Recipient, Site
from runbooklib.results import Check, RunbookError, Shown, Status, Table
from runbooklib.servers import addresses

SUBMISSION, IMAPS, SMTP_PORT = 587, 993, 25  # RFC 6409, RFC 8314 7.3, RFC 5321


class DeliveryError(RunbookError):
    """A message could not be handed over or looked for."""


class Route(StrEnum):
    """Which way a message travels, and what it is to show."""

    OUTBOUND = "outbound"  # our submission, the relay, a recipient outside
    REFLECTOR = "reflector"  # the same, to an address that answers by itself
    INBOUND = "inbound"  # from outside to a mailbox
    CATCH_ALL = "catch-all"  # from outside to an address nobody has


@dataclass(frozen=True)
class Letter:
    """One message: where it comes from, where it goes, and in whose mailbox it and its answer can be seen."""

    number: int
    route: Route
    domain: str
    sender: str
    recipient: str
    lands: str = ""  # the mailbox to look into; empty when nobody lets us look
    answered_in: str = ""  # the mailbox an answer arrives in; empty when none is expected

    @property
    def inbound(self) -> bool:
        return self.route in {Route.INBOUND, Route.CATCH_ALL}

    @property
    def name(self) -> str:
        """What tells this message from the run's others, and is the same in every run."""
        return {
            Route.OUTBOUND: f"outbound {self.domain} {self.recipient}",
            Route.REFLECTOR: f"reflector {self.domain}",
            Route.INBOUND: f"inbound {self.recipient}",
            Route.CATCH_ALL: f"catch-all {self.domain}",
        }[self.route]


@dataclass(frozen=True)
class Account:
    """Where an address submits or reads its mail; `address` is set where DNS need not be asked."""

    endpoint: Endpoint
    username: str
    password: Secret
    address: str | None = None

    def addresses(self, site: Site) -> list[str]:
        """Where to connect; raises EndpointError where the name leads nowhere."""
        return [self.address] if self.address else endpoint.resolve(self.endpoint.host, site.dns.resolvers)


@dataclass(frozen=True)
class Letters(Shown):
    """What a run would send, and what it cannot send because params do not make it possible."""

    run: str
    marker: str  # stands in each subject; tells this run's messages from any other's
    letters: tuple[Letter, ...]
    refuse: tuple[str, ...] = ()  # addresses asked for at RCPT on port 25; nothing is sent to them
    missing: tuple[Check, ...] = ()
    senders: tuple[tuple[str, str], ...] = ()  # aliases, each with a mailbox that is asked whether it may send as it

    def __bool__(self) -> bool:
        return bool(self.letters or self.refuse)

    def __iter__(self) -> Iterator[Letter]:
        return iter(self.letters)

    def __len__(self) -> int:
        return len(self.letters)

    def mark(self, letter: Letter) -> str:
        """What stands in the letter's subject and in no other's."""
        return f"{self.marker}.{letter.number}:"

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        return self.table().data()

    def table(self) -> Table:
        """One row a message, then one for each thing that cannot be tested."""
        rows: list[tuple[str, ...]] = [(a.route, a.sender, a.recipient, _looks(a)) for a in self.letters]
        rows += [("refused", "", address, "asked for at RCPT on port 25; nothing is sent") for address in self.refuse]
        rows += [("as an alias", alias, box, "asked for at submission; nothing is sent") for alias, box in self.senders]
        rows += [("not tested", "", "", f"{c.observed}: {c.fix}") for c in self.missing]
        title = f"run {self.run}: {len(self.letters)} messages"
        return Table(title, ("message", "from", "to", "how it is seen"), tuple(rows))


def _looks(letter: Letter) -> str:
    seen = [f"read in {letter.lands}"] * bool(letter.lands) + [f"answer in {letter.answered_in}"] * bool(
        letter.answered_in
    )
    return "; ".join(seen) or "in the server's log only"


def run_id() -> str:
    """The run we belong to, or a name of our own: UTC time and four random digits."""
    own = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return os.environ.get("RUNBOOK_RUN") or own


def plan(site: Site, run: str = "") -> Letters:
    """What stage 05 would send for each domain; sends nothing."""
    run = run or run_id()
    drafts = [draft for domain in site.domains for draft in _drafts(site, domain, run)]
    letters = tuple(Letter(i, *draft) for i, draft in enumerate(drafts, 1))
    refuse = tuple(address for domain in site.domains for address in domain.refuse) if site.test.smtp25 else ()
    return Letters(run, f"{run}-{site.name}", letters, refuse, tuple(_missing(site)), tuple(_senders(site)))


Draft = tuple[Route, str, str, str, str, str]


def _drafts(site: Site, domain: Domain, run: str) -> Iterator[Draft]:
    if domain.mailboxes:
        sender = domain.mailboxes[0].address
        for them in site.test.recipients:
            answered = sender if them.imap and them.submission else ""
            yield Route.OUTBOUND, domain.name, sender, them.address, them.address if them.imap else "", answered
        if site.test.reflector:
            yield Route.REFLECTOR, domain.name, sender, site.test.reflector, "", sender
    stranger = _stranger(site)
    if stranger and domain.mailboxes:
        box = domain.mailboxes[0].address
        yield Route.INBOUND, domain.name, stranger.address, box, box, ""
    if stranger and domain.catch_all:
        made_up = f"probe-{run.lower()}@{domain.name}"
        # Where it leads away, the domain's owner keeps a copy.
        yield Route.CATCH_ALL, domain.name, stranger.address, made_up, addresses.owner(site, domain), ""


def _senders(site: Site) -> Iterator[tuple[str, str]]:
    """An alias of each domain and who reads it, where the server decides by a list of its own who sends as whom."""
    for domain in site.domains if site.mail.server != DOCKER_MAILSERVER else ():
        owned = ((alias, box) for alias, boxes in domain.aliases.items() for box in boxes if box in site.mailboxes)
        yield from list(owned)[:1]


def _stranger(site: Site) -> Recipient | None:
    return next((r for r in site.test.recipients if r.submission), None)


def _missing(site: Site) -> Iterator[Check]:
    """An advisory row for each thing that params do not let us see."""

    def unseen(name: str, expected: str, observed: str, fix: str) -> Check:
        return Check(name, Status.UNKNOWN, expected, observed, fix, advisory=True)

    if not site.test.recipients:
        fix = "name one, with imap: to read what arrived"
        yield unseen("delivery.outbound", "a message to someone outside", "no test.recipients in params", fix)
    for them in site.test.recipients:
        if them.imap is None:
            fix = "add its imap: login, or look there by hand"
            yield unseen(f"delivery.arrived {them.address}", "what arrived", "no imap for this recipient", fix)
    if _stranger(site) is None:
        fix = "add a submission: login of an address elsewhere"
        yield unseen("delivery.inbound", "a message from outside", "no recipient has submission", fix)
    if not site.test.smtp25 and any(d.refuse for d in site.domains):
        fix = "set test.smtp25: true where this machine may speak to port 25"
        yield unseen("delivery.refused", "refused addresses answer 550 5.1.1", "test.smtp25 is false", fix)


def posts(site: Site) -> dict[str, Account]:
    """By sender: where it submits its mail."""
    server = Endpoint(site.server.hostname, SUBMISSION, "starttls", site.mail.tls.ca)
    ours = {a: Account(server, a, m.password, site.server.ipv4) for a, m in site.mailboxes.items()}
    return ours | {r.address: _account(r.submission) for r in site.test.recipients if r.submission}


def boxes(site: Site) -> dict[str, Account]:
    """By address: where its mail is read."""
    server = Endpoint(site.server.hostname, IMAPS, "implicit", site.mail.tls.ca)
    ours = {a: Account(server, a, m.password, site.server.ipv4) for a, m in site.mailboxes.items()}
    return ours | {r.address: _account(r.imap) for r in site.test.recipients if r.imap}


def _account(login: Login) -> Account:
    implicit = login.port in IMPLICIT_TLS | {IMAPS}
    where = Endpoint(login.host, login.port, "implicit" if implicit else "starttls", login.ca)
    return Account(where, login.username, login.password)


BODY = """\
Hello,

this is a test message. The operator of the mail server {host} sends it
to see that mail from and to {domain} arrives, and how it is treated
on its way. Nothing needs to be done; it may be deleted.

Run {run}, message {number}: {route}.
"""


def compose(site: Site, letters: Letters, letter: Letter) -> bytes:
    """The message as it is submitted; run and number stand in its subject and Message-ID."""
    message = _headed(
        letter.sender,
        letter.recipient,
        f"runbook test {letters.mark(letter)} {letter.route} {letter.domain}",
        f"<{letters.marker}.{letter.number}@{letter.sender.rpartition('@')[2]}>",
    )
    message["X-Runbook-Run"] = letters.run
    told = {"host": site.server.hostname, "domain": letter.domain, "run": letters.run}
    message.set_content(BODY.format(**told, number=letter.number, route=letter.route))
    return message.as_bytes()


def compose_answer(letters: Letters, letter: Letter, received: EmailMessage) -> tuple[str, bytes]:
    """The answer a person would send to what arrived, and the address it goes to (RFC 5322 3.6.2, 3.6.4)."""
    goes_to = (received["Reply-To"] or received["From"]).addresses[0].addr_spec
    sender = letter.recipient
    subject = f"Re: {str(received['Subject']).strip()}"
    message = _headed(sender, goes_to, subject, f"<{letters.marker}.{letter.number}.re@{sender.rpartition('@')[2]}>")
    message["In-Reply-To"] = message["References"] = str(received["Message-ID"])
    message["X-Runbook-Run"] = letters.run
    message.set_content("Hello,\n\nyour test message arrived; this is the answer to it.\n")
    return goes_to, message.as_bytes()


def _headed(sender: str, recipient: str, subject: str, message_id: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message["Date"], message["Message-ID"] = format_datetime(datetime.now(UTC)), message_id
    return message
