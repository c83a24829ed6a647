"""What stands on a host with Postfix, or with none yet, read in one round trip and changed by nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from runbooklib import host
from runbooklib.host import Answer, os_release
from runbooklib.params import Site
from runbooklib.results import Shown, Table
from runbooklib.servers import files, retired
from runbooklib.servers.files import FileFact
from runbooklib.servers.postfix import checking, dovecot, layout
from runbooklib.servers.retired import Retired

MAIN_CF, MASTER_CF = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
PACKAGES = (
    "postfix",
    "libsasl2-modules",  # PLAIN and LOGIN: without them Postfix logs in to no relay
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-sieve",
    "opendkim",
    "opendkim-tools",
    "opendmarc",
    "dbconfig-no-thanks",  # keeps out the database that OpenDMARC would bring
)
RIVALS = (
    "exim4-daemon-light",
    "exim4-daemon-heavy",
    "sendmail-bin",
    "opensmtpd",
)  # which Debian takes away for Postfix
SYSLOG = "inetutils-syslogd"  # where neither systemd nor another one writes the log
TEXTS = (
    layout.MAILBOXES,
    layout.ALIASES,
    layout.OWNERS,
    layout.REFUSED,
    layout.MARK,
    dovecot.CONFIG,
    checking.CONFIG,
    layout.SENDERS,
    layout.TRANSPORTS,
    layout.POLICIES,
    layout.RETIRED,
)
# Only their digest is read.
SEALED = (layout.CERTIFICATE, layout.KEY, layout.USERS, layout.LOGINS, layout.RELAY_CA)
SERVICES = ("postfix", "dovecot", "opendkim", "opendmarc", SYSLOG)
# What Debian's and Ubuntu's packages themselves write into main.cf, whatever was answered at installation.
DEBIANS = re.compile(
    r"alias_database|alias_maps|append_dot_mydomain|biff|compatibility_level|cyrus_sasl_config_path|default_transport|"
    r"inet_interfaces|inet_protocols|mailbox_command|mailbox_size_limit|mydestination|myhostname|mynetworks|"
    r"mynetworks_style|myorigin|readme_directory|html_directory|recipient_delimiter|relay_transport|relayhost|"
    r"smtp_tls_(CAfile|CApath|security_level|session_cache_database)|smtpd_banner|smtpd_relay_restrictions|"
    r"smtpd_tls_(cert_file|key_file|security_level|session_cache_database)|smtpd_use_tls"
)
LISTENING = re.compile(r"^(?:LISTEN\s+)?\d+\s+\d+\s+(\S+):(\d+)\s+\S+(?:\s+users:\(\(\"([^\"]+)\")?", re.MULTILINE)
REDIRECT = re.compile(r'\bredirect\b[^;"]*"([^"\s]+@[^"\s]+)"', re.IGNORECASE)  # RFC 5228 4.2
# A milter's address, by what is known to listen there, and the programs that sign.
SIGNERS = {
    "opendkim": re.compile(r"opendkim|:8891\b|:12301\b"),
    "rspamd": re.compile(r"rspamd|:11332\b"),
    "amavis": re.compile(r"amavis|:10024\b|:10026\b"),
    "dkimpy-milter": re.compile(r"dkimpy|:8892\b"),
}


@dataclass(frozen=True)
class Listener:
    """A TCP port somebody listens on."""

    address: str
    port: int
    program: str = ""

    @property
    def loopback(self) -> bool:
        return self.address.startswith(("127.", "[::1]"))


@dataclass(frozen=True)
class State(Shown):
    """What stands on the host."""

    os: Mapping[str, str] = field(default_factory=dict)
    systemd: bool = False
    syslog: bool = False  # whether somebody writes what is logged
    packages: Mapping[str, str] = field(default_factory=dict)  # installed ones -> version
    parameters: Mapping[str, str] = field(default_factory=dict)  # what main.cf sets
    services: Mapping[str, str] = field(default_factory=dict)  # master.cf, by name/type
    complaints: tuple[str, ...] = ()  # what postconf warns of
    local: frozenset[str] = frozenset()  # mail domains of params whose mailboxes are the system's users
    dovecot: tuple[int, ...] = ()  # version
    passdb: frozenset[str] = frozenset()  # by what Dovecot checks passwords
    files: Mapping[str, FileFact] = field(default_factory=dict)  # by path; ours relative to mail.directory
    mailboxes: frozenset[str] = frozenset()  # of our passwd file
    listeners: tuple[Listener, ...] = ()
    running: frozenset[str] = frozenset()  # names of processes
    enabled: frozenset[str] = frozenset()  # services that start at boot
    nameservers: tuple[str, ...] = ()  # whom its programs ask
    vmail: bool = False  # whether the user of the mailboxes is there
    networks: tuple[str, ...] = ()  # who relays without a login
    address: str = "127.0.0.1"  # one of its own by which strangers' mail comes in
    redirects: frozenset[str] = frozenset()  # where users' Sieve scripts send mail on to

    def text(self, path: str) -> str | None:
        """A file's text, None where there is no file."""
        return self.files[path].text if path in self.files else None

    @property
    def retired(self) -> tuple[Retired, ...]:
        """The keys and relays that were left, as the server remembers them."""
        return retired.parse(self.text(layout.RETIRED) or "")

    @property
    def there(self) -> bool:
        """Whether a mail server stands: ours, or that of others."""
        return "postfix" in self.packages and (self.marked or not self.fresh)

    @property
    def marked(self) -> bool:
        """Whether stage 01 set this host up."""
        return layout.MARK in self.files

    @property
    def fresh(self) -> bool:
        """Whether the host is ours to set up: it has no mail server, only Debian's untouched one, or ours."""
        return self.marked or not (self._postfix_in_use or self.passdb - {"pam"})

    @property
    def _postfix_in_use(self) -> bool:
        own = {name for name in self.parameters if not DEBIANS.fullmatch(name)}
        return bool(own or self.local or self.parameters.get("relayhost") or "submission/inet" in self.services)

    @property
    def milters(self) -> str:
        """Where Postfix hands mail to be looked at or signed."""
        told = [self.parameters.get(n, "") for n in ("smtpd_milters", "non_smtpd_milters", "content_filter")]
        told += [entry for entry in self.services.values() if "milters=" in entry or "content_filter=" in entry]
        return " ".join(told)

    @property
    def signers(self) -> tuple[str, ...]:
        """The programs that may sign: those Postfix hands mail to, and only then."""
        return tuple(name for name, known in SIGNERS.items() if known.search(self.milters))

    @property
    def ports(self) -> frozenset[int]:
        return frozenset(listener.port for listener in self.listeners)

    def listening(self, port: int) -> str:
        """The program that strangers reach at a port; empty for none."""
        found = [x.program or "somebody" for x in self.listeners if x.port == port and not x.loopback]
        return next(iter(found), "")

    def parts(self) -> tuple[str, tuple[str, ...], list[tuple[str, ...]]]:
        told = {
            "system": self.os.get("PRETTY_NAME", "unknown"),
            "init": "systemd" if self.systemd else "init scripts",
            "Postfix": self.packages.get("postfix", "absent"),
            "Dovecot": self.packages.get("dovecot-core", "absent"),
            "this host": self.kind,
            "mail domains": self.parameters.get("virtual_mailbox_domains", "") or "none named in main.cf",
            "mailboxes": ", ".join(sorted(self.mailboxes)) or "none of ours",
            "milters": " ".join(dict.fromkeys(self.milters.split())) or "none",
            "signs": ", ".join(self.signers) or "nobody",
            "listens": ", ".join(map(str, sorted(self.ports))) or "nowhere",
            "files": ", ".join(sorted(self.files)) or "none",
            "Postfix complains": "\n".join(self.complaints),
        }
        return "on the server", ("what", "is"), [(what, value) for what, value in told.items() if value]

    @property
    def kind(self) -> str:
        """Whose host this is, in words."""
        if self.marked:
            return "set up by stage 01"
        return "fresh: stage 01 sets it up" if self.fresh else "serves already: nothing is installed or made here"

    def data(self) -> dict[str, Any]:
        title, columns, rows = self.parts()
        return Table(title, columns, tuple(rows)).data()


