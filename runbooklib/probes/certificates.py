"""The certificates that Postfix and Dovecot serve, beside the file that they are told to serve.

The fact `certificates` holds for a port of each, for the `file`, and for the one that `params` name, the names, the
issuer, the days left, the seconds since it began and until it ends, both by the clock here, how many certificates
follow it, and the fingerprints of them all.
"""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from runbooklib import host
from runbooklib.params import Site
from runbooklib.probes import outside
from runbooklib.probes.mailflow import UnseenError
from runbooklib.servers import materials
from runbooklib.servers.docker_mailserver import layout

DAY = timedelta(days=1)
SECONDS = 3  # asked by the server itself
SUBMISSIONS, SMTP, IMAPS = 465, 25, 993
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
CONFIGURED = """{ postconf -xh smtpd_tls_chain_files smtpd_tls_cert_file
  doveconf -h ssl_cert; doveconf -h ssl_server_cert_file; } 2>/dev/null | tr ', <' '\\n\\n\\n' | grep ^/"""
ONLY_CERTIFICATES = "sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p'"  # of files that hold keys too


def in_container(site: Site) -> dict[str, Any]:
    """Of docker-mailserver: the file that stage 01 put on the server, of which the container has a copy."""
    source = shlex.quote(f"{site.mail.directory}/{layout.CERTIFICATE}")
    return _told(site, f"{ONLY_CERTIFICATES} {source}")


def on_host(site: Site) -> dict[str, Any]:
    """Of plain Postfix, and Dovecot beside it: the files that their settings name."""
    return _told(site, f'{CONFIGURED} | while read -r f; do {ONLY_CERTIFICATES} "$f"; done')


def _told(site: Site, file: str) -> dict[str, Any]:
    postfix = SUBMISSIONS if SUBMISSIONS in outside.ports(site) else SMTP
    told = host.connect(site).facts({str(port): _question(port) for port in (postfix, IMAPS)} | {"file": file})
    found = {name: described(answer.out) for name, answer in told.items() if PEM.search(answer.out)}
    if not found:
        raise UnseenError("the server was shown no certificate, and no file of one was found")
    return found | _given(site)


def _given(site: Site) -> dict[str, Any]:
    """The certificate that params name, on this machine."""
    if not site.mail.tls.certificate:
        return {}
    text = materials.material(site.mail.tls.certificate).decode(errors="replace")
    return {"params": described(text)} if PEM.search(text) else {}


def _question(port: int) -> str:
    begin = "-starttls smtp" if port == SMTP else ""
    return f"timeout {SECONDS} openssl s_client -connect 127.0.0.1:{port} {begin} -showcerts </dev/null 2>/dev/null"


def described(text: str) -> dict[str, Any]:
    """The first certificate of a PEM text in the words that people look for."""
    every = [x509.load_pem_x509_certificate(pem.encode()) for pem in PEM.findall(text)]
    leaf, *chain = every
    now = datetime.now(UTC)
    return {
        "names": _names(leaf),
        "issuer": leaf.issuer.rfc4514_string(),
        "own": leaf.issuer == leaf.subject,
        "days": int((leaf.not_valid_after_utc - now) / DAY),
        "begun": int((now - leaf.not_valid_before_utc).total_seconds()),
        "left": int((leaf.not_valid_after_utc - now).total_seconds()),
        "chain": len(chain),
        "sha256": [each.fingerprint(hashes.SHA256()).hex()[:16] for each in every],
    }


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(found.get_values_for_type(x509.DNSName))
