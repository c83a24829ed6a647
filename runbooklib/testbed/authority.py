"""The private CA and every key made new for a testbed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """A CA that signs for one testbed."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The CA's certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str, *addresses: str, lifetime: timedelta = LIFETIME) -> Pair:
        """A server certificate for one DNS name and any addresses, followed by the CA's own; one may be over."""
        names = [x509.DNSName(name), *(x509.IPAddress(ip_address(address)) for address in addresses)]
        key = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _draft(name, self.certificate.subject, key.public_key(), lifetime)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Pair(signed.public_bytes(serialization.Encoding.PEM).decode() + self.pem, private_pem(key))


def create() -> Authority:
    """A new CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail-runbooks testbed CA")])
    certificate = (
        _draft("", subject, key.public_key())
        .subject_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_ca_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def kept(certificate: str, key: str) -> Authority:
    """The CA of a testbed that runs, from its two PEM texts."""
    private = serialization.load_pem_private_key(key.encode(), None)
    return Authority(x509.load_pem_x509_certificate(certificate.encode()), cast("ec.EllipticCurvePrivateKey", private))


def _draft(
    name: str, issuer: x509.Name, public: ec.EllipticCurvePublicKey, lifetime: timedelta = LIFETIME
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    draft = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(lifetime, timedelta()) - timedelta(hours=1))
        .not_valid_after(now + lifetime)
    )
    return draft.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])) if name else draft


def _ca_usage() -> x509.KeyUsage:
    unused = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    return x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False, **dict.fromkeys(unused, False)
    )


def private_pem(key: PrivateKeyTypes) -> str:
    """A private key as unencrypted PKCS#8 PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@dataclass(frozen=True)
class SshKey:
    """An ed25519 key pair as OpenSSH writes it."""

    private: str
    public: str

    @property
    def fingerprint(self) -> str:
        """SHA256:… as `ssh-keygen -l` shows it."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def ssh_key() -> SshKey:
    """A new key for a host or a user."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return SshKey(private.decode(), public.decode())


@dataclass(frozen=True)
class DkimKey:
    """An RSA key and what is published of it."""

    private: str
    public: str  # base64

    @property
    def record(self) -> str:
        """The TXT text."""
        return f"v=DKIM1; k=rsa; p={self.public}"


def dkim_key() -> DkimKey:
    """A new 2048-bit DKIM key (RFC 6376 3.3.3, RFC 8301 3.2)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return DkimKey(private.decode(), base64.b64encode(public).decode())
