"""An IMAP client that has greeted and speaks verified TLS, and one login by it."""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from runbooklib.credentials import Secret
from runbooklib.endpoint.connection import Dial, Endpoint, connect, context, tls_error
from runbooklib.endpoint.dialogue import silence
from runbooklib.endpoint.errors import GreetingError, LoginError, NoStartTlsError
from runbooklib.results import Status


class _Imap(imaplib.IMAP4):
    """imaplib on a connection that is already there."""

    def __init__(self, sock: socket.socket, endpoint: Endpoint, timeout: float) -> None:
        self._opened = sock
        super().__init__(endpoint.host, endpoint.port, timeout)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        del timeout
        return self._opened


def imap(endpoint: Endpoint, dial: Dial, address: str, timeout: float = 15) -> imaplib.IMAP4:
    """An IMAP client that has greeted and, unless tls is none, speaks verified TLS.

    Raises EndpointError.
    """
    sock = connect(endpoint, dial, address, timeout)
    try:
        client = _Imap(sock, endpoint, timeout)
        if endpoint.tls == "starttls":
            _start_imap_tls(endpoint, client)
    except (imaplib.IMAP4.error, OSError) as error:
        sock.close()
        raise GreetingError(f"{endpoint}: connected, then {silence(error)}") from None
    return client


def _start_imap_tls(endpoint: Endpoint, client: imaplib.IMAP4) -> None:
    if "STARTTLS" not in client.capabilities:
        raise NoStartTlsError(f"{endpoint}: STARTTLS is not offered")
    try:
        client.starttls(context(endpoint.ca))
    except ssl.SSLError as error:
        raise tls_error(endpoint, error) from None


def imap_login(client: imaplib.IMAP4, username: str, password: Secret) -> None:
    """Logs in once.

    Raises LoginError.
    """
    try:
        _authenticate(client, username, password.reveal())
    except (imaplib.IMAP4.error, OSError) as error:
        said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        lost = isinstance(error, imaplib.IMAP4.abort | OSError)
        raise LoginError(f"IMAP login as {username}: {said}", Status.UNKNOWN if lost else Status.FAIL) from None


def _authenticate(client: imaplib.IMAP4, username: str, password: str) -> None:
    if "AUTH=PLAIN" in client.capabilities:
        client.authenticate("PLAIN", lambda _: f"\0{username}\0{password}".encode())
    else:
        client.login(username, password)


@contextmanager
def leaving(client: imaplib.IMAP4) -> Iterator[imaplib.IMAP4]:
    """Says LOGOUT at the end; how that is answered changes nothing."""
    try:
        yield client
    finally:
        with suppress(imaplib.IMAP4.error, OSError):
            client.logout()
        with suppress(OSError):
            client.shutdown()
