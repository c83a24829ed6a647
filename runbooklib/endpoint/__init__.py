"""A mail service somewhere: its name resolved by the site's resolvers, dialled, greeted, its certificate verified.

EndpointError
├── NameMissingError   the resolvers say that the name, or an address for it, does not exist
├── ResolverError      no resolver gave an answer: timeout, SERVFAIL, REFUSED
├── UnreachableError   no TCP connection: dropped (silence), refused, or no route
├── GreetingError      connected, and the service would not talk
├── NoStartTlsError    STARTTLS is not offered, or was refused
├── TlsError           the handshake broke before a certificate could be judged
├── CertificateError   expired, not yet valid, wrong name, or of an unknown CA
├── LoginError         user, password or token refused, or no login offered
└── FolderError        logged in, and a folder cannot be opened
"""

from runbooklib.endpoint.connection import Dial, Endpoint, Tls, connect, context, first, local_dial, secure
from runbooklib.endpoint.dialogue import HELO, ending, login, reply, smtp
from runbooklib.endpoint.errors import (
    OK,
    PERMANENT,
    SERVICE_READY,
    TEMPORARY,
    CertificateError,
    EndpointError,
    FolderError,
    GreetingError,
    LoginError,
    NameMissingError,
    NoStartTlsError,
    ResolverError,
    TlsError,
    UnreachableError,
)
from runbooklib.endpoint.mailbox import examine, imap, imap_login, leaving
from runbooklib.endpoint.names import lookup, resolve, texts, validated
from runbooklib.endpoint.replies import SENDER, Reply, judge

__all__ = [
    "HELO",
    "OK",
    "PERMANENT",
    "SENDER",
    "SERVICE_READY",
    "TEMPORARY",
    "CertificateError",
    "Dial",
    "Endpoint",
    "EndpointError",
    "FolderError",
    "GreetingError",
    "LoginError",
    "NameMissingError",
    "NoStartTlsError",
    "Reply",
    "ResolverError",
    "Tls",
    "TlsError",
    "UnreachableError",
    "connect",
    "context",
    "ending",
    "examine",
    "first",
    "imap",
    "imap_login",
    "judge",
    "leaving",
    "local_dial",
    "login",
    "lookup",
    "reply",
    "resolve",
    "secure",
    "smtp",
    "texts",
    "validated",
]
