"""What our server is asked so that it shows what it refuses, and what it lets its own users do: a plan, pure.

Every question ends at RCPT, at a reserved name or at an address of our own: no message follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runbooklib.params import Domain, Site
from runbooklib.results import Check, Status

SMTP_PORT, SUBMISSION, SUBMISSIONS = 25, 587, 465  # RFC 5321, RFC 6409, RFC 8314 7.3
OUTSIDE = "example.org"  # RFC 2606 3: nobody is written to there
UNUSED = "runbook-unused"  # a local part that nobody has
SOMEBODY, SOMEONE = f"somebody@{OUTSIDE}", "someone@example.net"
CAUGHT = "an unused address of its catch-all"
EACH = 3  # addresses of one kind, each of another domain, that a mailbox tries to send as


class Kind(StrEnum):
    """What is asked; the word names the check."""

    OPEN_RELAY = "open-relay"  # whether mail from outside to outside is taken
    REFUSED = "refused"  # whether an address answers 550 5.1.1
    SENDS_AS = "sends-as"  # as whom a mailbox may send
    CLEAR = "clear"  # what is offered before TLS
    IMPLICIT = "implicit-tls"  # whether a port begins with TLS
    PASSWORD = "password"  # noqa: S105 - whether a wrong one is refused
    LOGIN = "login"  # whether the right one opens another port of submission
    GREETING = "greeting"  # the name in banner and EHLO, and its PTR
    ACCOUNTS = "accounts"  # whether VRFY and EXPN tell who has a mailbox
    SMUGGLING = "smuggling"  # whether a bare LF ends a message


@dataclass(frozen=True)
class Envelope:
    """A MAIL FROM and a RCPT TO, as they stand between the angle brackets; empty is the null sender."""

    form: str
    sender: str
    recipient: str
    may: bool = False  # whether it has to be taken


@dataclass(frozen=True)
class Question:
    """One thing asked at one port."""

    kind: Kind
    port: int
    about: str = ""  # an address; the port where it is about no other
    box: str = ""  # the mailbox that logs in
    envelopes: tuple[Envelope, ...] = ()
    ipv6: bool = False

    @property
    def name(self) -> str:
        """The name of its check."""
        return f"delivery.{self.kind} {self.about or self.port}{' IPv6' * self.ipv6}"

    @property
    def refusals(self) -> int:
        """How many lines of its answers a ban program counts against who asks, where all is well."""
        counted = {Kind.REFUSED: 1, Kind.OPEN_RELAY: len(self.envelopes)}
        return counted.get(self.kind, 0)


def plan(site: Site) -> tuple[Question, ...]:
    """All questions that params make possible, those that tell most first."""
    return (*(_at_port_25(site) if site.test.smtp25 else ()), *_at_submission(site))


def _at_port_25(site: Site) -> Iterator[Question]:
    yield Question(Kind.OPEN_RELAY, SMTP_PORT, envelopes=classic(site))
    if site.server.ipv6:  # where Docker hides who comes behind a gateway of its own, that one may be trusted
        yield Question(Kind.OPEN_RELAY, SMTP_PORT, envelopes=classic(site)[:1], ipv6=True)
    for domain in site.domains:
        yield from (Question(Kind.REFUSED, SMTP_PORT, address) for address in domain.refuse)
    closed = [domain.name for domain in site.domains if not domain.catch_all]
    yield from (Question(Kind.REFUSED, SMTP_PORT, f"{UNUSED}@{name}") for name in closed)
    yield Question(Kind.GREETING, SMTP_PORT)
    yield Question(Kind.CLEAR, SMTP_PORT)
    yield from [Question(Kind.ACCOUNTS, SMTP_PORT, box=box) for box in site.mailboxes][:1]


def _at_submission(site: Site) -> Iterator[Question]:
    yield Question(Kind.SMUGGLING, SMTP_PORT)
    yield Question(Kind.CLEAR, SUBMISSION)
    yield Question(Kind.IMPLICIT, SUBMISSIONS)
    yield Question(Kind.OPEN_RELAY, SUBMISSION, envelopes=classic(site)[:1])
    if box := next(iter(site.mailboxes), ""):
        yield Question(Kind.LOGIN, SUBMISSIONS, box=box)
        # One and no more: bans count these first, and Dovecot has whoever failed wait for the next.
        yield Question(Kind.PASSWORD, SUBMISSION, box=box)
    for box in senders(site):
        yield Question(Kind.SENDS_AS, SUBMISSION, box, box, as_whom(site, box))


def classic(site: Site) -> tuple[Envelope, ...]:
    """The ways by which servers were made relays, the plainest first.

    Nobody's rules about senders say no to the null one before it comes to relaying.
    """
    own = site.domains[0].name
    user, domain = SOMEBODY.split("@")
    forms = (
        ("null sender", "", SOMEBODY),
        ("outside to outside", SOMEONE, SOMEBODY),
        ("own domain as sender", f"postmaster@{own}", SOMEBODY),  # RFC 5321 4.5.1: it is there, and anybody can say so
        ("percent hack", "", f"{user}%{domain}@{own}"),
        ("source route", "", f"@{own}:{SOMEBODY}"),  # RFC 5321 appendix C
        ("quoted", "", f'"{SOMEBODY}"@{own}'),
        ("bang path", "", f"{domain}!{user}@{own}"),
        ("bang path alone", "", f"{domain}!{user}"),
        ("percent hack at localhost", "", f"{user}%{domain}@localhost"),
        ("localhost as sender", "postmaster@localhost", SOMEBODY),
        ("address literal", "", f"{user}@[192.0.2.25]"),  # RFC 5737: nobody's address
    )
    return tuple(Envelope(*form) for form in forms)


def outside(site: Site, envelope: Envelope) -> bool:
    """Whether an envelope goes to a domain that is not ours: only there a refusal is about relaying."""
    domain = envelope.recipient.rpartition("@")[2]
    return "@" in envelope.recipient and domain not in {"localhost", *(d.name for d in site.domains)}


def senders(site: Site) -> list[str]:
    """The mailboxes that are asked as whom they may send: each domain's first, its catch-all's and an alias's owner."""
    found = [box for domain in site.domains for box in _senders(site, domain)]
    return list(dict.fromkeys(box for box in found if box in site.mailboxes))


