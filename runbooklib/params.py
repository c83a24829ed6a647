"""The site: what a params file may say, checked all at once, secrets by reference only."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from runbooklib import masking
from runbooklib.credentials import FORM, Secret, learn_quietly
from runbooklib.places import TESTBED_PREFIX, locate, testbed_value
from runbooklib.results import RunbookError, Table

LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
NAME = re.compile(rf"^{LABEL}(\.{LABEL})+$")  # RFC 1035 2.3.4 with the underscore of RFC 8552
LOCAL_PART = re.compile(r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}$")  # RFC 5321 4.1.2, dot-string
SITE_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")  # becomes a folder's name
FINGERPRINT = re.compile(r"^SHA256:[A-Za-z0-9+/]{43}$")
IMPLICIT_TLS = {465, 2465}
UNKNOWN_KEY = "is not a known key here"


class ParamsError(RunbookError):
    """Everything wrong in a params file; `problems` holds (path, what was expected and seen) pairs."""

    def __init__(self, source: str, problems: list[tuple[str, str]]) -> None:
        self.source, self.problems = source, problems
        lines = [f"  {path}: {said}" if path else f"  {said}" for path, said in problems]
        super().__init__("\n".join([f"{source}: {len(problems)} problem{'s'[: len(problems) != 1]}", *lines]))


def _refuse(kind: str, message: str) -> PydanticCustomError:
    return PydanticCustomError(kind, "{message}", {"message": message})


def _text(value: object) -> object:
    """YAML 1.1 turns an IPv6 address of digits into a number and `on` into a boolean: refuse, never guess."""
    if value is not None and not isinstance(value, str):
        raise _refuse("quote_it", f"expected text, YAML read {type(value).__name__} {value!r}: quote it")
    if isinstance(value, str) and value.startswith(TESTBED_PREFIX):
        try:
            return testbed_value(value)
        except RunbookError as error:
            raise _refuse("testbed", str(error)) from None
    return value


def _name(value: str) -> str:
    try:
        ascii_name = (
            value.rstrip(".").encode("idna").decode().lower() if not value.isascii() else value.rstrip(".").lower()
        )
    except UnicodeError:
        ascii_name = ""
    if not NAME.match(ascii_name) or len(ascii_name) > 253:  # noqa: PLR2004 - RFC 1035 2.3.4, in text form
        raise _refuse("name", "expected a DNS name such as mail.example.org")
    return ascii_name


def _address(value: str) -> str:
    local, at, domain = value.rpartition("@")
    if not at or not LOCAL_PART.match(local):
        raise _refuse("address", "expected a mail address such as hi@example.org")
    return f"{local.lower()}@{_name(domain)}"


def _ip(value: str, version: Literal[4, 6]) -> str:
    try:
        found = ipaddress.ip_address(value)
    except ValueError:
        raise _refuse("ip", f"expected an IPv{version} address") from None
    if found.version != version:
        raise _refuse("ip", f"expected an IPv{version} address, saw one of IPv{found.version}")
    return str(found)


def _any_ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise _refuse("ip", "expected an IP address; names cannot be asked before a resolver is known") from None


def _host(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return _name(value)


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or not FORM.match(value):
        raise _refuse(
            "literal_secret", "a secret is never written here: use env:NAME, file:PATH or keyring:SERVICE/USER"
        )
    return Secret(value)


def _fingerprint(value: str) -> str:
    if not FINGERPRINT.match(value):
        raise _refuse("fingerprint", "expected SHA256: and 43 characters, as `ssh-keygen -lf` prints")
    return value


def _matching(pattern: re.Pattern[str], expected: str, value: str) -> str:
    if not pattern.match(value):
        raise _refuse("form", f"expected {expected}")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[Text, AfterValidator(_name)]
Address = Annotated[Text, AfterValidator(_address)]
IPv4 = Annotated[Text, AfterValidator(partial(_ip, version=4))]
IPv6 = Annotated[Text, AfterValidator(partial(_ip, version=6))]
IP = Annotated[Text, AfterValidator(_any_ip)]
HostName = Annotated[Text, AfterValidator(_host)]
Fingerprint = Annotated[Text, AfterValidator(_fingerprint)]
Reference = Annotated[Secret, BeforeValidator(_secret), PlainSerializer(str)]
Port = Annotated[int, Field(ge=1, le=65535)]
Selector = Annotated[Text, AfterValidator(partial(_matching, re.compile(rf"^{LABEL}(\.{LABEL})*$"), "a DKIM selector"))]
Directory = Annotated[
    Text, AfterValidator(partial(_matching, re.compile(r"^/[A-Za-z0-9._/-]+$"), "an absolute path without blanks"))
]
Duration = Annotated[
    Text, AfterValidator(partial(_matching, re.compile(r"^\d+[mhd]$"), "a duration such as 7d or 12h"))
]
ImageName = Annotated[
    Text,
    AfterValidator(
        partial(
            _matching,
            re.compile(r"^[a-z0-9][a-z0-9./_-]*(:\d+/[a-z0-9./_-]+)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$"),
            "a container image with a tag",
        )
    ),
]


class Model(BaseModel):
    """What all parts share: unknown keys refused, values frozen, no input in messages."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True)


