"""A mail service somewhere: its name resolved by the site's resolvers, dialled, greeted, its certificate verified.

EndpointError
├── NameMissingError   the resolvers say that the name, or an address for it, does not exist
├── ResolverError      no resolver gave an answer: timeout, SERVFAIL, REFUSED
├── UnreachableError   no TCP connection: dropped (silence), refused, or no route
├── GreetingError      connected, and the service would not talk
├── NoStartTlsError    STARTTLS is not offered, or was refused
├── TlsError           the handshake broke before a certificate could be judged
├── CertificateError   expired, not yet valid, wrong name, or of an unknown CA
└── LoginError         user or password refused, or no login offered
"""

from __future__ import annotations

import imaplib
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, TypeVar

import dns.exception
import dns.resolver
from dns.rdata import Rdata
from dns.rdtypes.ANY.TXT import TXT

from runbooklib.credentials import Secret
from runbooklib.places import locate
from runbooklib.results import RunbookError, Status

Dial = Callable[[str, int, float], socket.socket]  # address, port, timeout in seconds; raises OSError
Tls = Literal["starttls", "implicit", "none"]
Client = TypeVar("Client")

HELO = "runbook.invalid"  # RFC 6761 6.4: nobody's name; submission asks for none that resolves


SERVICE_READY, OK, PERMANENT = 220, 250, 500  # RFC 5321 4.2.1, 4.2.3


class EndpointError(RunbookError):
    """A service could not be spoken to; `status` tells *wrong* from *could not tell*, `fix` what to do."""

    status: Status = Status.FAIL
    fix: ClassVar[str] = ""


class NameMissingError(EndpointError):
    """NXDOMAIN, or NODATA for both A and AAAA."""

    fix = "correct the name, or publish its address record"


class ResolverError(EndpointError):
    """The resolvers gave no answer, so nothing is known about the name."""

    status = Status.UNKNOWN
    fix = "see whether dns.resolvers answer from this machine"


class UnreachableError(EndpointError):
    """No TCP connection; `dropped` when nothing came back at all."""

    status = Status.UNKNOWN
    fix = "check host and port, and the firewalls between here and there"

    def __init__(self, message: str, *, dropped: bool = False, refused: bool = False) -> None:
        super().__init__(message)
        self.dropped, self.refused = dropped, refused


class GreetingError(EndpointError):
    """The service connected and then refused (5xx), put us off (4xx) or fell silent; only the first is certain."""

    fix = "the reply says why; a 4xx passes by itself, try again later"

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = Status.FAIL if code >= PERMANENT else Status.UNKNOWN


class NoStartTlsError(EndpointError):
    """STARTTLS is not offered, or was refused, so nothing secret may be sent."""

    fix = "use a port that offers STARTTLS (587), or tls: implicit on 465; on the server, configure its certificate"


class TlsError(EndpointError):
    """The TLS handshake broke before there was a certificate to judge."""

    fix = "check that the port and tls: (starttls or implicit) belong together"


class CertificateError(EndpointError):
    """The certificate is not one to trust; `reason` is expired, not yet valid, wrong name or unknown CA."""

    fix = "install a valid certificate for that name there; name a private CA in `ca`"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LoginError(EndpointError):
    """The login was refused, or none is offered."""

    fix = "check username and password; some services want an app password or an authorisation code"


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


def resolve(name: str, resolvers: Sequence[str], timeout: float = 5) -> list[str]:
    """The addresses of `name`, A before AAAA, asked of these resolvers only; an address is itself.

    Raises NameMissingError or ResolverError; one family is enough when the other cannot be learnt.
    """
    if _is_address(name):
        return [name]
    found = [record.to_text() for record in lookup(name, "A", resolvers, timeout)]
    try:
        found += [record.to_text() for record in lookup(name, "AAAA", resolvers, timeout)]
    except ResolverError:
        if not found:
            raise
    if not found:
        raise NameMissingError(f"{name} has neither an A nor an AAAA record")
    return found


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def lookup(name: str, kind: str, resolvers: Sequence[str], timeout: float = 5) -> list[Rdata]:
    """The records of one type, asked of these resolvers only; none is an empty list.

    Raises NameMissingError (NXDOMAIN) or ResolverError (nothing is known).
    """
    asked = dns.resolver.Resolver(configure=False)
    asked.nameservers, asked.lifetime = list(resolvers), timeout
    try:
        answer = asked.resolve(name.rstrip(".") + ".", kind, raise_on_no_answer=False)
    except dns.resolver.NXDOMAIN:
        raise NameMissingError(f"{name} does not exist (NXDOMAIN)") from None
    except (dns.resolver.NoNameservers, dns.exception.Timeout) as error:
        silent = isinstance(error, dns.exception.Timeout)
        said = "no answer in time" if silent else "no usable answer (SERVFAIL or REFUSED)"
        raise ResolverError(f"{name} {kind}: {said} from {', '.join(resolvers)}") from None
    return list(answer.rrset or ())


def texts(name: str, resolvers: Sequence[str], timeout: float = 5) -> list[str]:
    """The TXT records of a name, each joined from its strings; a name that is not there has none.

    Raises ResolverError.
    """
    try:
        found = lookup(name, "TXT", resolvers, timeout)
    except NameMissingError:
        return []
    return [b"".join(record.strings).decode(errors="replace") for record in found if isinstance(record, TXT)]


