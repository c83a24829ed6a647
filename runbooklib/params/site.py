"""The site model: one server, its mail domains, the relays that send for them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from runbooklib.params import forwarding, reporting, reserved, silence
from runbooklib.params.dns import Dns, MtaSts
from runbooklib.params.fields import (
    Address,
    Addresses,
    Allowance,
    Duration,
    Fingerprint,
    HostName,
    IPv4,
    IPv6,
    Mechanisms,
    Name,
    Network,
    Port,
    Reference,
    Selector,
    Size,
    Text,
    Url,
    matching,
    refuse,
)
from runbooklib.params.mail import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Mail
from runbooklib.params.model import Model
from runbooklib.params.recipients import Recipient
from runbooklib.params.rspamd import Rspamd
from runbooklib.results import Table

SITE_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,62}$")  # becomes a folder's name
IMPLICIT_TLS = {465, 2465}
MAILCOW_SELECTOR = "dkim"


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

    @model_validator(mode="before")
    @classmethod
    def _address(cls, given: Any) -> Any:
        """SSH connects to the address of mail where nothing else is named."""
        known = isinstance(given, Mapping) and "ipv4" in given
        return {"host": given["ipv4"], **given} if known else given


class Mailbox(Model):
    """A mailbox and, for when it is made, its password."""

    address: Address
    password: Reference
    quota: Size | None = None  # None: as it is; full, it refuses mail in SMTP


class Dkim(Model):
    """The server's own signing key; another selector means another key, and the old one is retired."""

    selector: Selector = "mail"
    size: Literal[1024, 2048, 4096] = 2048
    ed25519: Selector | None = None  # selector of a second key (RFC 8463), where the server can sign with two
    retire_after: Duration = "7d"  # how long mail signed with the old key may be on its way


class Dmarc(Model):
    """The policy to come to, a rung at a time as reports allow it, and where reports go."""

    policy: Literal["none", "quarantine", "reject"] = "none"
    rua: Address | None = None
    disowned: tuple[Network, ...] = ()  # addresses in the reports that send as the domain and are not its owner's


class Domain(Model):
    """A mail domain, who lives there, and the relay that sends for it."""

    name: Name
    relay: Text  # a name under relays, or direct
    mailboxes: tuple[Mailbox, ...] = ()
    aliases: dict[Address, Addresses] = Field(default_factory=dict)
    catch_all: Address | None = None
    take_over_mx: bool = False  # whether an MX of others may give way: it moves mail that arrives elsewhere today
    forward: Text | None = None  # direct, or a relay: by what mail leaves that an alias sends on to others
    refuse: tuple[Address, ...] = ()
    dkim: Dkim = Dkim()
    dmarc: Dmarc = Dmarc()
    mta_sts: MtaSts = MtaSts()
    tls_rpt: Address | None = None  # who gets reports on TLS; None: who gets those on DMARC, else postmaster

    @property
    def tls_reports(self) -> str:
        """Who gets reports on TLS."""
        return self.tls_rpt or self.dmarc.rua or f"postmaster@{self.name}"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        boxes = [m.address for m in self.mailboxes]
        own = {"mailboxes": boxes, "aliases": list(self.aliases), "refuse": list(self.refuse)}
        for what, addresses in own.items():
            foreign = [a for a in addresses if a.rpartition("@")[2] != self.name]
            if foreign:
                raise refuse("foreign", f"{what}: {', '.join(foreign)} is not in {self.name}")
        every = boxes + list(self.aliases) + list(self.refuse)
        twice = sorted({a for a in every if every.count(a) > 1})
        if twice:
            raise refuse("twice", f"{', '.join(twice)} stands in more than one of mailboxes, aliases and refuse")
        return self


class RelayDkim(Model):
    """A DKIM record the relay wants in our zone: a CNAME, or the TXT value."""

    selector: Selector
    domain: Name | None = None  # the one it is for; None: every domain this relay sends for
    cname: Name | None = None
    value: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.cname is None) == (self.value is None):
            raise refuse("one_of", "expected either cname or value, as the provider shows it")
        return self


