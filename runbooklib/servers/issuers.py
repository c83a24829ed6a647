"""The CAA record that leaves the mail host's certificates to the CA that issues them, where params ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from runbooklib import endpoint
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.params import Site
from runbooklib.records import TTL, Held, Wanted
from runbooklib.results import Status

REF = "RFC 8659 4.2"
ISSUE = re.compile(r'\d+ issue "\s*([^\s;"]*)', re.IGNORECASE)
CAS = {  # by the organization in the issuer's name
    "Let's Encrypt": "letsencrypt.org",
    "Google Trust Services": "pki.goog",
    "DigiCert Inc": "digicert.com",
    "Sectigo Limited": "sectigo.com",
    "GlobalSign nv-sa": "globalsign.com",
    "Buypass AS-983163327": "buypass.com",
}


@dataclass(frozen=True)
class Above:
    """The CAA records that count for the host while it has none itself: the nearest above (RFC 8659 3)."""

    name: str = ""
    values: tuple[str, ...] = ()
    unseen: str = ""  # why nobody knows


def wanted(site: Site, certificate: bytes | None, above: Above) -> Wanted:
    """The CA of the certificate that is shown may issue; whoever else may today may tomorrow."""
    name, why = site.server.hostname, "no other CA issues a certificate for this name"
    issuer = site.mail.tls.issuer or (_issuer(certificate) if certificate else "")
    if not issuer:
        return Wanted(name, "CAA", (), TTL, why, REF, "", advisory=True, held=_unnamed(certificate))
    ours = f'0 issue "{issuer}"'
    values = (ours,) if above.name and issuer in _allowed(above.values) else (*above.values, ours)
    held = _held(ours, issuer, above)
    return Wanted(name, "CAA", values, TTL, why, REF, "", advisory=True, held=held)


def _unnamed(certificate: bytes | None) -> Held:
    why = (
        "no certificate was seen that verifies"
        if certificate is None
        else "the CA of the certificate is not known here"
    )
    return Held(why, "name the CA as its manual says for CAA: mail.tls.issuer, e.g. letsencrypt.org")


def _held(ours: str, issuer: str, above: Above) -> Held | None:
    """Nothing to publish where the names above leave it to the same CA already."""
    if above.unseen:
        return Held(above.unseen, "run again: a record here would hide the one above", lacking=Status.UNKNOWN)
    if not above.name or issuer not in _allowed(above.values):
        return None
    said = f"{above.name} says so for the names below it"
    return Held(said, f"add {ours} beside it: it hides what {above.name} says", Status.PASS, Status.PASS)


def _allowed(values: Sequence[str]) -> set[str]:
    return {m[1].lower() for v in values if (m := ISSUE.match(v))}


def _issuer(certificate: bytes) -> str:
    found = x509.load_der_x509_certificate(certificate).issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return next((CAS[str(each.value)] for each in found if str(each.value) in CAS), "")


def above(site: Site) -> Above:
    """What stands at the nearest name above the host; the host itself is asked later, by who holds it."""
    for name in _parents(site.server.hostname):
        try:
            found = endpoint.lookup(name, "CAA", site.dns.resolvers)
        except NameMissingError:
            continue
        except ResolverError as error:
            return Above(unseen=str(error))
        if found:
            return Above(name, tuple(sorted(record.to_text() for record in found)))
    return Above()


def _parents(name: str) -> Iterator[str]:
    while "." in (name := name.partition(".")[2]):
        yield name