def path(site: Site, name: str) -> str:
    """Where a file of ours is on the server; an absolute name stays."""
    return str(PurePosixPath(site.mail.directory) / name)


def observe(site: Site) -> State:
    """What stands on the server; nothing is installed or refreshed for asking."""
    return parse(site, host.connect(site).facts(_commands(site)))


def _commands(site: Site) -> dict[str, str]:
    sieve = f"{dovecot.MAIL}/*/*/.dovecot.sieve {dovecot.MAIL}/*/*/sieve/*.sieve"
    packages = " ".join((*PACKAGES, *RIVALS, SYSLOG))
    commands = {
        "os": "cat /etc/os-release",
        "systemd": "test -d /run/systemd/system",
        "syslog": "test -S /dev/log",
        "packages": f"dpkg-query -W -f '${{db:Status-Abbrev}} ${{Package}} ${{Version}}\\n' {packages}",
        "parameters": "postconf -n 2>/dev/null",
        "complaints": "postconf -n 2>&1 >/dev/null",
        "services": "postconf -M 2>/dev/null",
        "networks": "postconf -xh mynetworks 2>/dev/null",
        "addresses": "ip -o -4 addr show scope global",
        "local": "postconf -xh mydestination 2>/dev/null",
        "dovecot": "dovecot --version",
        "doveconf": "doveconf -n 2>/dev/null",
        "mailboxes": f"cut -d: -f1 {path(site, layout.USERS)}",
        "listeners": "ss -Hltnp",
        "running": "ps -eo comm=",
        "enabled": _enabled(),
        "nameservers": "grep -E '^nameserver ' /etc/resolv.conf",
        "vmail": f"id -u {dovecot.USER}",
        "redirects": f'for f in {sieve}; do test -f "$f" && grep -h redirect "$f"; done; true',
    }
    for name in (*TEXTS, *SEALED):
        commands[f"file {name}"] = files.question(path(site, name), text=name in TEXTS)
    return commands


