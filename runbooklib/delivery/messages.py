"""The test messages of a run as values, and whose login each is handed over by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

from runbooklib import endpoint
from runbooklib.credentials import Secret
from runbooklib.delivery.questions import Question
from runbooklib.endpoint import Endpoint
from runbooklib.params import IMPLICIT_TLS, Login, Site
from runbooklib.results import Check, RunbookError, Shown, Table

SUBMISSION, SUBMISSIONS, IMAPS, SMTP_PORT = 587, 465, 993, 25  # RFC 6409, RFC 8314 7.3, RFC 5321


class DeliveryError(RunbookError):
    """A message could not be handed over or looked for."""


class Route(StrEnum):
    """Which way a message travels, and what it is to show."""

    OUTBOUND = "outbound"  # our submission, the relay, a recipient outside
    REFLECTOR = "reflector"  # the same, to an address that answers by itself
    BOUNCE = "bounce"  # the same, to an address that is known to bounce
    INBOUND = "inbound"  # from outside to a mailbox, an alias or a sub-address
    CATCH_ALL = "catch-all"  # from outside to an address nobody has
    DIRECT = "direct"  # from this machine straight to our port 25
    FORGED = "forged"  # the same, under a domain whose SPF and DMARC forbid it


class Form(StrEnum):
    """How a message is written, or who it says it is from; each is something that relays and filters treat apart."""

    PLAIN = "plain"
    HTML = "html"
    ATTACHMENT = "attachment"
    NON_ASCII = "non-ascii"  # letters outside ASCII in the subject (RFC 2047) and text
    SMTPUTF8 = "smtputf8"  # in the recipient's local part (RFC 6531)
    SUB_ADDRESS = "sub-address"  # the sender's, as RFC 5233 names it: hi+runbook@
    ALIAS = "alias"  # an alias of the mailbox as sender


@dataclass(frozen=True)
class Letter:
    """One message: where it comes from, where it goes, and in whose mailbox it and its answer can be seen."""

    number: int  # made from the name by `numbered`, so that a resumed run finds it again
    route: Route
    domain: str
    sender: str
    recipient: str
    lands: str = ""  # the mailbox to look into; empty when nobody lets us look
    answered_in: str = ""  # the mailbox an answer arrives in; empty when none is expected
    form: Form = Form.PLAIN
    port: int = SUBMISSION  # where our own users submit it: 587 or 465
    door: str = ""  # how this machine comes to our port 25, e.g. IPv6 STARTTLS
    login: str = ""  # the mailbox that submits it where the sender is none: an alias, a sub-address

    @property
    def submitter(self) -> str:
        """Whose login hands it over, and in whose mailbox a bounce of it would be read."""
        return self.login or self.sender

    @property
    def inbound(self) -> bool:
        return self.route in {Route.INBOUND, Route.CATCH_ALL, Route.DIRECT, Route.FORGED}

    @property
    def bounces(self) -> bool:
        """Whether it is sent to come back."""
        return self.route is Route.BOUNCE

    @property
    def subject(self) -> str:
        """Whom this message and its like are about: the first part of its name, the same for every form of it."""
        return {
            Route.OUTBOUND: f"outbound {self.domain} {self.recipient}",
            Route.REFLECTOR: f"reflector {self.domain}",
            Route.BOUNCE: f"bounce {self.domain}",
            Route.INBOUND: f"inbound {self.recipient}",
            Route.CATCH_ALL: f"catch-all {self.domain}",
            Route.DIRECT: f"direct {self.recipient}",
            Route.FORGED: f"forged {self.recipient}",
        }[self.route]

    @property
    def name(self) -> str:
        """What tells this message from the run's others, and is the same in every run."""
        plain = self.form is Form.PLAIN and self.port == SUBMISSION
        return " ".join(filter(None, [self.subject, "" if plain else f"{self.form} {self.port}", self.door]))


DIGITS = 9  # of a letter's number


def numbered(letter: Letter) -> Letter:
    """The letter with the number that follows from its name, always of the same length."""
    digest = int.from_bytes(hashlib.sha256(letter.name.encode()).digest())
    least = 10 ** (DIGITS - 1)
    return replace(letter, number=least + digest % (9 * least))


@dataclass(frozen=True)
class Account:
    """Where an address submits or reads its mail; `address` is set where DNS need not be asked."""

    endpoint: Endpoint
    username: str
    password: Secret  # or a token
    address: str | None = None
    identify: bool = False  # whether IMAP's ID command is sent even where it is not offered

    def addresses(self, site: Site) -> list[str]:
        """Where to connect; raises EndpointError where the name leads nowhere."""
        return [self.address] if self.address else endpoint.resolve(self.endpoint.host, site.dns.resolvers)


