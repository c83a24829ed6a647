"""Small real servers on loopback that say what a script tells them, and certificates for their TLS."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

START_TLS = "<TLS>"  # a line of a script: from here on inside TLS
SILENCE = "<silence>"


@dataclass
class Script:
    """Says its lines, one after each line it hears, to every client; `heard` holds what it heard."""

    lines: Sequence[str]
    tls: ssl.SSLContext | None = None
    implicit: bool = False
    heard: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        script = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                script._talk(self.request)

        self.done = threading.Event()
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.server.shutdown()
        self.server.server_close()  # waits for every client's thread

    def _talk(self, sock: socket.socket) -> None:
        with suppress(OSError):
            if self.implicit:
                sock = self._wrap(sock)
            for line, following in zip(self.lines, [*self.lines[1:], ""], strict=True):
                if line == SILENCE:
                    self.done.wait(10)
                elif line == START_TLS:
                    sock = self._wrap(sock)
                else:
                    sock.sendall(line.replace("\n", "\r\n").encode() + b"\r\n")
                if following != START_TLS:  # what is heard next is the handshake's
                    self._hear(sock, b"\r\n.\r\n" if line.startswith("354") else b"\n")
        sock.close()

    def _wrap(self, sock: socket.socket) -> socket.socket:
        assert self.tls
        return self.tls.wrap_socket(sock, server_side=True)

    def _hear(self, sock: socket.socket, end: bytes) -> None:
        """Hears one line, or after a 354 a message up to its dot."""
        line = b""
        while not line.endswith(end):
            byte = sock.recv(1)
            if not byte:
                return
            line += byte
        self.heard.append(line.decode(errors="replace").strip())


@dataclass(frozen=True)
class Authority:
    """A CA made for a test, and certificates of it."""

    folder: Path
    name: str = "ca"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        path = self.folder / f"{self.name}.pem"
        if not path.exists():
            path.write_bytes(self._signed(self.name, self.key, 30, ca=True).public_bytes(Encoding.PEM))
        return str(path)

    def serving(self, host: str, days: int = 30) -> ssl.SSLContext:
        """TLS of a server with a certificate for `host` that is valid for `days` more."""
        key = ec.generate_private_key(ec.SECP256R1())
        path = self.folder / f"{host}.{days}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + self._signed(host, key, days, ca=False).public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(self, name: str, key: ec.EllipticCurvePrivateKey, days: int, *, ca: bool) -> x509.Certificate:
        ends = datetime.now(UTC) + timedelta(days=days)
        issuer = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(ends - timedelta(days=90))
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
            .add_extension(x509.SubjectAlternativeName([_alternative(name)]), critical=False)
            .add_extension(_usage(), critical=True)
            .sign(self.key, hashes.SHA256())
        )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage() -> x509.KeyUsage:
    allowed = dict.fromkeys(
        ["digital_signature", "key_cert_sign", "crl_sign"],
        True,
    )
    others = ["content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"]
    return x509.KeyUsage(**allowed, **dict.fromkeys([*others, "decipher_only"], False))
