"""What the form asks for: each entry's place in the params file, its words, and when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Dmarc, Dns, Mail, Relay
from runbooklib.params.recipients import PROVIDERS as KNOWN

SERVER, TAG = "mail.server", "mail.tag"
RELAY = "domains[0].relay"  # asked as a provider, written as the name of a section under relays
PUBLISH, PRESET = "dns.publish", "test.recipients[0].preset"
PROVIDERS = (*get_args(Relay.model_fields["provider"].annotation), "direct")

Values = Mapping[str, str | bool]  # by the entry's path; "" is not said
When = Callable[[Values], bool]
Kind = Literal["text", "number", "reference", "choice", "tick"]


@dataclass(frozen=True)
class Entry:
    """One question of the form; the second part of a relays path is the provider it belongs to."""

    path: str
    label: str
    hint: str  # shown under the question, and the comment beside the value in the file
    example: str = ""
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    when: When | None = None  # asked only when what has been said so far is so
    servers: tuple[str, ...] = ()  # the mail servers that know it; none named: all


@dataclass(frozen=True)
class Group:
    """Entries under one heading; the short case is what a first site cannot do without."""

    title: str
    entries: tuple[Entry, ...]
    short: bool = True


def chosen(path: str, value: str) -> When:
    """Whether that entry has this value."""
    return lambda said: said.get(path) == value


def server(said: Values) -> str:
    """The mail server; the first there was where nothing is said."""
    return str(said.get(SERVER) or DOCKER_MAILSERVER)


def over_ssh(said: Values) -> bool:
    """Whether SSH is needed; a mailcow that is only adopted is reached by its API."""
    return server(said) != MAILCOW or bool(said.get(TAG))


def _relay(provider: str, name: str, label: str, hint: str, example: str = "", kind: Kind = "text") -> Entry:
    return Entry(f"relays.{provider}.{name}", label, hint, example, kind, when=chosen(RELAY, provider))


def _relay_dkim(provider: str, selector: str) -> tuple[Entry, ...]:
    return (
        _relay(provider, "dkim[0].selector", "its DKIM selector", "the label before ._domainkey it asks for", selector),
        _relay(provider, "dkim[0].cname", "… as CNAME", "the target it shows, if it asks for a CNAME"),
        _relay(provider, "dkim[0].value", "… or as TXT", "the value it shows, if it asks for a TXT record", "p=MIIB…"),
    )


def _rfc2136(name: str, label: str, hint: str, example: str = "", kind: Kind = "text") -> Entry:
    return Entry(f"dns.rfc2136.{name}", label, hint, example, kind, when=chosen(PUBLISH, "rfc2136"))


def _lexicon(name: str, label: str, hint: str, example: str, kind: Kind = "text") -> Entry:
    return Entry(f"dns.lexicon.{name}", label, hint, example, kind, when=chosen(PUBLISH, "lexicon"))


def _preset(name: str, label: str, hint: str, example: str) -> Entry:
    """Asked where a preset says which servers it opens."""
    return Entry(f"test.recipients[0].{name}", label, hint, example, "reference", when=lambda s: bool(s.get(PRESET)))


def _login(service: str, what: str, port: str) -> tuple[Entry, ...]:
    """Asked where no preset stands for it."""

    def entry(name: str, label: str, hint: str, example: str, kind: Kind = "text") -> Entry:
        path = f"test.recipients[0].{service}.{name}"
        return Entry(path, f"{what} {label}", hint, example, kind, when=lambda said: not said.get(PRESET))

    return (
        entry("host", "host", f"to {what.lower()} as the stranger would", f"{service}.example.org"),
        entry("port", "port", f"TLS at once on {port}" if port == "993" else "STARTTLS", port, "number"),
        entry("username", "user", "the stranger's login", "someone@example.org"),
        entry("password", "password", "where it is kept", "env:SOMEONE_PASSWORD", "reference"),
    )


COW, UPLOADED = (MAILCOW,), (DOCKER_MAILSERVER, POSTFIX)
GROUPS = (
    Group(
        "Domain and server",
        (
            Entry("domains[0].name", "mail domain", "what stands after the @", "lantern.example"),
            Entry("server.hostname", "host name", "MX target, certificate name, HELO name, PTR; not the mail domain"),
            Entry("server.ipv4", "IPv4 address", "the server's public address", "203.0.113.10"),
            Entry("server.ipv6", "IPv6 address", "leave empty if it has none, or none that should carry mail", "none"),
            Entry("name", "site name", "names the run folders"),
        ),
    ),
    Group(
        "Mail server",
        (
            Entry(
                SERVER,
                "program",
                "docker-mailserver: one container; mailcow: by its API; postfix: on the host, fresh or serving",
                kind="choice",
                choices=get_args(Mail.model_fields["server"].annotation),
            ),
            Entry("mail.url", "mailcow's address", "its pages and API", "https://mail.lantern.example", servers=COW),
            Entry(
                "mail.api_key",
                "API key",
                "a read-write key: System > Configuration > Access > API",
                "env:MAILCOW_API_KEY",
                "reference",
                servers=COW,
            ),
            Entry(TAG, "install release", "over SSH; empty: a mailcow that is there, by its API alone", servers=COW),
            Entry(
                "mail.tls.certificate",
                "certificate file",
                "for the host name, PEM with the chain, on this machine; empty with postfix: the server has its own",
                "certs/mail.pem",
                servers=UPLOADED,
            ),
            Entry("mail.tls.key", "key file", "its private key, on this machine", "certs/mail.key", servers=UPLOADED),
        ),
    ),
    Group(
        "SSH",
        (
            Entry("server.host", "connects to", "address or name; the IPv4 address when empty", when=over_ssh),
            Entry(
                "server.ssh.key",
                "private key file",
                "a path; the SSH agent when empty",
                "~/.ssh/id_ed25519",
                when=over_ssh,
            ),
            Entry(
                "server.ssh.host_key",
                "host key",
                "fingerprint as `ssh-keygen -lf` prints it on the server; known_hosts when empty",
                "SHA256:…",
                when=over_ssh,
            ),
        ),
    ),
    Group(
        "Mailbox",
        (
            Entry("domains[0].mailboxes[0].address", "first mailbox", "a login and an address", "hi@lantern.example"),
            Entry(
                "domains[0].mailboxes[0].password",
                "its password",
                "env:NAME, file:PATH or keyring:SERVICE/USER; the value itself is never written",
                "env:HI_PASSWORD",
                "reference",
            ),
            Entry("domains[0].catch_all", "catch-all", "takes unknown addresses; empty: they are refused", "none"),
            Entry(
                "mail.filter",
                "inbound filter",
                "what looks at mail before it is accepted; a catch-all needs one",
                kind="choice",
                choices=get_args(Mail.model_fields["filter"].annotation),
                servers=UPLOADED,
            ),
        ),
    ),
    Group(
        "Relay",
        (
            Entry(
                RELAY,
                "sends through",
                "smtp: any other smarthost; direct: no relay, needs port 25 out",
                kind="choice",
                choices=PROVIDERS,
            ),
            _relay("resend", "api_key", "admin key", "manages domains; stays here", "env:RESEND_ADMIN", "reference"),
            _relay("resend", "password", "sending key", "all that reaches the server", "env:RESEND_KEY", "reference"),
            *_relay_dkim("resend", "resend"),
            _relay("mxroute", "host", "relay host", "the server name from the welcome mail", "name.mxrouting.net"),
            _relay("mxroute", "username", "user", "a mailbox made in their panel, whole address", "hi@lantern.example"),
            _relay("mxroute", "password", "password", "that mailbox's", "env:MXROUTE_PASSWORD", "reference"),
            _relay("mxroute", "api_user", "panel user", "with the API key; empty: by hand", "lantern"),
            _relay("mxroute", "api_key", "API key", "manages domains; stays here", "env:MXROUTE_API", "reference"),
            *_relay_dkim("mxroute", "x"),
            _relay("smtp", "host", "relay host", "the smarthost's name", "smtp.example.net"),
            _relay("smtp", "port", "port", "587 begins with STARTTLS, 465 with TLS", "587", "number"),
            _relay("smtp", "username", "user", "as the provider gave it"),
            _relay("smtp", "password", "password", "where it is kept", "env:SMARTHOST_PASSWORD", "reference"),
            _relay("smtp", "spf", "SPF mechanism", "names the smarthost's addresses", "include:spf.example.net"),
            *_relay_dkim("smtp", "s1"),
        ),
    ),
    Group(
        "DNS",
        (
            Entry(
                PUBLISH,
                "published",
                "by-hand: you paste the records; rfc2136: a TSIG-signed update; lexicon: a provider's API",
                kind="choice",
                choices=get_args(Dns.model_fields["publish"].annotation),
            ),
            _rfc2136("server", "update server", "address of the primary", "203.0.113.53"),
            _rfc2136("key.name", "TSIG key name", "as the server knows it", "mail-runbooks"),
            _rfc2136("key.secret", "TSIG secret", "where it is kept", "env:TSIG_SECRET", "reference"),
            _lexicon("provider", "DNS provider", "its name in dns-lexicon", "cloudflare"),
            _lexicon("secrets.auth_token", "API token", "where it is kept", "env:DNS_TOKEN", "reference"),
            Entry(
                "domains[0].dmarc.policy",
                "DMARC policy",
                "for a domain that publishes none yet; begin with none",
                kind="choice",
                choices=get_args(Dmarc.model_fields["policy"].annotation),
            ),
            Entry("domains[0].dmarc.rua", "DMARC reports to", "where receivers send aggregate reports", "none"),
        ),
        short=False,
    ),
    Group(
        "Someone outside, for the test messages of 05",
        (
            Entry("test.recipients[0].address", "recipient", "a mailbox elsewhere that you read", "you@example.org"),
            Entry(PRESET, "its provider", f"where it is one of {', '.join(KNOWN)}", "gmail"),
            _preset("password", "its password", "an app password, or an authorisation code", "env:THEIR_PASSWORD"),
            _preset("oauth", "… or token", "an OAuth access token; Microsoft takes nothing else", "env:THEIR_TOKEN"),
            *_login("imap", "Read", "993"),
            *_login("submission", "Write back", "587"),
            Entry("test.reflector", "reflector", "an address that answers what it is sent", "echo@example.org"),
            Entry(
                "test.smtp25",
                "port 25 from here",
                "this machine may itself speak to the server's port 25",
                kind="tick",
            ),
        ),
        short=False,
    ),
    Group(
        "Details with good defaults",
        (
            Entry("server.ssh.user", "SSH user", "root, or one with sudo", "root", when=over_ssh),
            Entry("server.ssh.port", "SSH port", "where sshd listens", "22", "number", when=over_ssh),
            Entry("mail.directory", "directory", "on the server; everything of ours lives in it", when=over_ssh),
            Entry(
                "mail.image",
                "image",
                "pinned to a release",
                "ghcr.io/docker-mailserver/docker-mailserver:15.1.0",
                servers=(DOCKER_MAILSERVER,),
            ),
            Entry("mail.tls.ca", "private CA", "PEM file, when no public CA issued the certificate", "none"),
            Entry(
                "domains[0].dkim.selector",
                "DKIM selector",
                "the server's own key; empty: mail, with mailcow dkim",
            ),
        ),
        short=False,
    ),
)
ENTRIES = tuple(entry for group in GROUPS for entry in group.entries)
