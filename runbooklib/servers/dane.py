"""The TLSA record that pins the key of the mail server's certificate, where params ask for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from runbooklib import endpoint
from runbooklib.dmarc.suffixes import registered
from runbooklib.endpoint import EndpointError, NameMissingError, ResolverError
from runbooklib.params import Site
from runbooklib.places import locate
from runbooklib.records import TTL, Held, Wanted
from runbooklib.results import Status
from runbooklib.servers.files import FileFact
from runbooklib.servers.materials import material

Pins = Callable[[Site], Sequence[frozenset[str]]]
REF = "RFC 7672 3.1, RFC 7671 8.1"
WHY = "senders that validate DNSSEC take only this key at port 25"


def wanted(site: Site, certificate: bytes | None, *, validated: bool | None) -> Wanted:
    """`3 1 1`, the SHA-256 of the key that is shown today (RFC 7672 3.1), and of the next one where params name it.

    Held where nobody would look, or where a renewal would leave senders with the wrong key.
    """
    name, held = _name(site), _held(site, validated)
    if certificate is None:
        return Wanted(name, "TLSA", (), TTL, WHY, REF, "", "01-bootstrap", advisory=True)
    if validated is not True:  # a pin that stands in an unsigned zone is nobody's concern, whatever it says
        return Wanted(name, "TLSA", (), TTL, WHY, REF, "", advisory=True, held=held)
    pins, why = [digest(certificate)], WHY
    if site.mail.tls.next_key and not held:
        pins.append(_fingerprint(_public(_pem(site.mail.tls.next_key))))
        why += f"; the next key may be served once its pin has stood for two TTLs, {2 * (site.dns.ttl or TTL)} s"
    values = tuple(f"3 1 1 {pin}" for pin in dict.fromkeys(pins))
    return Wanted(name, "TLSA", values, TTL, why, REF, "", advisory=True, kept=site.mail.tls.key_kept, held=held)


def _name(site: Site) -> str:
    return f"_25._tcp.{site.server.hostname}"


def _held(site: Site, validated: bool | None) -> Held | None:
    """Why not yet: the zone, or the next renewal."""
    if validated is None:
        why = "no resolver says whether the zones are signed"
        return Held(why, "see the rows of the stage's beginning", lacking=Status.UNKNOWN)
    if not validated:
        why = (
            "no resolver validates the MX and the host's zone, and where they do not nobody looks for it (RFC 7672 2.2)"
        )
        return Held(why, "have the zone signed and its DS published, or take tlsa out of dns.optional")
    if site.mail.tls.key_kept:
        return None
    if not site.mail.tls.next_key:
        why = "a renewal with another key would stop the mail of senders that validate"
        fix = (
            "have renewals keep the key and say mail.tls.key_kept: true (certbot: --reuse-key; mailcow keeps it), or "
            "name the key to come in mail.tls.next_key"
        )
        return Held(why, fix)
    try:
        _public(_pem(site.mail.tls.next_key))
    except (OSError, ValueError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it holds no PEM of a key or certificate"
        return Held(f"mail.tls.next_key cannot be read: {said}", "name a PEM file on this machine", Status.UNKNOWN)
    return None


def standing(site: Site) -> list[frozenset[str]]:
    """The pins that each resolver tells of; none where the zones are not validated, as nobody looks for them there.

    Raises ResolverError where no resolver says anything.
    """
    if validated(site) is False:
        return []
    told = [_pins(site, resolver) for resolver in site.dns.resolvers]
    if not any(pins is not None for pins in told):
        raise ResolverError(f"no usable answer from {', '.join(site.dns.resolvers)}")
    return [pins for pins in told if pins is not None]


def _pins(site: Site, resolver: str) -> frozenset[str] | None:
    """What one resolver says; None where it says nothing."""
    try:
        return frozenset(record.to_text() for record in endpoint.lookup(_name(site), "TLSA", [resolver]))
    except NameMissingError:
        return frozenset()
    except ResolverError:
        return None


def unlisted(site: Site, there: FileFact | None, pins: Pins = standing) -> Iterator[str]:
    """Why the key in params must not take the place of the one `there` yet: senders hold pins that do not list it.

    Nobody can say since when a pin stands; what no resolver has is too new for sure (RFC 7671 8.1).
    """
    name, key = _name(site), site.mail.tls.key
    if there is None or not key or "tlsa" not in site.dns.optional:
        return
    pem = material(key)
    if hashlib.sha256(pem).hexdigest() == there.digest:
        return
    try:
        ours, told = f"3 1 1 {_fingerprint(_public(pem))}", pins(site)
    except ResolverError as error:
        yield f"nobody says whether {name} TLSA lists the key in {key}, which is another than the server's: {error}"
    except (ValueError, TypeError):
        yield f"{key} holds no PEM of a key without password, so nobody can say whether {name} TLSA lists it"
    else:
        if any(said and ours not in said for said in told):
            yield (
                f"{name} TLSA does not list the key in {key} at every resolver, and senders that validate would keep "
                f"their mail: leave the old certificate and key in params, name the new key in mail.tls.next_key, walk "
                f"04-dns, and upload it two TTLs later, {2 * (site.dns.ttl or TTL)} s"
            )


def _pem(path: str) -> bytes:
    return locate(path).read_bytes()


def _public(pem: bytes) -> PublicKeyTypes:
    """The public half of what a PEM file holds: a certificate, a public key, or a private one without password.

    Raises ValueError or TypeError.
    """
    if b"-----BEGIN CERTIFICATE-----" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    if b"PRIVATE KEY-----" in pem:
        return load_pem_private_key(pem, None).public_key()
    return load_pem_public_key(pem)


def validated(site: Site) -> bool | None:
    """Whether resolvers validate the zone of the host and of a mail domain; None: nobody can tell.

    Asked of the zones' SOA records: the MX and addresses themselves may not stand yet, and to ask resolvers for what
    does not stand makes them remember that.
    """
    try:
        host = endpoint.validated(existing(site.server.hostname), "SOA", site.dns.resolvers)
        return host and any(endpoint.validated(d.name, "SOA", site.dns.resolvers) for d in site.domains)
    except EndpointError:
        return None


def existing(host: str) -> str:
    """A name in the zone of a host that stands whether or not the host does: the one above it, or its own apex."""
    return host if registered(host) == host else host.partition(".")[2]


def digest(certificate: bytes) -> str:
    """Selector 1, matching type 1: SHA-256 of the SubjectPublicKeyInfo (RFC 6698 2.1.2, 2.1.3)."""
    return _fingerprint(x509.load_der_x509_certificate(certificate).public_key())


def _fingerprint(key: PublicKeyTypes) -> str:
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