class Ssh(Model):
    """How SSH gets in."""

    user: Text = "root"
    port: Port = 22
    key: Text | None = None  # path; None: the SSH agent and the default keys
    host_key: Fingerprint | None = None  # None: known_hosts or a validated SSHFP record must know it


class Server(Model):
    """The machine: where SSH connects, and the name and addresses mail knows it by."""

    host: HostName
    ssh: Ssh = Ssh()
    hostname: Name  # MX target, certificate name, HELO name, PTR
    ipv4: IPv4
    ipv6: IPv6 | None = None


class Tls(Model):
    """The server's certificate: files on this machine, uploaded."""

    mode: Literal["manual"] = "manual"
    certificate: Text  # PEM, full chain
    key: Text
    ca: Text | None = None  # PEM of a private CA that issued it; None: a public one


class Mail(Model):
    """The mail server program and where it lives on the server."""

    server: Literal["docker-mailserver"] = "docker-mailserver"
    image: ImageName = "ghcr.io/docker-mailserver/docker-mailserver:15.1.0"
    directory: Directory
    tls: Tls
    filter: Literal["none", "dnsbl", "spamassassin"] = "none"  # what looks at inbound mail before it is accepted

    @field_validator("image")
    @classmethod
    def _pinned(cls, image: str) -> str:
        tag = image.rpartition("/")[2].partition(":")[2]
        if not tag or tag.startswith(("latest", "edge")):
            raise _refuse("pinned", "expected an image pinned to a release such as …:15.1.0; latest and edge move")
        return image


class Mailbox(Model):
    """A mailbox and, for when it is made, its password."""

    address: Address
    password: Reference


class Dkim(Model):
    """The server's own signing key."""

    selector: Selector = "mail"
    size: Literal[1024, 2048, 4096] = 2048
    retire_after: Duration = "7d"


class Dmarc(Model):
    """The policy to publish where none stands yet."""

    policy: Literal["none", "quarantine", "reject"] = "none"
    rua: Address | None = None


class Domain(Model):
    """A mail domain, who lives there, and the relay that sends for it."""

    name: Name
    relay: Text  # a name under relays, or direct
    mailboxes: tuple[Mailbox, ...] = ()
    aliases: dict[Address, Address] = Field(default_factory=dict)
    catch_all: Address | None = None
    refuse: tuple[Address, ...] = ()
    dkim: Dkim = Dkim()
    dmarc: Dmarc = Dmarc()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        boxes = [m.address for m in self.mailboxes]
        own = {"mailboxes": boxes, "aliases": list(self.aliases), "refuse": list(self.refuse)}
        for what, addresses in own.items():
            foreign = [a for a in addresses if a.rpartition("@")[2] != self.name]
            if foreign:
                raise _refuse("foreign", f"{what}: {', '.join(foreign)} is not in {self.name}")
        every = boxes + list(self.aliases) + list(self.refuse)
        twice = sorted({a for a in every if every.count(a) > 1})
        if twice:
            raise _refuse("twice", f"{', '.join(twice)} stands in more than one of mailboxes, aliases and refuse")
        return self


class RelayDkim(Model):
    """A DKIM record the relay wants in our zone: a CNAME, or the TXT value."""

    selector: Selector
    cname: Name | None = None
    value: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cname is None) == (self.value is None):
            raise _refuse("one_of", "expected either cname or value, as the provider shows it")
        return self


