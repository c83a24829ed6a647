"""The TLSA record that pins the key of the mail server's certificate, where params ask for it."""

from __future__ import annotations

import hashlib
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from runbooklib import endpoint
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site
from runbooklib.records import TTL, Wanted

SUBMISSIONS = 465  # one certificate serves every port, and this one is open to clients everywhere
WHY = (
    "senders that validate DNSSEC take only this key at port 25; in an unsigned zone nobody looks. A certificate with "
    "another key needs its TLSA beside this one two TTLs before it is used"
)


def wanted(site: Site, port: int = SUBMISSIONS) -> tuple[Wanted, ...]:
    """`3 1 1`, the SHA-256 of the key in the certificate that is shown today (RFC 7672 3.1); nothing unless asked for.

    Without a value where no certificate was seen that verifies.
    """
    if "tlsa" not in site.dns.optional:
        return ()
    shown = _shown(site, port)
    values = (f"3 1 1 {digest(shown)}",) if shown else ()
    stage = "" if shown else "01-bootstrap"
    name = f"_25._tcp.{site.server.hostname}"
    return (Wanted(name, "TLSA", values, TTL, WHY, "RFC 7672 3.1, RFC 7671 8.1", "", stage, advisory=True),)


def _shown(site: Site, port: int) -> bytes | None:
    """The certificate a client gets, verified first: a key of somebody in between must not be pinned."""
    where = Endpoint(site.server.hostname, port, "implicit", site.mail.tls.ca)
    try:
        with endpoint.connect(where, endpoint.local_dial, site.server.ipv4) as sock:
            return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    except EndpointError:
        return None


def digest(certificate: bytes) -> str:
    """Selector 1, matching type 1: SHA-256 of the SubjectPublicKeyInfo (RFC 6698 2.1.2, 2.1.3)."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
