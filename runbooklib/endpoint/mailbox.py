"""An IMAP client that has greeted and speaks verified TLS, one login by it, and a folder opened."""

from __future__ import annotations

import imaplib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version

from runbooklib.credentials import Secret, Token
from runbooklib.endpoint import refusals
from runbooklib.endpoint.connection import Dial, Endpoint, connect, context, tls_error
from runbooklib.endpoint.dialogue import bearer, silence
from runbooklib.endpoint.errors import EndpointError, FolderError, GreetingError, LoginError, NoStartTlsError
from runbooklib.results import Status

NAME = "mail-runbooks"


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
    except EndpointError:
        with suppress(OSError):
            client.shutdown()
        raise
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


def imap_login(client: imaplib.IMAP4, username: str, password: Secret, *, identify: bool = False) -> None:
    """Logs in once, by XOAUTH2 where the secret is a token, and says who we are where that is offered or wished.

    Raises LoginError.
    """
    told: list[bytes] = []
    try:
        _authenticate(client, username, password, told)
    except (imaplib.IMAP4.error, OSError) as error:
        raise _refused(error, username, password, told) from None
    with suppress(imaplib.IMAP4.error, OSError):  # the login stands; what is broken shows at the next command
        if identify or _offers_id(client):
            client.xatom("ID", _identity())


def _authenticate(client: imaplib.IMAP4, username: str, password: Secret, told: list[bytes]) -> None:
    offered = client.capabilities
    if isinstance(password, Token):
        _offered(client, "AUTH=XOAUTH2", "no OAuth tokens (XOAUTH2)", "name a password instead, with password:")
        client.authenticate("XOAUTH2", _saying(bearer(username, password.reveal()), told))
    elif "AUTH=PLAIN" in offered:
        client.authenticate("PLAIN", _saying(f"\0{username}\0{password.reveal()}", told))
    elif "LOGINDISABLED" in offered:  # RFC 9051 6.2.3
        fix = "name a token with oauth: where it offers XOAUTH2, or let that service offer a login inside TLS"
        ways = ", ".join(c for c in offered if c.startswith("AUTH=")) or "none"
        raise LoginError(
            f"IMAP login as {username}: LOGIN is disabled there, and PLAIN not offered, only {ways}", fix=fix
        )
    else:
        client.login(_quoted(username), _ascii(password.reveal()))


def _offered(client: imaplib.IMAP4, capability: str, what: str, fix: str) -> None:
    if capability not in client.capabilities:
        raise LoginError(f"{client.host} takes {what} over IMAP", fix=fix)


def _saying(answer: str, told: list[bytes]) -> Callable[[bytes], bytes]:
    """Answers the first challenge; a second one tells why the first answer was no good, and wants an empty one."""

    def respond(said: bytes) -> bytes:
        told.append(said)
        return answer.encode() if len(told) == 1 else b""

    return respond


def _quoted(text: str) -> str:
    """RFC 9051 4.3; imaplib quotes the password only."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ascii(password: str) -> str:
    if not password.isascii():
        raise LoginError("the password has letters outside ASCII, and the service offers only LOGIN, which has none")
    return password


def _refused(error: Exception, username: str, password: Secret, told: list[bytes]) -> LoginError:
    said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
    lost = isinstance(error, imaplib.IMAP4.abort | OSError)
    why = refusals.challenge(told[-1]) if len(told) > 1 else ""
    found = refusals.reason(said)
    status = Status.UNKNOWN if lost else (found and found.status) or Status.FAIL
    fix = refusals.EXPIRED.format(reference=password) if isinstance(password, Token) and not lost else ""
    shown = "; ".join(filter(None, [said, why]))
    refused = status is Status.FAIL
    return LoginError(f"IMAP login as {username}: {shown}", status, found.fix if found else fix, refused=refused)


def _offers_id(client: imaplib.IMAP4) -> bool:
    """Whether ID stands among the capabilities, of which some are told only to who has logged in (RFC 9051 6.1.1)."""
    return "ID" in client.capabilities or b"ID" in (client.capability()[1][0] or b"").upper().split()


def _identity() -> str:
    """Who we are, and nothing of who uses us (RFC 2971 3.3)."""
    return f'("name" "{NAME}" "version" "{_version()}")'


def _version() -> str:
    try:
        return version(NAME)
    except PackageNotFoundError:
        return "0"


def examine(client: imaplib.IMAP4, folder: str = "INBOX") -> None:
    """Opens a folder, its name as IMAP writes it, so that nothing in it is changed.

    Raises FolderError with the server's words, and imaplib's errors where the connection broke.
    """
    status, said = client.select(folder, readonly=True)
    if status != "OK":
        words = b" ".join(part for part in said if part).decode(errors="replace")
        found = refusals.reason(words)
        raise FolderError(f"{client.host}: {folder} cannot be opened: {words}", found.fix if found else "")


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