@dataclass(frozen=True)
class Letters(Shown):
    """What a run would send, and what it cannot send because params do not make it possible."""

    run: str
    marker: str  # stands in each subject; tells this run's messages from any other's
    letters: tuple[Letter, ...]
    missing: tuple[Check, ...] = ()
    questions: tuple[Question, ...] = ()  # asked up to RCPT; nothing is sent
    counted: tuple[tuple[str, str], ...] = ()  # by relay: what the run takes of its allowance
    untested: tuple[str, ...] = ()  # what is left out on purpose, and why

    def __bool__(self) -> bool:
        return bool(self.letters or self.questions)

    def __iter__(self) -> Iterator[Letter]:
        return iter(self.letters)

    def __len__(self) -> int:
        return len(self.letters)

    def only(self, keep: Callable[[Letter], bool]) -> Letters:
        """The same run with fewer messages, and nothing asked or missed."""
        return Letters(self.run, self.marker, tuple(filter(keep, self.letters)))

    def mark(self, letter: Letter) -> str:
        """What stands in the letter's subject and in no other's."""
        return f"{self.marker}.{letter.number}:"

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        return self.table().parts()

    def data(self) -> dict[str, Any]:
        """The table, and which messages a resumed run may find handed over."""
        numbers = [letter.number for letter in self.letters]
        return self.table().data() | {"kind": "letters", "marker": self.marker, "numbers": numbers}

    def table(self) -> Table:
        """What it costs, one row for the messages about the same, then what is only asked and what is not tested."""
        rows: list[tuple[str, ...]] = [("counted", "", relay, said) for relay, said in self.counted]
        rows += [_row(group) for group in alike(self.letters, lambda letter: letter.subject)]
        if asked := [q.name.removeprefix("delivery.") for q in self.questions]:
            rows.append(("asked", "", "", f"up to RCPT, nothing is sent: {', '.join(asked)}"))
        rows += [("not tested", "", "", why) for why in self.untested]
        rows += [("not tested", "", "", f"{c.observed}: {c.fix}") for c in self.missing]
        title = f"run {self.run}: {len(self.letters)} messages"
        return Table(title, ("message", "from", "to", "how it is seen"), tuple(rows))


Thing = TypeVar("Thing")


def alike(things: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[list[Thing]]:
    """The things of one key together, in the order in which they first appear."""
    found: dict[Hashable, list[Thing]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return list(found.values())


def counted(group: Sequence[object], said: str) -> str:
    """What one of them says, with how many they are."""
    return said if len(group) == 1 else f"{len(group)} messages: {said}"


def _row(group: Sequence[Letter]) -> tuple[str, ...]:
    first = group[0]
    senders = ", ".join(dict.fromkeys(letter.sender for letter in group))
    return first.route, senders, first.recipient, "; ".join(filter(None, [_number(group), *_looks(group)]))


def _number(group: Sequence[Letter]) -> str:
    """How many messages they are, and what tells them apart."""
    if len(group) == 1:
        return ""
    if doors := [letter.door for letter in group if letter.door]:
        return f"{len(group)} messages: {', '.join(doors)}"
    forms = dict.fromkeys(letter.form for letter in group)
    ports = " and ".join(str(port) for port in dict.fromkeys(letter.port for letter in group))
    return f"{len(group)} messages: {', '.join(forms)} through {ports}"


def _looks(group: Sequence[Letter]) -> list[str]:
    read = [f"read in {box}" for box in dict.fromkeys(letter.lands for letter in group) if box]
    read += [f"answer in {box}" for box in dict.fromkeys(letter.answered_in for letter in group) if box]
    read += ["its bounce, or the provider's word on it"] * (group[0].route is Route.BOUNCE)
    return read or ["in the server's log only"]


def post(site: Site, letter: Letter) -> Account:
    """Where a letter is submitted; our own server has two ports for it."""
    found = posts(site)[letter.submitter]
    if letter.submitter not in site.mailboxes or letter.port not in IMPLICIT_TLS:
        return found
    return replace(found, endpoint=replace(found.endpoint, port=letter.port, tls="implicit"))


def posts(site: Site) -> dict[str, Account]:
    """By address: where it submits its mail."""
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
    return Account(where, login.username, login.secret, identify=login.identify)
