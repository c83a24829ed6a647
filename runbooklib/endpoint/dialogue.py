"""An SMTP client that has greeted and speaks verified TLS, and one login by it."""

from __future__ import annotations

import base64
import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from runbooklib.credentials import Secret, Token
from runbooklib.endpoint import refusals
from runbooklib.endpoint.connection import Dial, Endpoint, connect, context, tls_error
from runbooklib.endpoint.errors import (
    AUTHENTICATED,
    CONTINUE,
    OK,
    PERMANENT,
    SERVICE_READY,
    TEMPORARY,
    EndpointError,
    GreetingError,
    LoginError,
    NoStartTlsError,
)
from runbooklib.results import Status

HELO = "runbook.invalid"  # RFC 6761 6.4: nobody's name; submission asks for none that resolves


class _Smtp(smtplib.SMTP):
    """smtplib on a connection that was dialled elsewhere, perhaps from the server."""

    def __init__(self, endpoint: Endpoint, dial: Dial, address: str, timeout: float, helo: str) -> None:
        self._open: Callable[[], socket.socket] = partial(connect, endpoint, dial, address, timeout)
        super().__init__(endpoint.host, endpoint.port, helo, timeout)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        del host, port, timeout
        return self._open()


def smtp(endpoint: Endpoint, dial: Dial, address: str, timeout: float = 15, local_hostname: str = HELO) -> smtplib.SMTP:
    """An SMTP client that has greeted and, unless tls is none, speaks verified TLS.

    A postscreen in front greets new clients after 6 s: give port 25 more than 8. Raises EndpointError.
    """
    try:
        client = _Smtp(endpoint, dial, address, timeout, local_hostname)
    except smtplib.SMTPResponseException as error:
        raise GreetingError(f"{endpoint}: {reply(error.smtp_code, error.smtp_error)}", error.smtp_code) from None
    except OSError as error:
        raise GreetingError(f"{endpoint}: connected, then {silence(error)}") from None
    try:
        _greet(endpoint, client)
    except EndpointError:
        client.close()
        raise
    return client


def _greet(endpoint: Endpoint, client: smtplib.SMTP) -> None:
    _ehlo(endpoint, client)
    if endpoint.tls == "starttls":
        _start_tls(endpoint, client)
        _ehlo(endpoint, client)  # RFC 3207 4.2: what was said before TLS is forgotten


def _ehlo(endpoint: Endpoint, client: smtplib.SMTP) -> None:
    try:
        code, said = client.ehlo()
    except OSError as error:
        raise GreetingError(f"{endpoint}: connected, then {silence(error)}") from None
    if code != OK:
        raise GreetingError(f"{endpoint}: EHLO answered {reply(code, said)}", code)


def _start_tls(endpoint: Endpoint, client: smtplib.SMTP) -> None:
    if not client.has_extn("starttls"):
        raise NoStartTlsError(f"{endpoint}: STARTTLS is not offered")
    try:
        code, said = client.starttls(context=context(endpoint.ca))
    except smtplib.SMTPResponseException as error:
        raise _refused(endpoint, error.smtp_code, error.smtp_error) from None
    except OSError as error:
        raise tls_error(endpoint, error) from None
    if code != SERVICE_READY:
        raise _refused(endpoint, code, said)


def _refused(endpoint: Endpoint, code: int, said: bytes | str) -> NoStartTlsError:
    return NoStartTlsError(f"{endpoint}: STARTTLS refused: {reply(code, said)}", code)


def silence(error: Exception) -> str:
    """How a dialogue ended that got no answer."""
    silent = isinstance(error, TimeoutError) or "timed out" in str(error)  # smtplib wraps it in an error of its own
    return "said nothing in time" if silent else f"broke off: {error}"


def reply(code: int, said: bytes | str) -> str:
    """An SMTP reply on one line."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}"


def login(client: smtplib.SMTP, username: str, password: Secret) -> None:
    """Logs in once, by XOAUTH2 where the secret is a token, else by PLAIN or LOGIN.

    smtplib's own login tries on with every mechanism, which gets one banned. Raises LoginError.
    """
    mechanism = _mechanism(client, token=isinstance(password, Token))
    try:
        code, said = mechanism(client, username, password.reveal())
    except OSError as error:
        raise LoginError(f"login as {username}: {silence(error)}", Status.UNKNOWN) from None
    if code != AUTHENTICATED:
        raise _not_let_in(code, said, username, password)


def _mechanism(client: smtplib.SMTP, *, token: bool) -> Mechanism:
    offered = client.esmtp_features.get("auth", "").upper().split()
    ways = {"XOAUTH2": _xoauth2} if token else MECHANISMS
    found = next((ways[m] for m in ways if m in offered), None)
    if found is not None:
        return found
    fix = "have the service offer PLAIN or LOGIN inside TLS, or use a port of it that does (587, 465)"
    if token:
        fix = "name a password instead, with password:"
    elif "XOAUTH2" in offered:
        fix = "the service takes OAuth tokens only: name one with oauth: instead of password:"
    raise LoginError(f"no login by {' or '.join(ways)} offered, only {', '.join(offered) or 'none'}", fix=fix)


def _not_let_in(code: int, said: bytes, username: str, password: Secret) -> LoginError:
    later = TEMPORARY <= code < PERMANENT  # RFC 4954 6: 454 may pass by itself
    words = reply(code, said)
    found = refusals.reason(words)
    status = Status.UNKNOWN if later else (found and found.status) or Status.FAIL
    fix = refusals.EXPIRED.format(reference=password) if isinstance(password, Token) and not later else ""
    return LoginError(f"login as {username}: {words}", status, found.fix if found else fix, refused=code >= PERMANENT)


def _plain(client: smtplib.SMTP, username: str, password: str) -> tuple[int, bytes]:
    credentials = _encoded(f"\0{username}\0{password}")  # RFC 4616 2
    code, said = client.docmd("AUTH", f"PLAIN {credentials}")
    return client.docmd(credentials) if code == CONTINUE else (code, said)


def _login(client: smtplib.SMTP, username: str, password: str) -> tuple[int, bytes]:
    code, said = client.docmd("AUTH", f"LOGIN {_encoded(username)}")
    return client.docmd(_encoded(password)) if code == CONTINUE else (code, said)


def _xoauth2(client: smtplib.SMTP, username: str, token: str) -> tuple[int, bytes]:
    """A refusal comes as a challenge that tells why and wants an empty answer (RFC 7628 3.2.3)."""
    code, said = client.docmd("AUTH", f"XOAUTH2 {_encoded(bearer(username, token))}")
    if code != CONTINUE:
        return code, said
    code, refused = client.docmd("")
    return code, b"; ".join(filter(None, [refused, refusals.challenge(said).encode()]))


def bearer(username: str, token: str) -> str:
    """What XOAUTH2 says first, the same over IMAP; RFC 7628 3.1 is the standard that came of it."""
    return f"user={username}\1auth=Bearer {token}\1\1"


def _encoded(text: str) -> str:
    """RFC 4616 2: what is not ASCII is UTF-8; smtplib's own would refuse it."""
    return base64.b64encode(text.encode()).decode()


Mechanism = Callable[[smtplib.SMTP, str, str], tuple[int, bytes]]
MECHANISMS: dict[str, Mechanism] = {"PLAIN": _plain, "LOGIN": _login}


@contextmanager
def ending(client: smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    """Says QUIT at the end; how that is answered changes nothing."""
    try:
        yield client
    finally:
        with suppress(OSError):
            client.quit()
        client.close()
