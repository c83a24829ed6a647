"""Letters that this machine brings itself, a stranger at port 25 of the server, by every door there is.

It is authorised for nobody's domain, so it writes with the null sender (RFC 5321 4.5.5) from a domain that nobody has
(RFC 6761 6.4), which no policy forbids; and once under a domain whose owner forbids it to everybody.
"""

from __future__ import annotations

import ipaddress
import smtplib
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbooklib import dmarc, endpoint, spf, zone
from runbooklib.answers import Lookup
from runbooklib.delivery.handover import Handed
from runbooklib.delivery.messages import SMTP_PORT, Letter, Route, numbered
from runbooklib.delivery.transfer import POSTSCREEN, transfer, unsent
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Domain, Site
from runbooklib.results import Check, Status
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

STRANGER = "stranger@runbook.invalid"
FORGED = "nobody@example.com"  # RFC 2606 3: the IANA's, with v=spf1 -all, DMARC p=reject and a null MX
V4, V6, TLS = "IPv4", "IPv6", "STARTTLS"


@dataclass(frozen=True)
class Door:
    """One way to port 25: which address of the server, and whether in TLS."""

    address: str
    starttls: bool

    @property
    def name(self) -> str:
        family = V6 if ipaddress.ip_address(self.address).version == 6 else V4  # noqa: PLR2004
        return f"{family} {TLS}" if self.starttls else family


def drafts(site: Site, domain: Domain, run: str) -> Iterator[Letter]:
    """The letters that this machine brings itself, to the first mailbox of the site; none where it may not."""
    del run
    if not site.test.smtp25 or domain.name != site.domains[0].name or not domain.mailboxes:
        return
    box = domain.mailboxes[0].address
    for door in doors(site):
        yield numbered(Letter(0, Route.DIRECT, domain.name, STRANGER, box, box, door=door.name))
    yield numbered(Letter(0, Route.FORGED, domain.name, FORGED, box, box))


def doors(site: Site) -> list[Door]:
    """Every way to port 25 that there is from here."""
    ipv6 = site.server.ipv6
    there = [site.server.ipv4, *([ipv6] if ipv6 and own_address(ipv6) else [])]
    return [Door(address, starttls) for address in there for starttls in (True, False)]


def missing(site: Site) -> Iterator[Check]:
    """An advisory row for what cannot be brought to port 25 from here."""
    name, expected = "delivery.direct", "messages straight to port 25, over IPv4 and IPv6, with and without STARTTLS"
    if not site.test.smtp25:
        fix = "set test.smtp25: true where this machine may speak to port 25"
        yield Check(name, Status.UNKNOWN, expected, "test.smtp25 is false", fix, advisory=True)
    elif site.server.ipv6 and not own_address(site.server.ipv6):
        said, fix = "this machine has no way to IPv6", "run 05 from a machine that has"
        yield Check(f"{name} {V6}", Status.UNKNOWN, expected, said, fix, advisory=True)


def own_address(there: str) -> str:
    """Our own address on the way to another, by the routing table alone: nothing is sent; empty without a way."""
    family = socket.AF_INET6 if ":" in there else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((there, SMTP_PORT))
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def hand_over(site: Site, letter: Letter, message: bytes, port: int = SMTP_PORT) -> Handed:
    """Brings one letter to the server's port 25; a forged one only where its domain really forbids it."""
    door = next((d for d in doors(site) if d.name == (letter.door or f"{V4} {TLS}")), None)
    if door is None:
        return Handed(letter, "unsent", f"no way to {letter.door} from here", verdict=Status.UNKNOWN)
    own = own_address(door.address)
    if letter.route is Route.FORGED and (why := not_forbidden(site, own)):
        return Handed(letter, "unsent", why, verdict=Status.UNKNOWN, client=own)
    # RFC 5321 4.5.5: the null sender, so that nothing bounces to nobody and no domain is claimed.
    sender = letter.sender if letter.route is Route.FORGED else ""
    try:
        with endpoint.ending(_client(site, door, own, port)) as client:
            return replace(transfer(client, letter, sender, letter.recipient, message), client=own)
    except EndpointError as error:
        return replace(unsent(letter, error), client=own)


def _client(site: Site, door: Door, own: str, port: int) -> smtplib.SMTP:
    where = Endpoint(site.server.hostname, port, "starttls" if door.starttls else "none", site.mail.tls.ca)
    return endpoint.smtp(where, endpoint.local_dial, door.address, POSTSCREEN, literal(own))


def literal(address: str) -> str:
    """What a client without a name of its own says in EHLO (RFC 5321 4.1.3, 4.1.4)."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def not_forbidden(site: Site, own: str) -> str:
    """Why DNS does not show that the forged sender is forbidden; empty where it is."""
    (why,) = zone.together([doubt(zone.Stub(INTERNET, resolvers(site)), own)])
    return why


async def doubt(look: Lookup, own: str) -> str:
    """The same, with DNS as it is given."""
    domain = FORGED.rpartition("@")[2]
    found = await spf.evaluate(look, own, FORGED, literal(own))
    if found.result is not spf.Result.FAIL:
        return f"not sent: SPF of {domain} says {found.result} of {own} ({found.reason}), so nothing forbids it"
    policy = await dmarc.ask(look, domain)
    if policy.walked.policy != "reject":
        return f"not sent: the DMARC policy of {domain} is {policy.walked}, so nothing forbids it"
    return ""