class Relay(Model):
    """A smarthost: where it listens, how to log in, which records it wants."""

    provider: Literal["smtp", "resend", "mxroute"]
    host: Name | None = None
    port: Port = 587
    tls: Literal["starttls", "implicit"] | None = None
    username: Text | None = None
    password: Reference | None = None
    api: Url | None = None  # the provider's API where it is not the provider's usual one
    api_user: Text | None = None  # MXRoute's panel user, who goes with api_key
    api_key: Reference | None = None  # manages domains; never leaves this machine
    ca: Text | None = None  # PEM of a private CA; None: the public ones
    spf: Mechanisms | None = None  # what names the relay's pool, e.g. include:spf.example.net, or a mx include:…
    return_path: Text | None = None  # label the relay puts MAIL FROM under, e.g. send
    region: Text | None = None
    dkim: tuple[RelayDkim, ...] = ()
    forwards: bool | None = None  # whether it takes mail of foreign authors; None: as the provider is known to
    retire_after: Duration = "7d"  # how long its records and login stay once no domain sends through it
    allowance: Allowance | None = None  # recipients it takes in an hour or a day; stage 05 uses a tenth at most

    @model_validator(mode="before")
    @classmethod
    def _presets(cls, given: Any) -> Any:
        presets = PRESETS.get(str(given.get("provider")), {}) if isinstance(given, Mapping) else {}
        return {**presets, **given} if presets else given

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.host is None:
            raise refuse("host", f"{self.provider} needs host, the server name from its welcome mail")
        if (self.username is None) != (self.password is None):
            raise refuse("login", "expected username and password together, or neither")
        if self.provider == "mxroute" and (self.api_user is None) != (self.api_key is None):
            raise refuse("api", "expected api_user, the panel's user, and api_key together, or neither")
        if self.username and (":" in self.username or self.username != self.username.strip()):
            raise refuse("login", "Postfix cannot hold a user name with a colon or outer blanks in its login map")
        if self.mode == "implicit" and self.port not in IMPLICIT_TLS and self.tls is None:
            raise refuse("tls", "expected tls: starttls or implicit")
        return self

    @property
    def mode(self) -> Literal["starttls", "implicit"]:
        """How TLS begins: as said, else by the port (RFC 8314 3)."""
        return self.tls or ("implicit" if self.port in IMPLICIT_TLS else "starttls")

    @property
    def takes_forwards(self) -> bool:
        """Whether it sends what others wrote; all on Amazon SES check the author address, Resend among them."""
        if self.forwards is not None:
            return self.forwards
        return self.provider != "resend" and not (self.host or "").endswith(".amazonaws.com")

    def keys_for(self, domain: str) -> tuple[RelayDkim, ...]:
        """The DKIM records params name for a domain."""
        return tuple(d for d in self.dkim if d.domain in {None, domain})


PRESETS: dict[object, dict[str, Any]] = {
    "resend": {
        "host": "smtp.resend.com",
        "username": "resend",
        "return_path": "send",
        "region": "us-east-1",
        "allowance": "100/d",  # the free plan's; others have none a day
    },
    "mxroute": {"spf": "include:mxroute.com", "allowance": "300/h"},
}


class Test(Model):
    """What stage 05 may use."""

    __test__ = False  # pytest collects by name

    recipients: tuple[Recipient, ...] = ()
    reflector: Address | None = None
    smtp25: bool = False  # whether this machine may itself speak to the server's port 25
    rspamd: Rspamd | None = None  # scores what arrived, where the server runs no filter of its own
    testers: tuple[Address, ...] = ()  # at mail-tester.com and its like: written to by hand only
    matrix: bool = False  # whether every recipient gets each form by each port, not one message a domain and run
    saved: tuple[Text, ...] = ()  # files of messages that somebody saved; judged as those that arrive


