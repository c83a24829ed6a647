"""Apple's configuration profile for a mail account (com.apple.mail.managed); pure.

It holds no password and no address: the device asks for both as it is installed. It is not signed, which the device
says. Its UUIDs come from the domain, so that a newer profile takes the place of the one that is installed.
"""

from __future__ import annotations

import plistlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from xml.parsers.expat import ExpatError

from runbooklib.autoconfig.services import AutoconfigError, Protocol, Service, preferred

MEDIA = "application/x-apple-aspen-config"
SIDES: Mapping[Protocol, str] = {"imap": "Incoming", "smtp": "Outgoing"}
IMPLICIT = {465, 993}  # on other ports Apple's programs say STARTTLS where UseSSL is true
SECRETS = ("IncomingPassword", "OutgoingPassword")


def write(domain: str, services: Iterable[Service]) -> str:
    """The profile of a domain."""
    identifier = ".".join([*reversed(domain.split(".")), "mail"])
    profile = _payload("Configuration", identifier, f"Mail of {domain}") | {
        "PayloadContent": [_account(domain, f"{identifier}.account", preferred(services))],
        "PayloadDescription": f"Sets up mail for an address of {domain}. The user name is the whole address.",
        "PayloadRemovalDisallowed": False,
    }
    return plistlib.dumps(profile, sort_keys=True).decode()


def _payload(kind: str, identifier: str, name: str) -> dict[str, Any]:
    return {
        "PayloadType": kind,
        "PayloadVersion": 1,
        "PayloadIdentifier": identifier,
        "PayloadUUID": str(uuid.uuid5(uuid.NAMESPACE_DNS, identifier)).upper(),
        "PayloadDisplayName": name,
    }


def _account(domain: str, identifier: str, services: Mapping[Protocol, Service]) -> dict[str, Any]:
    account = _payload("com.apple.mail.managed", identifier, f"Mail account at {domain}")
    account |= {
        "EmailAccountDescription": domain,
        "EmailAccountType": "EmailTypeIMAP",
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    for protocol, side in SIDES.items():
        account |= {
            f"{side}MailServerAuthentication": "EmailAuthPassword",
            f"{side}MailServerHostName": services[protocol].host,
            f"{side}MailServerPortNumber": services[protocol].port,
            f"{side}MailServerUseSSL": True,
        }
    return account


def read(text: str) -> tuple[Service, ...]:
    """The services a device finds in it.

    Raises AutoconfigError.
    """
    try:
        (account,) = plistlib.loads(text.encode())["PayloadContent"]
        if any(account.get(secret) for secret in SECRETS):
            raise AutoconfigError("it holds a password, which everyone could read")
        return tuple(_service(account, protocol, side) for protocol, side in SIDES.items())
    except (plistlib.InvalidFileException, ExpatError, KeyError, TypeError, ValueError) as error:
        raise AutoconfigError(f"it is no profile of one mail account: {type(error).__name__} {error}") from None


def _service(account: Mapping[str, Any], protocol: Protocol, side: str) -> Service:
    host, port = str(account[f"{side}MailServerHostName"]), int(account[f"{side}MailServerPortNumber"])
    if account.get(f"{side}MailServerUseSSL") is not True:
        raise AutoconfigError(f"{side}MailServerUseSSL is not true: without TLS")
    username = str(account.get(f"{side}MailServerUsername", ""))
    return Service(protocol, host, port, "implicit" if port in IMPLICIT else "starttls", username)
