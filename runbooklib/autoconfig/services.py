"""Where a site's people read and submit their mail, the preferred way first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from runbooklib.endpoint import Endpoint
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Site
from runbooklib.results import RunbookError, Table

Protocol = Literal["imap", "smtp"]
Mode = Literal["implicit", "starttls"]
ADDRESS = "%EMAILADDRESS%"  # a mail program puts the whole address there


class AutoconfigError(RunbookError):
    """A file for mail programs cannot be read back, or leaves out what they need."""


@dataclass(frozen=True)
class Service:
    """One way to the mail server, as a mail program is told it."""

    protocol: Protocol
    host: str
    port: int
    tls: Mode
    username: str = ADDRESS  # empty where the program asks for it

    @property
    def name(self) -> str:
        """As IANA registers it (RFC 8314 7)."""
        return NAMES[self.protocol, self.tls]

    def __str__(self) -> str:
        return f"{self.name} {self.host}:{self.port}"

    def endpoint(self, ca: str | None) -> Endpoint:
        """Where it listens."""
        return Endpoint(self.host, self.port, self.tls, ca)

    def user(self, address: str) -> str:
        """The name that a program logs in with."""
        return self.username.replace(ADDRESS, address) or address


NAMES: Mapping[tuple[Protocol, Mode], str] = {
    ("imap", "implicit"): "imaps",
    ("imap", "starttls"): "imap",
    ("smtp", "implicit"): "submissions",
    ("smtp", "starttls"): "submission",
}
Way = tuple[Protocol, int, Mode]
IMAPS: Way = ("imap", 993, "implicit")
IMAP: Way = ("imap", 143, "starttls")
SUBMISSIONS: Way = ("smtp", 465, "implicit")
SUBMISSION: Way = ("smtp", 587, "starttls")
# RFC 8314 3: TLS from the first byte before STARTTLS. A Postfix that was there before us need not have 465, nor 143.
OFFERED: Mapping[str, tuple[Way, ...]] = {
    DOCKER_MAILSERVER: (IMAPS, IMAP, SUBMISSIONS, SUBMISSION),
    MAILCOW: (IMAPS, IMAP, SUBMISSIONS, SUBMISSION),
    POSTFIX: (IMAPS, SUBMISSION, SUBMISSIONS),
}


def offered(site: Site) -> tuple[Service, ...]:
    """The services of this kind of mail server; POP3 is none of them: it keeps no folders."""
    host = site.server.hostname
    return tuple(Service(protocol, host, port, tls) for protocol, port, tls in OFFERED[site.mail.server])


def preferred(services: Iterable[Service]) -> dict[Protocol, Service]:
    """The first of each protocol, which programs take."""
    found: dict[Protocol, Service] = {}
    for service in services:
        found.setdefault(service.protocol, service)
    return found


TASKS: Mapping[Protocol, str] = {"imap": "read mail (IMAP)", "smtp": "send mail (SMTP)"}
ENCRYPTION: Mapping[Mode, str] = {"implicit": "TLS from the first byte (SSL/TLS)", "starttls": "STARTTLS"}


def settings(site: Site) -> Table:
    """What a person types into a mail program; the same for every domain of the site."""
    services, people = offered(site), ", ".join(d.name for d in site.domains if d.mailboxes)
    first = set(preferred(services).values())
    rows = tuple(
        (TASKS[s.protocol], s.host, str(s.port), ENCRYPTION[s.tls], _user(site), "" if s in first else "or this")
        for s in services
    )
    title = "; ".join([f"client settings for {people}", *_notes(site)])
    return Table(title, ("to", "server", "port", "encryption", "user name", "choice"), rows)


def _user(site: Site) -> str:
    return f"the whole address, e.g. {next(iter(site.mailboxes))}"


def _notes(site: Site) -> list[str]:
    mailcow = "mailcow tells programs by itself (autoconfig, autodiscover)"
    private = "the certificate is of a private CA, which each device has to know first"
    return [mailcow] * (site.mail.server == MAILCOW) + [private] * bool(site.mail.tls.ca)