class Site(Model):
    """One server with one or more mail domains."""

    name: Annotated[Text, AfterValidator(partial(matching, SITE_NAME, "lower-case letters, digits, dots and dashes"))]
    server: Server
    mail: Mail
    domains: Annotated[tuple[Domain, ...], Field(min_length=1)]
    relays: dict[str, Relay] = Field(default_factory=dict)
    dns: Dns = Dns()
    test: Test = Test()

    @model_validator(mode="before")
    @classmethod
    def _selectors(cls, given: Any) -> Any:
        """A mailcow makes a key by itself as it makes a domain, with a selector of its own choice."""
        if not isinstance(given, Mapping) or not isinstance(given.get("mail"), Mapping):
            return given
        if given["mail"].get("server") != MAILCOW or not isinstance(given.get("domains"), list | tuple):
            return given
        return {**given, "domains": [_with_selector(domain) for domain in given["domains"]]}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        host = self.server.hostname
        forwards = forwarding.problems(self.domains, self.relays, host)
        said = [*self._relay_problems(), *self._address_problems(), *forwards, *self._name_problems()]
        said += [*self._server_problems(), *silence.problems(self), *reserved.problems(self), *reporting.problems(self)]
        if said:
            raise refuse("site", "; ".join(said))
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
            wanted = {f"aliases.{a}": targets for a, targets in domain.aliases.items()}
            wanted |= {"catch_all": (domain.catch_all,)} if domain.catch_all else {}
            said += [
                f"domains[{i}].{what}: {target} is not a mailbox of this site"
                for what, targets in wanted.items()
                for target in targets
                if target not in boxes and target not in self.forwarded_to
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

    def _server_problems(self) -> list[str]:
        """What this mail server cannot do."""
        server = self.mail.server
        said = []
        if server == MAILCOW:
            said += [
                f"relays.{name}: mailcow speaks no implicit TLS to a relay (port {relay.port}): use its STARTTLS port, "
                "587, 2525 or 2587"
                for name, relay in self.used_relays.items()
                if relay.mode == "implicit"
            ]
        pages = sorted({"autodiscover", "autoconfig"} & set(self.dns.optional))
        if server != MAILCOW and pages:
            said.append(f"dns.optional: {', '.join(pages)} lead to pages that only mailcow has; the others are for all")
        full = [address for address, mailbox in self.mailboxes.items() if mailbox.quota]
        if server == POSTFIX and full:
            said.append(
                f"mailboxes: quota of {', '.join(full)}: stage 01 sets none on plain Postfix: Dovecot 2.3 and 2.4 "
                "want it each in its own way; leave it out, and set it on the server"
            )
        if server != DOCKER_MAILSERVER and self.forwards:
            said.append(
                f"domains: {', '.join(self.forwards)} lead out of the site; {server} sends that on under the author's "
                "MAIL FROM, which no relay takes and whose SPF fails: let people fetch it, or use docker-mailserver"
            )
        return said

    @property
    def forwards(self) -> dict[str, tuple[str, ...]]:
        """Each alias that leads out of the site, a catch-all as @domain, with its targets elsewhere."""
        return forwarding.outside(self.domains, self.server.hostname)

    @property
    def forwarded_to(self) -> frozenset[str]:
        """The addresses elsewhere that mail is sent on to."""
        return frozenset(address for addresses in self.forwards.values() for address in addresses)

    @property
    def forward_route(self) -> str:
        """What forwards leave by: direct, or the name of a relay; empty where there are none."""
        senders = forwarding.forwarding(self.domains, self.server.hostname)
        return forwarding.route(senders[0]) if senders else ""

    @property
    def sends_directly(self) -> bool:
        """Whether the server itself hands mail to strangers: that of a direct domain, or forwards."""
        return self.forward_route == forwarding.DIRECT or any(d.relay == forwarding.DIRECT for d in self.domains)

    @property
    def srs_domain(self) -> str:
        """The domain SRS puts into the MAIL FROM of forwards, one that their route sends for; empty without any."""
        if self.forward_route in {"", forwarding.DIRECT}:
            return self.server.hostname if self.forward_route else ""
        return next(d.name for d in self.domains if d.relay == self.forward_route)

    @property
    def mailboxes(self) -> dict[str, Mailbox]:
        """Every mailbox of the site by address."""
        return {m.address: m for d in self.domains for m in d.mailboxes}

    @property
    def used_relays(self) -> dict[str, Relay]:
        """The relays that send for a domain, in the order of the domains."""
        return {d.relay: self.relays[d.relay] for d in self.domains if d.relay != "direct"}

    def domain(self, name: str) -> Domain:
        """The mail domain of that name."""
        return next(d for d in self.domains if d.name == name)

    def takes(self, address: str) -> bool:
        """Whether a mailbox, an alias or a catch-all of the site is there for an address, or for a sub-address."""
        local, _, name = address.lower().rpartition("@")
        plain = f"{local.partition('+')[0]}@{name}"  # RFC 5233
        named = {a for d in self.domains for a in (*(m.address for m in d.mailboxes), *d.aliases)}
        catching = {d.name for d in self.domains if d.catch_all and not {address.lower(), plain} & set(d.refuse)}
        return bool({address.lower(), plain} & named) or name in catching

    def relay_of(self, domain: Domain) -> Relay | None:
        """The relay that sends for a domain; None: it sends directly."""
        return None if domain.relay == "direct" else self.relays[domain.relay]

    @property
    def rehearsed(self) -> bool:
        """Whether the addresses are the testbed's, where 198.18.0.0/15 and 2001:db8::/32 count as public."""
        return ipaddress.ip_address(self.server.ipv4) in ipaddress.ip_network("198.18.0.0/15")

    def summary(self, *sections: str) -> Table:
        """What this run believes; secrets show as references."""
        told = self.model_dump(mode="json", exclude_none=True)
        rows = [(path, value) for s in sections or tuple(told) for path, value in _leaves(s, told[s]) if value]
        return Table(f"site {self.name}", ("param", "value"), tuple(rows))


def _with_selector(domain: Any) -> Any:
    if not isinstance(domain, Mapping) or not isinstance(domain.get("dkim", {}), Mapping):
        return domain
    return {**domain, "dkim": {"selector": MAILCOW_SELECTOR, **domain.get("dkim", {})}}


def _leaves(path: str, node: Any) -> list[tuple[str, str]]:
    if isinstance(node, Mapping):
        return [leaf for k, v in node.items() for leaf in _leaves(f"{path}.{k}", v)]
    if isinstance(node, list) and any(isinstance(v, Mapping) for v in node):
        return [leaf for i, v in enumerate(node) for leaf in _leaves(f"{path}[{i}]", v)]
    return [(path, ", ".join(map(str, node)) if isinstance(node, list) else str(node))]
