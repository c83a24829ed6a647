"""What a stranger sees: ports, banners, and the certificate served."""

from __future__ import annotations

import ssl
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from runbooklib import endpoint
from runbooklib.endpoint import CertificateError, Endpoint, NoStartTlsError, Tls, TlsError, UnreachableError
from runbooklib.params import MAILCOW, POSTFIX, Site

SMTP = 25
PORTS: dict[int, Tls] = {SMTP: "starttls", 143: "starttls", 465: "implicit", 587: "starttls", 993: "implicit"}
IMAP = {143, 993}
# What 05 uses; what else is open there is the choice of whoever set the server up.
NEEDED = {MAILCOW: (25, 465, 587, 993), POSTFIX: (25, 587, 993)}
SECONDS = 8.0  # a firewall that drops says nothing for ever; a postscreen greets after 6


def ports(site: Site) -> tuple[int, ...]:
    """The mail ports that must be open."""
    return NEEDED.get(site.mail.server, tuple(PORTS))


def endpoints(site: Site) -> list[Endpoint]:
    """The mail ports this machine may try."""
    allowed = [port for port in ports(site) if port != SMTP or site.test.smtp25]
    return [Endpoint(site.server.hostname, port, PORTS[port], site.mail.tls.ca) for port in allowed]


def port(where: Endpoint, address: str) -> dict[str, str]:
    """Whether a port is open, refused or dropped, and what it says first."""
    try:
        with closing(endpoint.connect(replace(where, tls="none"), endpoint.local_dial, address, SECONDS)) as sock:
            banner = "" if where.tls == "implicit" else sock.recv(512).decode(errors="replace")
    except UnreachableError as error:
        state = "dropped" if error.dropped else "refused" if error.refused else str(error)
        return {"state": state, "banner": ""}
    except OSError as error:
        return {"state": "open", "banner": f"(nothing said: {error})"}
    return {"state": "open", "banner": banner.partition("\r")[0]}


def tls(where: Endpoint, address: str) -> dict[str, Any]:
    """The days the served certificate has left, or why a client refuses it.

    Raises UnreachableError or GreetingError when there is nothing to judge.
    """
    try:
        return {"days": _days(where, address)}
    except CertificateError as error:
        return {"refused": error.reason, "said": str(error)}
    except NoStartTlsError as error:
        return {"refused": "no STARTTLS", "said": str(error)}
    except TlsError as error:
        return {"refused": "no TLS", "said": str(error)}


def _days(where: Endpoint, address: str) -> int:
    if where.port in IMAP:
        with endpoint.leaving(endpoint.imap(where, endpoint.local_dial, address, SECONDS)) as mail:
            return days_left(mail.sock)
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, address, SECONDS + SECONDS)) as client:
        return days_left(client.sock)


def days_left(sock: object) -> int:
    """Whole days until the verified peer's certificate expires."""
    peer = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    if not peer:
        raise TlsError("no certificate was shown")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(peer["notAfter"])), UTC)
    return (ends - datetime.now(UTC)).days