def connect(endpoint: Endpoint, dial: Dial, address: str, timeout: float = 15) -> socket.socket:
    """A TCP connection to one address of the endpoint, inside TLS when TLS is implicit.

    Raises UnreachableError, TlsError or CertificateError.
    """
    where = f"{endpoint} [{address}]"
    try:
        sock = dial(address, endpoint.port, timeout)
    except TimeoutError:
        raise UnreachableError(f"{where}: no answer within {timeout:g} s (dropped)", dropped=True) from None
    except ConnectionRefusedError:
        raise UnreachableError(f"{where}: connection refused", refused=True) from None
    except OSError as error:
        raise UnreachableError(f"{where}: {error.strerror or error}") from None
    return secure(endpoint, sock) if endpoint.tls == "implicit" else sock


def secure(endpoint: Endpoint, sock: socket.socket) -> ssl.SSLSocket:
    """The connection inside TLS, its certificate verified against the endpoint's name.

    Raises TlsError or CertificateError.
    """
    try:
        return context(endpoint.ca).wrap_socket(sock, server_hostname=endpoint.host)
    except OSError as error:
        sock.close()
        raise _tls_error(endpoint, error) from None


def context(ca: str | None) -> ssl.SSLContext:
    """TLS that verifies chain and name, trusting this CA file, or the public CAs when there is none."""
    return ssl.create_default_context(cafile=str(locate(ca)) if ca else None)


X509_V_ERR = {9: "not yet valid", 10: "expired", 62: "wrong name", 64: "wrong name"}  # OpenSSL's verify codes


def _tls_error(endpoint: Endpoint, error: OSError) -> EndpointError:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = X509_V_ERR.get(error.verify_code, "unknown CA")
        return CertificateError(f"{endpoint}: certificate refused, {reason}: {error.verify_message}", reason)
    if isinstance(error, TimeoutError):
        return TlsError(f"{endpoint}: no TLS answer in time")
    return TlsError(f"{endpoint}: no TLS handshake: {getattr(error, 'reason', None) or error.strerror or error}")


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
    except (smtplib.SMTPException, OSError) as error:
        raise GreetingError(f"{endpoint}: connected, then {_silence(error)}") from None
    try:
        _greet(endpoint, client)
    except EndpointError:
        client.close()
        raise
    return client


def _greet(endpoint: Endpoint, client: smtplib.SMTP) -> None:
    try:
        code, said = client.ehlo()
    except (smtplib.SMTPException, OSError) as error:
        raise GreetingError(f"{endpoint}: connected, then {_silence(error)}") from None
    if code != OK:
        raise GreetingError(f"{endpoint}: EHLO answered {reply(code, said)}", code)
    if endpoint.tls == "starttls":
        _start_tls(endpoint, client)


def _start_tls(endpoint: Endpoint, client: smtplib.SMTP) -> None:
    if not client.has_extn("starttls"):
        raise NoStartTlsError(f"{endpoint}: STARTTLS is not offered")
    try:
        code, said = client.starttls(context=context(endpoint.ca))
    except smtplib.SMTPResponseException as error:
        raise NoStartTlsError(f"{endpoint}: STARTTLS refused: {reply(error.smtp_code, error.smtp_error)}") from None
    except OSError as error:
        raise _tls_error(endpoint, error) from None
    if code != SERVICE_READY:
        raise NoStartTlsError(f"{endpoint}: STARTTLS refused: {reply(code, said)}")
    client.ehlo()


def _silence(error: Exception) -> str:
    silent = isinstance(error, TimeoutError) or "timed out" in str(error)  # smtplib wraps it in an error of its own
    return "said nothing in time" if silent else f"broke off: {error}"


def reply(code: int, said: bytes | str) -> str:
    """An SMTP reply on one line."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return f"{code} {' '.join(text.split())}"


def login(client: smtplib.SMTP, username: str, password: Secret) -> None:
    """Logs in once, by PLAIN or LOGIN: smtplib's own login tries on with every mechanism, which gets one banned.

    Raises LoginError.
    """
    offered = client.esmtp_features.get("auth", "").upper().split()
    mechanism = next((m for m in ("PLAIN", "LOGIN") if m in offered), None)
    if mechanism is None:
        raise LoginError(f"no login by PLAIN or LOGIN offered, only {', '.join(offered) or 'none'}")
    client.user, client.password = username, password.reveal()
    try:
        client.auth(mechanism, client.auth_plain if mechanism == "PLAIN" else client.auth_login)
    except smtplib.SMTPResponseException as error:
        raise LoginError(f"login as {username}: {reply(error.smtp_code, error.smtp_error)}") from None
    except (smtplib.SMTPException, OSError) as error:
        raise LoginError(f"login as {username}: {_silence(error)}") from None


@contextmanager
def ending(client: smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    """Says QUIT at the end; how that is answered changes nothing."""
    try:
        yield client
    finally:
        with suppress(smtplib.SMTPException, OSError):
            client.quit()
        client.close()


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
        raise GreetingError(f"{endpoint}: connected, then {_silence(error)}") from None
    return client


def _start_imap_tls(endpoint: Endpoint, client: imaplib.IMAP4) -> None:
    if "STARTTLS" not in client.capabilities:
        raise NoStartTlsError(f"{endpoint}: STARTTLS is not offered")
    try:
        client.starttls(context(endpoint.ca))
    except ssl.SSLError as error:
        raise _tls_error(endpoint, error) from None


def imap_login(client: imaplib.IMAP4, username: str, password: Secret) -> None:
    """Logs in once.

    Raises LoginError.
    """
    try:
        _authenticate(client, username, password.reveal())
    except (imaplib.IMAP4.error, OSError) as error:
        said = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else error
        raise LoginError(f"IMAP login as {username}: {said}") from None


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