def _senders(site: Site, domain: Domain) -> Iterator[str]:
    yield from [m.address for m in domain.mailboxes][:1]
    yield from [domain.catch_all] if domain.catch_all else []
    yield from [box for boxes in domain.aliases.values() for box in boxes if box in site.mailboxes][:1]


def as_whom(site: Site, box: str) -> tuple[Envelope, ...]:
    """As whom a mailbox tries to send to itself: what it owns, then what it does not."""
    domains = sorted(site.domains, key=lambda d: (d.catch_all != box, d.name != box.rpartition("@")[2]))
    aliases = {alias: boxes for d in domains for alias, boxes in d.aliases.items()}
    owned = (
        ("itself", [box]),
        ("its alias", [alias for alias, boxes in aliases.items() if box in boxes]),
        (CAUGHT, [f"{UNUSED}@{d.name}" for d in domains if d.catch_all == box]),
    )
    others = (
        ("another mailbox", [m.address for d in domains for m in d.mailboxes if m.address != box]),
        ("an alias of somebody else's", [alias for alias, boxes in aliases.items() if box not in boxes]),
        ("an address that is not its own", [f"{UNUSED}@{d.name}" for d in domains if d.catch_all != box]),
        ("another domain", [SOMEBODY]),
    )
    return (
        *(Envelope(form, a, box, may=True) for form, addresses in owned for a in _one_a_domain(addresses)),
        *(Envelope(form, a, box) for form, addresses in others for a in _one_a_domain(addresses)),
    )


def _one_a_domain(addresses: Sequence[str]) -> list[str]:
    """The first of each domain, as far as a run has time for."""
    domains = [address.rpartition("@")[2] for address in addresses]
    return [a for i, a in enumerate(addresses) if domains[i] not in domains[:i]][:EACH]


def missing(site: Site) -> Iterator[Check]:
    """An advisory row for what may not be asked from here."""
    if not site.test.smtp25:
        fix = "set test.smtp25: true where this machine may speak to port 25"
        expected, said = "no open relay, refused addresses answer 550 5.1.1", "test.smtp25 is false"
        yield Check(f"delivery.{Kind.OPEN_RELAY} {SMTP_PORT}", Status.UNKNOWN, expected, said, fix, advisory=True)
