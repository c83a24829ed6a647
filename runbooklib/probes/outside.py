"""What a stranger sees: ports, banners, and the certificate served."""

from __future__ import annotations

import ssl
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from runbooklib import endpoint
from runbooklib.endpoint import CertificateError, Endpoint, NoStartTlsError, Tls, TlsError, UnreachableError
from runbooklib.params import Site

PORTS: dict[int, Tls] = {25: "starttls", 143: "starttls", 465: "implicit", 587: "starttls", 993: "implicit"}
IMAP = {143, 993}
SECONDS = 8.0  # a firewall that drops says nothing for ever; a postscreen greets after 6


def ports(site: Site) -> list[int]:
    """The ports this machine may try."""
    return [port for port in PORTS if port != 25 or site.test.smtp25]  # noqa: PLR2004 - SMTP


def port(site: Site, number: int) -> dict[str, str]:
    """Whether a port is open, refused or dropped, and what it says first."""
    plain = Endpoint(site.server.hostname, number, "none")
    try:
        with closing(endpoint.connect(plain, endpoint.local_dial, site.server.ipv4, SECONDS)) as sock:
            banner = "" if PORTS[number] == "implicit" else sock.recv(512).decode(errors="replace")
    except UnreachableError as error:
        state = "dropped" if error.dropped else "refused" if error.refused else str(error)
        return {"state": state, "banner": ""}
    except OSError as error:
        return {"state": "open", "banner": f"(nothing said: {error})"}
    return {"state": "open", "banner": banner.partition("\r")[0]}


def tls(site: Site, number: int) -> dict[str, Any]:
    """The days the served certificate has left, or why a client refuses it.

    Raises UnreachableError or GreetingError when there is nothing to judge.
    """
    where = Endpoint(site.server.hostname, number, PORTS[number], site.mail.tls.ca)
    try:
        return {"days": _days(where, site.server.ipv4)}
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
