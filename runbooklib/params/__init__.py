"""The site: what a params file may say, checked all at once, secrets by reference only."""

from runbooklib.params.mail import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Mail, Tls
from runbooklib.params.model import Model
from runbooklib.params.reading import UNKNOWN_KEY, ParamsError, load, problems, read
from runbooklib.params.site import (
    IMPLICIT_TLS,
    Dkim,
    Dmarc,
    Dns,
    Domain,
    Login,
    Mailbox,
    Recipient,
    Relay,
    RelayDkim,
    Rfc2136,
    Server,
    Site,
    Ssh,
    Test,
    TsigKey,
)

__all__ = [
    "DOCKER_MAILSERVER",
    "IMPLICIT_TLS",
    "MAILCOW",
    "POSTFIX",
    "UNKNOWN_KEY",
    "Dkim",
    "Dmarc",
    "Dns",
    "Domain",
    "Login",
    "Mail",
    "Mailbox",
    "Model",
    "ParamsError",
    "Recipient",
    "Relay",
    "RelayDkim",
    "Rfc2136",
    "Server",
    "Site",
    "Ssh",
    "Test",
    "Tls",
    "TsigKey",
    "load",
    "problems",
    "read",
]
