"""Why a mail service could not be spoken to; the package's own docstring draws the tree."""

from __future__ import annotations

from runbooklib.results import RunbookError, Status

SERVICE_READY, OK, TEMPORARY, PERMANENT = 220, 250, 400, 500  # RFC 5321 4.2.1, 4.2.3
AUTHENTICATED, CONTINUE = 235, 334  # RFC 4954 4, 6


class EndpointError(RunbookError):
    """A service could not be spoken to; `status` tells *wrong* from *could not tell*, `fix` what to do."""

    status: Status = Status.FAIL
    fix: str = ""


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
        if not code:
            self.fix = "try again; if it stays so, read that service's log and see what filters the way to it"


class NoStartTlsError(EndpointError):
    """STARTTLS is not offered (`code` 0), or was refused with a code, so nothing secret may be sent."""

    fix = "use a port that offers STARTTLS (587), or tls: implicit on 465; on the server, configure its certificate"

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class TlsError(EndpointError):
    """The TLS handshake broke before there was a certificate to judge; `plaintext` when the answer was no TLS."""

    fix = "check that the port and tls: (starttls or implicit) belong together"

    def __init__(self, message: str, *, plaintext: bool = False) -> None:
        super().__init__(message)
        self.plaintext = plaintext


class CertificateError(EndpointError):
    """The certificate is not one to trust; `reason` is expired, not yet valid, wrong name or unknown CA."""

    fix = "install a valid certificate for that name there; name a private CA in `ca`"

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class LoginError(EndpointError):
    """The login was refused, or no usable one is offered; after a 4xx or silence nothing is known of it.

    `refused` when the service said no to this user with this password, which bans count.
    """

    fix = "check username and password; some services want an app password or an authorisation code"

    def __init__(self, message: str, status: Status = Status.FAIL, fix: str = "", *, refused: bool = False) -> None:
        super().__init__(message)
        self.status, self.fix, self.refused = status, fix or self.fix, refused


class FolderError(EndpointError):
    """A folder of a mailbox could not be opened, though the login was taken."""

    fix = "see in that mailbox's web mail whether the folder is there and shown to IMAP"

    def __init__(self, message: str, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix or self.fix
