"""Who comes to port 25, by the addresses that the server's own log names: whether IPv6 reaches it as itself."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from runbooklib import endpoint, maillog
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site
from runbooklib.records import Held, Wanted, ipv6
from runbooklib.results import RunbookError, Shown, Status, Table
from runbooklib.servers.recipients import POSTSCREEN_SECONDS

# Postfix on port 25; submission, Amavis and SOGo come in by services with names of their own.
DOOR = re.compile(r"^postfix(?:-[\w.-]+)?/(?:smtpd|postscreen)$")
CAME = re.compile(r"^(?:connect from [^\[\s]*|CONNECT from )\[(?P<address>[0-9A-Fa-f.:]+)\]")
NAMED = re.compile(r"from [^\[\s]*\[(?P<address>[0-9A-Fa-f.:]+)\].* helo=<(?P<helo>[^>]*)>")
# What bridges of containers use, and no stranger: RFC 1918, RFC 6598, RFC 4193, RFC 4291 2.5.6.
INNER = [ip_network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]
INNER += [ip_network("169.254.0.0/16"), ip_network("fe80::/10")]
NOBODY = re.compile(r"\[.*|localhost|.*\.(?:invalid|local|localdomain|localhost|internal)|[^.]*", re.IGNORECASE)
SETTLES = 1.0  # seconds until a line is in the log that a program shows


@dataclass(frozen=True)
class Arrivals(Shown):
    """The clients that connected to port 25, in the order of the log."""

    clients: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()  # inner addresses behind which somebody gave a name of the outside in HELO
    unseen: str = ""  # why the log could not be read
    knocked: str = ""  # what became of our own connection over IPv6; empty where none was tried

    @property
    def ipv6(self) -> str:
        """The last client that came over IPv6 under its own address."""
        return next((c for c in reversed(self.clients) if isinstance(ip_address(c), IPv6Address) and not inner(c)), "")

    @property
    def ipv4(self) -> str:
        """The last client that came over IPv4 under its own address."""
        return next((c for c in reversed(self.clients) if isinstance(ip_address(c), IPv4Address) and not inner(c)), "")

    @property
    def gateway(self) -> str:
        """The inner address in whose name strangers come in; the host itself may knock from there, too."""
        return self.strangers[-1] if self.strangers else ""

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        facts = {
            "IPv4 clients": self.ipv4 or "none seen",
            "IPv6 clients": self.ipv6 or "none seen",
            "strangers under an inner address": self.gateway or "none seen",
            "the log": self.unseen or "read",
            "our own connection over IPv6": self.knocked,
        }
        return "who came to port 25", ("what", "seen"), [(k, v) for k, v in facts.items() if v]

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, tuple(columns), tuple(tuple(r) for r in rows)).data()


def parse(log: str, own: Sequence[str] = ()) -> Arrivals:
    """The clients of port 25 in a log; `own` are the server's names and addresses, whose visits say nothing."""
    events = [e for e in maillog.parse(log) if DOOR.match(e.program)]
    clients = tuple(_clients(events, own))
    helos = (NAMED.search(e.text) for e in events)
    strangers = (m["address"] for m in helos if m and inner(m["address"]) and _stranger(m["helo"], own))
    return Arrivals(clients, tuple(dict.fromkeys(strangers)))


def _clients(events: Sequence[maillog.Event], own: Sequence[str]) -> Iterator[str]:
    for event in events:
        came = CAME.match(event.text)
        if came and came["address"] not in own and not _loopback(came["address"]):
            yield came["address"]


def inner(address: str) -> bool:
    """Whether an address is of a network behind some router, as bridges of containers are."""
    found = ip_address(address)
    return any(found.version == network.version and found in network for network in INNER)


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return True  # no address at all


def _stranger(helo: str, own: Sequence[str]) -> bool:
    """Whether a HELO name is one of the outside: checks of the host itself say a literal, or nobody's name."""
    return not NOBODY.fullmatch(helo) and helo.lower() not in own


def observe(site: Site, log: Callable[[], str], port: int = smtplib.SMTP_PORT, settles: float = SETTLES) -> Arrivals:
    """The clients in the server's log, which `log()` gives; where it names none over IPv6, this machine may be one.

    A connection is tried only where `test.smtp25` lets this machine speak to port 25: it greets and says QUIT.
    """
    own = [o for o in (site.server.hostname, site.server.ipv4, site.server.ipv6) if o]
    try:
        seen = parse(log(), own)
    except RunbookError as error:
        return Arrivals(unseen=f"the mail log cannot be read: {error}")
    if seen.ipv6 or not site.server.ipv6 or not site.test.smtp25:
        return seen
    knocked = _knock(site, site.server.ipv6, port)
    if not knocked.startswith("greeted"):
        return replace(seen, knocked=knocked)
    time.sleep(settles)
    again = parse(log(), own)
    return _concluded(seen, replace(again, knocked=knocked))


def _knock(site: Site, address: str, port: int) -> str:
    where = Endpoint(site.server.hostname, port, "none", None)
    try:
        with closing(endpoint.smtp(where, endpoint.local_dial, address, POSTSCREEN_SECONDS)) as client:
            client.quit()
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        return f"not possible from here: {error}"
    return "greeted"


def _concluded(before: Arrivals, after: Arrivals) -> Arrivals:
    """What the log says of our own connection: whoever came since under an inner address was it."""
    since = after.clients[len(before.clients) :] if after.clients[: len(before.clients)] == before.clients else ()
    masked = next((c for c in reversed(since) if inner(c)), "")
    if after.ipv6 or not masked:
        return after
    return replace(after, strangers=(*after.strangers, masked), knocked=f"greeted, and logged as {masked}")


def wanted(site: Site, arrivals: Arrivals) -> Iterator[Wanted]:
    """The AAAA record of the mail host, held until a client over IPv6 was seen as itself."""
    if site.server.ipv6:
        yield ipv6(site, site.server.ipv6, held(site, arrivals))


def held(site: Site, arrivals: Arrivals) -> Held | None:
    """Why the AAAA record has to wait; None: the log speaks for it."""
    if arrivals.ipv6:
        return None
    if arrivals.unseen:
        return Held(arrivals.unseen, "let 04-dns read the mail log", lacking=Status.UNKNOWN)
    if arrivals.gateway:
        why = f"strangers come in as {arrivals.gateway} and not as themselves, so the SPF of good mail fails"
        fix = (
            "take AAAA out until port 25 sees true addresses: give the mail server's Docker network IPv6 (enable_ipv6 "
            "and a subnet, ip6tables on), then connect over IPv6 once and run again"
        )
        return Held(why, fix, standing=Status.FAIL)
    or_here = "" if site.test.smtp25 else ", or let this machine do it (test.smtp25: true)"
    fix = f"connect to [{site.server.ipv6}]:25 from another network and say QUIT{or_here}; then run again"
    tried = f"; our own connection: {arrivals.knocked}" if arrivals.knocked else ""
    return Held(f"no client over IPv6 in the server's log yet{tried}", fix)
