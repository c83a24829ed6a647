"""The site: what a params file may say, checked all at once, secrets by reference only."""

from runbooklib.params.dns import BLOCKLISTS, DOMAIN_BLOCKLISTS, Dns, Lexicon, Rfc2136, TsigKey
from runbooklib.params.mail import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Mail, Tls
from runbooklib.params.model import Model
from runbooklib.params.reading import UNKNOWN_KEY, ParamsError, load, problems, read
from runbooklib.params.recipients import Login, Recipient
from runbooklib.params.rspamd import Rspamd
from runbooklib.params.site import (
    IMPLICIT_TLS,
    Dkim,
    Dmarc,
    Domain,
    Mailbox,
    Relay,
    RelayDkim,
    Server,
    Site,
    Ssh,
    Test,
)

__all__ = [
    "BLOCKLISTS",
    "DOCKER_MAILSERVER",
    "DOMAIN_BLOCKLISTS",
    "IMPLICIT_TLS",
    "MAILCOW",
    "POSTFIX",
    "UNKNOWN_KEY",
    "Dkim",
    "Dmarc",
    "Dns",
    "Domain",
    "Lexicon",
    "Login",
    "Mail",
    "Mailbox",
    "Model",
    "ParamsError",
    "Recipient",
    "Relay",
    "RelayDkim",
    "Rfc2136",
    "Rspamd",
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
