"""The certificate that the server shows, and the records that rest on it: the pin of its key, who may issue it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import closing

from runbooklib import endpoint, host
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.records import Wanted
from runbooklib.servers import dane, issuers
from runbooklib.servers.recipients import POSTSCREEN_SECONDS

SUBMISSIONS = 465  # where port 25 cannot be asked: open to clients everywhere
SMTP = smtplib.SMTP_PORT


def records(site: Site) -> Iterator[Wanted]:
    """TLSA and CAA where params ask for them; without either nobody is asked."""
    asked = {"tlsa", "caa"} & set(site.dns.optional)
    certificate = shown(site) if asked else None
    if "tlsa" in asked:
        yield dane.wanted(site, certificate, validated=dane.validated(site))
    if "caa" in asked:
        yield issuers.wanted(site, certificate, issuers.above(site))


def shown(site: Site) -> bytes | None:
    """The certificate at port 25, which senders see, from the server's side or from here; else that of submission.

    Verified first: a key of somebody in between must not be pinned.
    """
    try:
        if site.mail.over_ssh:
            return _upgraded(site, host.connect(site).dial, "127.0.0.1")
        if site.test.smtp25:
            return _upgraded(site, endpoint.local_dial, site.server.ipv4)
        return implicit(site)
    except (EndpointError, HostError, OSError):
        return None


def _upgraded(site: Site, dial: endpoint.Dial, address: str) -> bytes | None:
    where = Endpoint(site.server.hostname, SMTP, "starttls", site.mail.tls.ca)
    with closing(endpoint.smtp(where, dial, address, POSTSCREEN_SECONDS)) as client:
        return _peer(client.sock)


def implicit(site: Site, port: int = SUBMISSIONS) -> bytes | None:
    """The certificate of a port where TLS begins at once.

    Raises EndpointError.
    """
    where = Endpoint(site.server.hostname, port, "implicit", site.mail.tls.ca)
    with endpoint.connect(where, endpoint.local_dial, site.server.ipv4) as sock:
        return _peer(sock)


def _peer(sock: object) -> bytes | None:
    return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