class Relay(Model):
    """A smarthost: where it listens, how to log in, which records it wants."""

    provider: Literal["smtp", "resend", "mxroute"]
    host: Name | None = None
    port: Port = 587
    tls: Literal["starttls", "implicit"] | None = None
    username: Text | None = None
    password: Reference | None = None
    api_key: Reference | None = None
    ca: Text | None = None  # PEM of a private CA; None: the public ones
    spf: Text | None = None  # the mechanism that names the relay's pool, e.g. include:spf.example.net
    return_path: Text | None = None  # label the relay puts MAIL FROM under, e.g. send
    region: Text | None = None
    dkim: tuple[RelayDkim, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _presets(cls, given: Any) -> Any:
        presets = PRESETS.get(str(given.get("provider")), {}) if isinstance(given, Mapping) else {}
        return {**presets, **given} if presets else given

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.host is None:
            raise _refuse("host", f"{self.provider} needs host, the server name from its welcome mail")
        if (self.username is None) != (self.password is None):
            raise _refuse("login", "expected username and password together, or neither")
        if self.username and (":" in self.username or self.username != self.username.strip()):
            raise _refuse("login", "Postfix cannot hold a user name with a colon or outer blanks in its login map")
        if self.mode == "implicit" and self.port not in IMPLICIT_TLS and self.tls is None:
            raise _refuse("tls", "expected tls: starttls or implicit")
        return self

    @property
    def mode(self) -> Literal["starttls", "implicit"]:
        """How TLS begins: as said, else by the port (RFC 8314 3)."""
        return self.tls or ("implicit" if self.port in IMPLICIT_TLS else "starttls")


PRESETS: dict[object, dict[str, Any]] = {
    "resend": {"host": "smtp.resend.com", "username": "resend", "return_path": "send", "region": "us-east-1"},
    "mxroute": {"spf": "include:mxroute.com"},
}


class TsigKey(Model):
    """A key that signs updates (RFC 8945)."""

    name: Text
    algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    secret: Reference


class Rfc2136(Model):
    """Where dynamic updates go."""

    server: IP
    port: Port = 53
    key: TsigKey


class Dns(Model):
    """How records are published, and whom to ask what stands."""

    publish: Literal["by-hand", "rfc2136"] = "by-hand"
    rfc2136: Rfc2136 | None = None
    resolvers: tuple[IP, ...] = ("9.9.9.9", "1.1.1.1", "8.8.8.8")
    authoritative: tuple[IP, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.publish == "rfc2136" and self.rfc2136 is None:
            raise _refuse("section", "publish: rfc2136 needs a section rfc2136 with server and key")
        if not self.resolvers:
            raise _refuse("resolvers", "expected at least one resolver")
        return self


class Login(Model):
    """A mail service of a recipient, read or submitted to as its user."""

    host: HostName
    port: Port
    username: Text
    password: Reference
    ca: Text | None = None


class Recipient(Model):
    """Someone outside who gets the test message; with logins we can look and write back."""

    address: Address
    imap: Login | None = None
    submission: Login | None = None


class Test(Model):
    """What stage 05 may use."""

    __test__ = False  # pytest collects by name

    recipients: tuple[Recipient, ...] = ()
    reflector: Address | None = None
    smtp25: bool = False  # whether this machine may itself speak to the server's port 25


class Site(Model):
    """One server with one or more mail domains."""

    name: Annotated[Text, AfterValidator(partial(_matching, SITE_NAME, "lower-case letters, digits, dots and dashes"))]
    server: Server
    mail: Mail
    domains: Annotated[tuple[Domain, ...], Field(min_length=1)]
    relays: dict[str, Relay] = Field(default_factory=dict)
    dns: Dns = Dns()
    test: Test = Test()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        said = [*self._relay_problems(), *self._address_problems(), *self._name_problems()]
        if said:
            raise _refuse("site", "; ".join(said))
        return self

    def _relay_problems(self) -> list[str]:
        known = {*self.relays, "direct"}
        return [
            f"domains[{i}].relay: {d.relay!r} is not one of {', '.join(sorted(known))}"
            for i, d in enumerate(self.domains)
            if d.relay not in known
        ]

    def _address_problems(self) -> list[str]:
        boxes = {m.address for d in self.domains for m in d.mailboxes}
        said = [] if boxes else ["domains: expected at least one mailbox; without one the mail server does not start"]
        for i, domain in enumerate(self.domains):
            wanted = {"catch_all": domain.catch_all, **{f"aliases.{a}": t for a, t in domain.aliases.items()}}
            said += [
                f"domains[{i}].{what}: {target} is not a mailbox of this site"
                for what, target in wanted.items()
                if target is not None and target not in boxes
            ]
        return said

    def _name_problems(self) -> list[str]:
        names = [d.name for d in self.domains]
        said = [f"domains: {name} stands twice" for name in sorted({n for n in names if names.count(n) > 1})]
        if self.server.hostname in names:
            # docker-mailserver lists its hostname in mydestination; the same name as a mail domain answers 550.
            host = self.server.hostname
            said.append(f"server.hostname: {host} is also a mail domain: name the host mail.{host}")
        return said

    @property
    def mailboxes(self) -> dict[str, Mailbox]:
        """Every mailbox of the site by address."""
        return {m.address: m for d in self.domains for m in d.mailboxes}

    @property
    def used_relays(self) -> dict[str, Relay]:
        """The relays that send for a domain, in the order of the domains."""
        return {d.relay: self.relays[d.relay] for d in self.domains if d.relay != "direct"}

    @property
    def rehearsed(self) -> bool:
        """Whether the addresses are the testbed's, where 198.18.0.0/15 and 2001:db8::/32 count as public."""
        return ipaddress.ip_address(self.server.ipv4) in ipaddress.ip_network("198.18.0.0/15")

    def summary(self, *sections: str) -> Table:
        """What this run believes; secrets show as references."""
        told = self.model_dump(mode="json", exclude_none=True)
        rows = [(path, value) for s in sections or tuple(told) for path, value in _leaves(s, told[s])]
        return Table(f"site {self.name}", ("param", "value"), tuple(rows))


def _leaves(path: str, node: Any) -> list[tuple[str, str]]:
    if isinstance(node, Mapping):
        return [leaf for k, v in node.items() for leaf in _leaves(f"{path}.{k}", v)]
    if isinstance(node, list) and any(isinstance(v, Mapping) for v in node):
        return [leaf for i, v in enumerate(node) for leaf in _leaves(f"{path}[{i}]", v)]
    return [(path, ", ".join(map(str, node)) if isinstance(node, list) else str(node))]


def load(site: Site | Mapping[str, Any] | str | Path) -> Site:
    """The site from a params file's path, from what is in one, or from itself; its secrets are masked from here on.

    Raises ParamsError with every problem.
    """
    if isinstance(site, Site):
        return site
    loaded = _checked(site, "site") if isinstance(site, Mapping) else _checked(read(site), str(site))
    learn_quietly(_secrets(loaded))
    masking.install()
    return loaded


def _secrets(node: object) -> Iterator[Secret]:
    if isinstance(node, Secret):
        yield node
    elif isinstance(node, BaseModel):
        yield from _secrets(list(node.__dict__.values()))
    elif isinstance(node, Mapping):
        yield from _secrets(list(node.values()))
    elif isinstance(node, list | tuple):
        for part in node:
            yield from _secrets(part)


def read(path: str | Path) -> Mapping[str, Any]:
    """What stands under `site` in a params file, unchecked.

    Raises ParamsError when it cannot be read, is no YAML or has another top level.
    """
    try:
        given = yaml.safe_load(locate(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ParamsError(str(path), [("", f"cannot be read: {error.strerror}")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParamsError(str(path), [("", f"is not YAML: {_where(error)}")]) from None
    if not isinstance(given, Mapping) or set(given) != {"site"} or not isinstance(given["site"], Mapping):
        raise ParamsError(str(path), [("", "expected one top-level key, site, with a mapping under it")])
    found: Mapping[str, Any] = given["site"]
    return found


def _where(error: Exception) -> str:
    """The place without the text there: it may be a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or type(error).__name__
    return f"{problem} at line {mark.line + 1}, column {mark.column + 1}" if mark else str(problem)


def _checked(given: Mapping[str, Any], source: str) -> Site:
    try:
        return Site.model_validate(given)
    except ValidationError as error:
        raise ParamsError(source, [_problem(e) for e in _causes(error.errors(include_url=False))]) from None


def _causes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without "too few items" where the items are there and wrong: pydantic counts only the valid ones."""
    deeper = {e["loc"][: len(e["loc"]) - n] for e in errors for n in range(1, len(e["loc"]))}
    missing = {e["msg"]: e["loc"] for e in reversed(errors) if e["type"] == "testbed"}  # one testbed, one complaint
    return [
        e
        for e in errors
        if (e["type"] != "too_short" or e["loc"] not in deeper) and missing.get(e["msg"], e["loc"]) == e["loc"]
    ]


def problems(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Everything wrong in what stands under `site`: (path, what was expected and seen) pairs."""
    try:
        _checked(given, "site")
    except ParamsError as error:
        return error.problems
    return []


def _problem(error: ErrorDetails) -> tuple[str, str]:
    path = ""
    for part in error["loc"]:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    if error["type"] == "extra_forbidden":
        return path, UNKNOWN_KEY
    seen = error.get("input")
    # Only what cannot be a secret is repeated: short plain words and numbers where no secret is expected.
    shown = (
        error["type"] not in {"literal_secret", "site", "testbed"}
        and isinstance(seen, str | int | float)
        and seen != ""
    )
    message = error["msg"][0].lower() + error["msg"][1:]
    return path, f"{message}; saw {seen!r}" if shown and "saw" not in message and "read" not in message else message