def _enabled() -> str:
    """The services that start at boot, one a line, with and without systemd."""
    names = " ".join(SERVICES)
    by_systemd = f'for s in {names}; do systemctl -q is-enabled "$s" 2>/dev/null && echo "$s"; done'
    by_init = f'for s in {names}; do ls /etc/rc2.d/S??"$s" >/dev/null 2>&1 && echo "$s"; done'
    return f"if [ -d /run/systemd/system ]; then {by_systemd}; else {by_init}; fi; true"


def parse(site: Site, facts: Mapping[str, Answer]) -> State:
    """The state, from the answers of the server; what was not answered is absent."""
    told = {name: answer.out for name, answer in facts.items() if answer.ok}
    lines = {name: out.splitlines() for name, out in told.items()}
    return State(
        os=os_release(told.get("os", "")),
        systemd="systemd" in told,
        syslog="syslog" in told or "systemd" in told,
        packages=_packages(facts["packages"].out if "packages" in facts else ""),
        parameters=_parameters(lines.get("parameters", [])),
        services=_services(lines.get("services", [])),
        complaints=tuple(line for line in lines.get("complaints", []) if line),
        local=frozenset(re.split(r"[\s,]+", told.get("local", ""))) & {d.name for d in site.domains},
        dovecot=dovecot.version_of(told.get("dovecot", "")),
        passdb=passdbs(told.get("doveconf", "")),
        files={name: found for name in (*TEXTS, *SEALED) if (found := files.answered(lines.get(f"file {name}", [])))},
        mailboxes=frozenset(filter(None, lines.get("mailboxes", []))),
        listeners=tuple(Listener(a, int(p), who) for a, p, who in LISTENING.findall(told.get("listeners", ""))),
        running=frozenset(line.strip() for line in lines.get("running", [])),
        enabled=frozenset(filter(None, lines.get("enabled", []))),
        nameservers=tuple(line.split()[1] for line in lines.get("nameservers", []) if len(line.split()) > 1),
        vmail="vmail" in told,
        networks=tuple(filter(None, re.split(r"[\s,]+", told.get("networks", "")))),
        address=_address(site, told.get("addresses", "")),
        redirects=frozenset(REDIRECT.findall(told.get("redirects", ""))),
    )


def _address(site: Site, text: str) -> str:
    """The address of params where the host has it itself; behind a cloud's translation its own."""
    own = re.findall(r"\binet ([\d.]+)/", text)
    return site.server.ipv4 if site.server.ipv4 in own else next(iter(own), "127.0.0.1")


def _packages(text: str) -> dict[str, str]:
    """The installed ones; dpkg-query fails when it does not know one of several, and still tells of the others."""
    return dict(re.findall(r"^ii  ?(\S+) (\S+)", text, re.MULTILINE))


def _parameters(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def _services(lines: list[str]) -> dict[str, str]:
    entries = ((line.split(None, 2), line) for line in lines)
    return {f"{words[0]}/{words[1]}": line for words, line in entries if len(words) > 2}  # noqa: PLR2004


def passdbs(text: str) -> frozenset[str]:
    """By what passwords are checked, from `doveconf -n`: `passdb { driver = x` in 2.3, `passdb x {` in 2.4."""
    return frozenset(
        old or new for new, old in re.findall(r"^passdb (?:(\S+) )?\{(?:[^}]*?\bdriver = (\S+))?", text, re.MULTILINE)
    )
