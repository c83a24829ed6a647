"""What a stranger sees: ports, banners, and the certificate served."""

from __future__ import annotations

import errno
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from runbooklib import endpoint
from runbooklib.endpoint import (
    CertificateError,
    Endpoint,
    NoStartTlsError,
    Tls,
    TlsError,
    UnreachableError,
)
from runbooklib.params import MAILCOW, POSTFIX, Site

SMTP = 25
PORTS: dict[int, Tls] = {SMTP: "starttls", 143: "starttls", 465: "implicit", 587: "starttls", 993: "implicit"}
IMAP = {143, 993}
# What 05 uses; what else is open there is the choice of whoever set the server up.
NEEDED = {MAILCOW: (25, 465, 587, 993), POSTFIX: (25, 587, 993)}
CONNECT_SECONDS = (
    4.0  # two lost packets are sent again within 3 (RFC 6298 2.1); a firewall that drops is silent for ever
)
SECONDS, PATIENCE = 8.0, 10.0  # a postscreen greets after 6, and then all of TLS is yet to come
# This machine's own want of a route, or of a right to send: nothing is known of the other side.
NO_WAY_OUT = {
    *(errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT),
    *(errno.EPERM, errno.EACCES, errno.EMFILE, errno.ENOBUFS),
}


def ports(site: Site) -> tuple[int, ...]:
    """The mail ports that must be open."""
    return NEEDED.get(site.mail.server, tuple(PORTS))


def endpoints(site: Site) -> list[Endpoint]:
    """The mail ports this machine may try."""
    allowed = [port for port in ports(site) if port != SMTP or site.test.smtp25]
    return [Endpoint(site.server.hostname, port, PORTS[port], site.mail.tls.ca) for port in allowed]


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Each mail port over IPv4, over IPv6 where the server has such an address, and the certificate served there."""
    tried = endpoints(site)
    for where in tried:
        yield f"port {where.port}", partial(port, where, site.server.ipv4)
        yield f"tls {where.port}", partial(tls, where, site.server.ipv4)
    for where in tried if site.server.ipv6 else tried[:1]:  # an AAAA that params do not know is one question's worth
        yield f"port6 {where.port}", partial(port6, site, where)


def port6(site: Site, where: Endpoint) -> dict[str, Any] | None:
    """The port over IPv6, at the address in params or else in DNS; None where there is no such address.

    Raises UnreachableError where this machine could not try, as without IPv6.
    """
    address = site.server.ipv6 or _published(site)
    return port(where, address) if address else None


def _published(site: Site) -> str:
    return next((found.to_text() for found in endpoint.lookup(site.server.hostname, "AAAA", site.dns.resolvers)), "")


def port(where: Endpoint, address: str, seconds: float = SECONDS) -> dict[str, Any]:
    """Whether a port is open, refused, dropped, silent or hung up on us; what it says first, and after how long.

    Raises UnreachableError where this machine could not try.
    """
    began = time.monotonic()
    try:
        with closing(endpoint.connect(replace(where, tls="none"), _dial, address, seconds)) as sock:
            connected = _since(began)
            state, banner = ("open", "") if where.tls == "implicit" else _greeting(sock)
    except UnreachableError as error:
        if _without_way_out(error):
            raise
        state = "dropped" if error.dropped else "refused" if error.refused else str(error)
        return {"state": state, "banner": "", "connected": None, "greeted": None}
    return {"state": state, "banner": banner, "connected": connected, "greeted": _since(began)}


def _without_way_out(error: UnreachableError) -> bool:
    cause = error.__context__  # what dialling raised
    return isinstance(cause, OSError) and cause.errno in NO_WAY_OUT


def _greeting(sock: socket.socket) -> tuple[str, str]:
    try:
        said = sock.recv(512).decode(errors="replace")
    except TimeoutError:
        return "silent", ""
    except OSError:
        return "hung up", ""
    return ("open", said.partition("\r")[0]) if said else ("hung up", "")


def _since(began: float) -> float:
    return round(time.monotonic() - began, 2)


def _dial(address: str, number: int, timeout: float) -> socket.socket:
    """A connection from this machine, with less patience for connecting than for what is said after that."""
    sock = endpoint.local_dial(address, number, min(timeout, CONNECT_SECONDS))
    sock.settimeout(timeout)
    return sock


def tls(where: Endpoint, address: str, patience: float = PATIENCE) -> dict[str, Any]:
    """The days the served certificate has left, or why a client refuses it.

    Raises UnreachableError or GreetingError when there is nothing to judge.
    """
    try:
        return {"days": _days(where, address, patience)}
    except CertificateError as error:
        return {"refused": error.reason, "said": str(error)}
    except NoStartTlsError as error:
        return {"refused": "no STARTTLS", "said": str(error)}
    except TlsError as error:
        return {"refused": "no TLS", "said": str(error)}


def _days(where: Endpoint, address: str, patience: float) -> int:
    if where.port in IMAP:
        with endpoint.leaving(endpoint.imap(where, _dial, address, patience)) as mail:
            return days_left(mail.sock)
    with endpoint.ending(endpoint.smtp(where, _dial, address, patience)) as client:
        return days_left(client.sock)


def days_left(sock: object) -> int:
    """Whole days until the verified peer's certificate expires."""
    peer = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    if not peer:
        raise TlsError("no certificate was shown")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(peer["notAfter"])), UTC)
    return (ends - datetime.now(UTC)).days
