"""The services that mail programs are told of, tried as a program would: connection, certificate, login."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from runbooklib import endpoint
from runbooklib.autoconfig.services import Service, preferred
from runbooklib.credentials import CredentialError
from runbooklib.delivery import logins
from runbooklib.endpoint import Dial, EndpointError, LoginError, UnreachableError
from runbooklib.params import Mailbox, Site
from runbooklib.results import Check, Status, passed

PATIENCE = 15.0  # seconds
Troubles = Mapping[Service, EndpointError | None]


def connected(site: Site, services: Sequence[Service], dial: Dial) -> Troubles:
    """For each service why a program cannot speak to it; None: it can."""
    with ThreadPoolExecutor(len(services) or 1) as pool:
        return dict(zip(services, pool.map(partial(_connected, site, dial), services), strict=True))


def _connected(site: Site, dial: Dial, service: Service) -> EndpointError | None:
    try:
        _speak(site, dial, service)
    except EndpointError as error:
        return error
    return None


def _speak(site: Site, dial: Dial, service: Service, box: Mailbox | None = None) -> None:
    """Connects, and logs in where a mailbox is given.

    Raises EndpointError, CredentialError.
    """
    where, addresses, tried = service.endpoint(site.mail.tls.ca), _addresses(site, service), logins.of(site)
    if service.protocol == "imap":
        with endpoint.leaving(endpoint.first(addresses, lambda a: endpoint.imap(where, dial, a, PATIENCE))) as reader:
            if box:
                tried.imap(reader, where.host, service.user(box.address), box.password)
    else:
        with endpoint.ending(endpoint.first(addresses, lambda a: endpoint.smtp(where, dial, a, PATIENCE))) as writer:
            if box:
                tried.smtp(writer, where.host, service.user(box.address), box.password)


def _addresses(site: Site, service: Service) -> list[str]:
    """Our own name is dialled before DNS leads it here."""
    ours = service.host == site.server.hostname
    return [site.server.ipv4] if ours else endpoint.resolve(service.host, site.dns.resolvers)


def service_rows(troubles: Troubles) -> Iterator[Check]:
    """Whether each service answers with a certificate for its name."""
    first = set(preferred(troubles).values())
    for service, trouble in troubles.items():
        name, expected = f"autoconfig.{service}", f"answers on {service.port} with a certificate for {service.host}"
        if trouble is None:
            yield passed(name, expected, "answers, certificate verified", "RFC 8314 3, RFC 9525 6")
        else:
            status, fix = _weight(trouble, preferred=service in first)
            yield Check(name, status, expected, str(trouble), fix, "RFC 8314 3, RFC 9525 6")


def _weight(trouble: EndpointError, *, preferred: bool) -> tuple[Status, str]:
    """A refused connection is wrong where programs begin there; the second choice only costs those who take it."""
    if isinstance(trouble, UnreachableError) and trouble.refused:
        fix = "let the mail server listen there, or take that service out of what people are told"
        return (Status.FAIL if preferred else Status.WARN), fix
    return trouble.status, trouble.fix


@dataclass(frozen=True)
class Attempt:
    """What a service said to a mailbox's login; None: it was taken."""

    service: Service
    trouble: Exception | None = None

    @property
    def refused(self) -> bool:
        return isinstance(self.trouble, LoginError) and self.trouble.refused


def login_rows(site: Site, services: Mapping[str, Sequence[Service]], troubles: Troubles, dial: Dial) -> list[Check]:
    """Whether the first mailbox of each domain opens the services its files name."""
    rows = list[Check]()
    for domain, named in services.items():
        box, open_ones = site.domain(domain).mailboxes[0], [s for s in named if troubles[s] is None]
        rows.append(_judged(box, named, _attempts(site, dial, box, open_ones)))
    return rows


def _attempts(site: Site, dial: Dial, box: Mailbox, services: Sequence[Service]) -> list[Attempt]:
    """One service after the other, up to the first that does not let the mailbox in."""
    attempts = list[Attempt]()
    for service in services:
        attempts.append(_attempt(site, dial, box, service))
        if attempts[-1].trouble:
            break
    return attempts


def _attempt(site: Site, dial: Dial, box: Mailbox, service: Service) -> Attempt:
    try:
        _speak(site, dial, service, box)
    except (EndpointError, CredentialError) as error:
        return Attempt(service, error)
    return Attempt(service)


def _judged(box: Mailbox, named: Sequence[Service], attempts: Sequence[Attempt]) -> Check:
    if not attempts:
        return _row(box, Status.UNKNOWN, "no service could be spoken to", "see the rows of the services")
    taken = ", ".join(f"{a.service.name} {a.service.port}" for a in attempts if not a.trouble) or "none"
    last = attempts[-1]
    if last.trouble is None:
        left = ", ".join(f"{s.name} {s.port}" for s in named if s not in {a.service for a in attempts})
        return _row(box, Status.PASS, f"let it in: {taken}" + (f"; not tried: {left}" if left else ""))
    fix = "name the password that the mailbox has today, or set that one on the server"
    said = f"{last.service.name} {last.service.port}: {last.trouble}; let it in before: {taken}"
    status = getattr(last.trouble, "status", Status.UNKNOWN)  # a reference that leads nowhere says nothing of a server
    return _row(box, status, said, fix if last.refused else getattr(last.trouble, "fix", ""))


def _row(box: Mailbox, status: Status, observed: str, fix: str = "") -> Check:
    expected = f"{box.address} and {box.password} open every service"
    return Check(f"autoconfig.login {box.address}", status, expected, observed, fix, "RFC 6409 4.3, RFC 9051 6.2")
