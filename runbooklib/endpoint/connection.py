"""A TCP connection to a mail service, dialled from wherever, and TLS that verifies chain and name."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from runbooklib.endpoint.errors import CertificateError, EndpointError, GreetingError, TlsError, UnreachableError
from runbooklib.places import locate

Dial = Callable[[str, int, float], socket.socket]  # address, port, timeout in seconds; raises OSError
Tls = Literal["starttls", "implicit", "none"]
Client = TypeVar("Client")


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens, how TLS begins there, and the CA to trust (None: the public ones)."""

    host: str
    port: int
    tls: Tls
    ca: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def local_dial(address: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection from this machine."""
    return socket.create_connection((address, port), timeout)


def connect(endpoint: Endpoint, dial: Dial, address: str, timeout: float = 15) -> socket.socket:
    """A TCP connection to one address of the endpoint, inside TLS when TLS is implicit.

    Raises UnreachableError, GreetingError, TlsError or CertificateError.
    """
    where = f"{endpoint} [{address}]"
    try:
        sock = dial(address, endpoint.port, timeout)
    except TimeoutError:
        raise UnreachableError(f"{where}: no answer (dropped)", dropped=True) from None
    except ConnectionRefusedError:
        raise UnreachableError(f"{where}: connection refused", refused=True) from None
    except OSError as error:
        raise UnreachableError(f"{where}: {error.strerror or error}") from None
    return secure(endpoint, sock) if endpoint.tls == "implicit" else sock


def secure(endpoint: Endpoint, sock: socket.socket) -> ssl.SSLSocket:
    """The connection inside TLS, its certificate verified against the endpoint's name.

    Raises GreetingError, TlsError or CertificateError.
    """
    try:
        return context(endpoint.ca).wrap_socket(sock, server_hostname=endpoint.host)
    except OSError as error:
        sock.close()
        raise tls_error(endpoint, error) from None


def context(ca: str | None) -> ssl.SSLContext:
    """TLS that verifies chain and name, trusting this CA file, or the public CAs when there is none."""
    return ssl.create_default_context(cafile=str(locate(ca)) if ca else None)


X509_V_ERR = {9: "not yet valid", 10: "expired", 62: "wrong name", 64: "wrong name"}  # OpenSSL's verify codes
NO_RECORD = {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}  # OpenSSL reads text as TLS


def tls_error(endpoint: Endpoint, error: OSError) -> EndpointError:
    """What broke a handshake, in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = X509_V_ERR.get(error.verify_code, "unknown CA")
        return CertificateError(f"{endpoint}: certificate refused, {reason}: {error.verify_message}", reason)
    if isinstance(error, TimeoutError):
        return GreetingError(f"{endpoint}: no TLS answer in time")
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    return TlsError(f"{endpoint}: no TLS handshake: {reason}", plaintext=reason in NO_RECORD)


def first(addresses: Sequence[str], attempt: Callable[[str], Client]) -> Client:
    """What `attempt(address)` gives for the first address that can be connected to.

    Raises the last UnreachableError, or at once whatever else an address answers.
    """
    *others, last = addresses
    for address in others:
        try:
            return attempt(address)
        except UnreachableError:
            continue
    return attempt(last)
