"""The environment variables the container understands, with their defaults and what is derived from them."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Settings = dict[str, str]

SETTINGS_FILE = Path("/etc/dms-settings")
FILE_SUFFIX = "__FILE"

DEFAULTS = {
    "ACCOUNT_PROVISIONER": "FILE",
    "DEFAULT_RELAY_HOST": "",
    "DMS_CONFIG_POLL": "2",
    "ENABLE_AMAVIS": "1",
    "ENABLE_DNSBL": "0",
    "ENABLE_OPENDKIM": "1",
    "ENABLE_OPENDMARC": "1",
    "ENABLE_POLICYD_SPF": "1",
    "ENABLE_QUOTAS": "1",
    "ENABLE_SRS": "0",
    "LOG_LEVEL": "info",
    "NETWORK_INTERFACE": "eth0",
    "OVERRIDE_HOSTNAME": "",
    "PERMIT_DOCKER": "none",
    "POSTFIX_INET_PROTOCOLS": "all",
    "POSTFIX_MAILBOX_SIZE_LIMIT": "0",
    "POSTFIX_MESSAGE_SIZE_LIMIT": "10240000",
    "POSTMASTER_ADDRESS": "",
    "RELAY_HOST": "",
    "RELAY_PORT": "25",
    "SPOOF_PROTECTION": "0",
    "SRS_DOMAINNAME": "",
    "SRS_EXCLUDE_DOMAINS": "",
    "SRS_SECRET": "",
    "SRS_SENDER_CLASSES": "envelope_sender",
    "SSL_ALT_CERT_PATH": "",
    "SSL_ALT_KEY_PATH": "",
    "SSL_CERT_PATH": "",
    "SSL_DOMAIN": "",
    "SSL_KEY_PATH": "",
    "SSL_TYPE": "",
    "TLS_LEVEL": "modern",
}

# Known to the start script alone and never written down: the change detector sees only the container's own environment.
CREDENTIALS = ("RELAY_USER", "RELAY_PASSWORD")

# What docker-mailserver offers and this image does not hold.
MISSING_SERVICES = (
    "ENABLE_AMAVIS",
    "ENABLE_CLAMAV",
    "ENABLE_FAIL2BAN",
    "ENABLE_FETCHMAIL",
    "ENABLE_GETMAIL",
    "ENABLE_MANAGESIEVE",
    "ENABLE_POP3",
    "ENABLE_POSTGREY",
    "ENABLE_RSPAMD",
    "ENABLE_SPAMASSASSIN",
)


def from_environment(environ: Mapping[str, str]) -> Settings:
    """The settings of a start: defaults, then variables, then the files named by `<VAR>__FILE`."""
    settings = DEFAULTS | dict.fromkeys(CREDENTIALS, "")
    settings |= {name: value for name, value in environ.items() if name in settings}
    for name in settings.keys() & {key.removesuffix(FILE_SUFFIX) for key in environ if key.endswith(FILE_SUFFIX)}:
        settings[name] = Path(environ[name + FILE_SUFFIX]).read_text().rstrip("\n")
    settings["HOSTNAME"] = settings["OVERRIDE_HOSTNAME"] or fqdn()
    settings["DOMAINNAME"] = domain_of(settings["HOSTNAME"])
    settings["POSTMASTER_ADDRESS"] = settings["POSTMASTER_ADDRESS"] or f"postmaster@{settings['DOMAINNAME']}"
    settings["SRS_DOMAINNAME"] = settings["SRS_DOMAINNAME"] or settings["DOMAINNAME"]
    return settings


def missing_services(environ: Mapping[str, str]) -> list[str]:
    """The services asked for, by default or by name, that this image does not hold."""
    return [name for name in MISSING_SERVICES if environ.get(name, DEFAULTS.get(name, "0")) == "1"]


def fqdn() -> str:
    """The container's own name, as `hostname --fqdn` gives it."""
    name = socket.gethostname()
    if "." in name:
        return name
    try:
        return socket.getaddrinfo(name, None, flags=socket.AI_CANONNAME)[0][3] or name
    except OSError:
        return name


def domain_of(hostname: str) -> str:
    """The mail domain a host name suggests: without its first label when it has more than two."""
    labels = hostname.split(".")
    return ".".join(labels[1:]) if len(labels) > 2 else hostname  # noqa: PLR2004  the rule itself


def write(settings: Settings) -> None:
    """Leave the settings for the commands that run beside the start script, without credentials."""
    kept = sorted((name, value) for name, value in settings.items() if name not in CREDENTIALS)
    SETTINGS_FILE.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in kept))


def read() -> Settings:
    """The settings of the running container; empty where no start script ran."""
    if not SETTINGS_FILE.exists():
        return {}
    pairs = (text.split("=", 1) for text in SETTINGS_FILE.read_text().splitlines())
    return {name: "".join(shlex.split(value)) for name, value in pairs}


def read_with_credentials() -> Settings:
    """The settings of the running container, credentials from this process's environment."""
    return read() | {name: os.environ.get(name, "") for name in CREDENTIALS}
