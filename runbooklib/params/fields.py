"""The kinds of value a params file holds: names, addresses, durations, references; refused with what was expected."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from functools import partial
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from runbooklib import spf
from runbooklib.credentials import FORM, Secret, Token
from runbooklib.places import TESTBED_PREFIX, testbed_value
from runbooklib.results import RunbookError

LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
NAME = re.compile(rf"^{LABEL}(\.{LABEL})+$")  # RFC 1035 2.3.4 with the underscore of RFC 8552
LOCAL_PART = re.compile(r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$")  # RFC 5321 4.1.2, dot-string
FINGERPRINT = re.compile(r"^SHA256:[A-Za-z0-9+/]{43}$")


def refuse(kind: str, message: str) -> PydanticCustomError:
    """The error a validator raises, in our own words."""
    return PydanticCustomError(kind, "{message}", {"message": message})


def _text(value: object) -> object:
    """YAML 1.1 turns an IPv6 address of digits into a number and `on` into a boolean: refuse, never guess."""
    if value is not None and not isinstance(value, str):
        raise refuse("quote_it", f"expected text, YAML read {type(value).__name__} {value!r}: quote it")
    if isinstance(value, str) and value.startswith(TESTBED_PREFIX):
        try:
            return testbed_value(value)
        except RunbookError as error:
            raise refuse("testbed", str(error)) from None
    return value


def _name(value: str) -> str:
    try:
        ascii_name = (
            value.rstrip(".").encode("idna").decode().lower() if not value.isascii() else value.rstrip(".").lower()
        )
    except UnicodeError:
        ascii_name = ""
    if not NAME.match(ascii_name) or len(ascii_name) > 253:  # noqa: PLR2004 - RFC 1035 2.3.4, in text form
        raise refuse("name", "expected a DNS name such as mail.example.org")
    return ascii_name


def _address(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or not LOCAL_PART.match(local):
        raise refuse("address", "expected a mail address such as hi@example.org")
    return f"{local.lower()}@{_name(domain)}"


def _utf8_address(value: str) -> str:
    local, at, domain = unicodedata.normalize("NFC", value).rpartition("@")  # RFC 6530 10.1
    letters = "".join(c for c in local if c.isascii())
    wide = not local.isascii() and local.isprintable() and len(local.encode()) <= 64  # noqa: PLR2004 - RFC 5321 4.5.3.1.1
    if not at or not wide or not LOCAL_PART.match(letters or "x"):
        raise refuse("address", "expected an address with letters outside ASCII before the @ (RFC 6531 3.3)")
    return f"{local}@{_name(domain)}"


def _ip(value: str, version: Literal[4, 6]) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise refuse("ip", f"expected an IPv{version} address") from None
    if found.version != version:
        raise refuse("ip", f"expected an IPv{version} address, saw one of IPv{found.version}")
    return str(found)


def _any_ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise refuse("ip", "expected an IP address; names cannot be asked before a resolver is known") from None


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise refuse("network", "expected an IP address or network such as 192.0.2.0/24") from None


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return _name(value)


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not FORM.match(value):
        raise refuse(
            "literal_secret", "a secret is never written here: use env:NAME, file:PATH or keyring:SERVICE/USER"
        )
    return Secret(value)


def _token(value: object) -> Token:
    return value if isinstance(value, Token) else Token(_secret(value).reference)


def _fingerprint(value: str) -> str:
    if not FINGERPRINT.match(value):
        raise refuse("fingerprint", "expected SHA256: and 43 characters, as `ssh-keygen -lf` prints")
    return value


def matching(pattern: re.Pattern[str], expected: str, value: str) -> str:
    """The value, where it has the form."""
    if not pattern.match(value):
        raise refuse("form", f"expected {expected}")
    return value


def _addresses(value: object) -> object:
    """One address may stand without brackets."""
    return [value] if isinstance(value, str) else value


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        raise refuse("url", "expected an address such as https://api.example.org")
    return value.rstrip("/")


def _own_url(value: str) -> str:
    """Without TLS only to this machine, through a tunnel say, or to an address of a private network."""
    parts = urlsplit(value)
    if parts.scheme == "http" and _near(parts.hostname or "") and not (parts.query or parts.fragment):
        return value.rstrip("/")
    return _url(value)


def _near(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_private
    except ValueError:
        return name == "localhost"


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[Text, AfterValidator(_name)]
Address = Annotated[Text, AfterValidator(_address)]
Utf8Address = Annotated[Text, AfterValidator(_utf8_address)]
IPv4 = Annotated[Text, AfterValidator(partial(_ip, version=4))]
IPv6 = Annotated[Text, AfterValidator(partial(_ip, version=6))]
IP = Annotated[Text, AfterValidator(_any_ip)]
Network = Annotated[Text, AfterValidator(_network)]
HostName = Annotated[Text, AfterValidator(_host)]
Fingerprint = Annotated[Text, AfterValidator(_fingerprint)]
Reference = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(str)]
TokenReference = Annotated[Token, BeforeValidator(_token), PlainSerializer(str)]


def _mechanisms(value: str) -> str:
    try:
        record = spf.of(value.split(), "")
    except spf.SpfError as error:
        raise refuse("spf", f"expected SPF mechanisms such as include:spf.example.net: {error}") from None
    if not record.terms or len(record.tested) != len(record.terms):
        raise refuse("spf", "expected SPF mechanisms such as include:spf.example.net, without all and redirect=")
    return value


Mechanisms = Annotated[Text, AfterValidator(_mechanisms)]
Addresses = Annotated[tuple[Address, ...], BeforeValidator(_addresses), Field(min_length=1)]
Url = Annotated[Text, AfterValidator(_url)]
OwnUrl = Annotated[Text, AfterValidator(_own_url)]
Port = Annotated[int, Field(ge=1, le=65535)]
Selector = Annotated[Text, AfterValidator(partial(matching, re.compile(rf"^{LABEL}(\.{LABEL})*$"), "a DKIM selector"))]
Directory = Annotated[
    Text, AfterValidator(partial(matching, re.compile(r"^/[A-Za-z0-9._/-]+$"), "an absolute path without blanks"))
]
Duration = Annotated[Text, AfterValidator(partial(matching, re.compile(r"^\d+[mhd]$"), "a duration such as 7d or 12h"))]
Allowance = Annotated[
    Text,
    AfterValidator(partial(matching, re.compile(r"^[1-9]\d*/[hd]$"), "recipients an hour or a day, 300/h or 100/d")),
]
Size = Annotated[Text, AfterValidator(partial(matching, re.compile(r"^\d+[kMGT]$"), "a size such as 500M or 5G"))]
ImageName = Annotated[
    Text,
    AfterValidator(
        partial(
            matching,
            re.compile(r"^[a-z0-9][a-z0-9./_-]*(:\d+/[a-z0-9./_-]+)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$"),
            "a container image with a tag",
        )
    ),
]
