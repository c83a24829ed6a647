"""What a host with plain Postfix says of itself, with systemd and without, in programs that change nothing.

`postfix check` would make directories that are missing, so it is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from runbooklib import host
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.probes import banned, certificates, login, machine, mailflow, sending, signer
from runbooklib.probes.asking import once
from runbooklib.probes.docker_mailserver import ports, settings
from runbooklib.probes.mailflow import UnseenError
from runbooklib.servers.postfix import sending as tables_of

ABSENT = "absent"
DNS_SECONDS = 4.0
# Processes of containers on the same host bear the same names: only those of our own namespace count.
RUNNING = "pgrep -x --ns $$ --nslist pid {0} >/dev/null && echo RUNNING || systemctl is-active {0} 2>/dev/null"
SERVICES = {
    "postfix": f"command -v postfix >/dev/null || {{ echo {ABSENT}; exit; }}; "
    "postfix status >/dev/null 2>&1 && echo RUNNING || echo STOPPED",
    "dovecot": f"command -v dovecot >/dev/null || {{ echo {ABSENT}; exit; }}; {RUNNING.format('dovecot')}",
}
CONFIGURATION = {
    "main.cf and master.cf": "postconf -n 2>&1 >/dev/null; postconf -M 2>&1 >/dev/null",
    "values": "postmap -q x inline:{x=y} 2>&1 >/dev/null",  # reads what every program of Postfix reads as it starts
}
TABLE = re.compile(r"\b(texthash|hash|lmdb|btree|cdb|regexp|pcre|cidr):(/[^\s,;}\"']+)")
DATABASES = {"hash": ".db", "btree": ".db", "lmdb": ".lmdb", "cdb": ".cdb"}  # what postmap makes beside a text
MILTER = re.compile(r"\b(?:inet[46]?|unix|local):[^\s,{}]+")
LMTP = re.compile(r"\blmtp:(?:unix|inet):[^\s,]+")
# A socket whose file was taken away is still listened on, and nobody finds it.
LISTENING = """ss -lxH | while read -r kind state received sent path rest; do
  case "$path" in /*) [ -S "$path" ] && echo "$path";; *) echo "$path";; esac
done"""
# In a chroot, as on Debian, its clients read a copy of the file, as it was when Postfix started.
RESOLV = """r=/etc/resolv.conf
if [ "$(postconf -hF smtp/unix/chroot 2>/dev/null)" = y ]; then r="$(postconf -h queue_directory)$r"; fi
cat "$r" 2>/dev/null || cat /etc/resolv.conf"""


def services(site: Site) -> dict[str, str]:
    """Postfix and Dovecot, RUNNING or what else; Dovecot counts only where it is installed."""
    told = host.connect(site).facts(SERVICES)
    found = {name: answer.out.strip() or "STOPPED" for name, answer in told.items()}
    return {name: state for name, state in found.items() if name == "postfix" or state != ABSENT}


def listeners(site: Site) -> list[int]:
    """The TCP ports that something on the host listens on."""
    return ports(_told(site, "ss", "-ltnH"))


def _told(site: Site, *argv: str) -> str:
    answer = host.connect(site).run(argv, check=False)
    if not answer.ok and not answer.out:
        raise UnseenError(f"`{argv[0]}`: {answer.err.strip() or f'status {answer.status}'}")
    return answer.out


def settings_seen(site: Site) -> dict[str, str]:
    """The settings that rules look at."""
    seen = ("mynetworks", "myhostname", "mydestination", "relayhost", "defer_transports")
    return settings(_told(site, "postconf", "-x", *seen, "message_size_limit", "queue_minfree"))


def configuration(site: Site) -> list[str]:
    """What Postfix finds wrong with its own configuration, so wrong that its programs stop."""
    told = host.connect(site).facts(CONFIGURATION)
    return [line for answer in told.values() for line in fatal(answer.out)]


def fatal(said: str) -> list[str]:
    """The lines that are more than a warning."""
    return [line.strip() for line in said.splitlines() if re.search(r"\b(fatal|error): ", line)]


def tables(site: Site) -> list[str]:
    """The tables Postfix is told to use that are not there."""
    wanted = files(_configured(site))
    if not wanted:
        return []
    script = 'for f do [ -e "$f" ] || echo "$f"; done'
    missing = set(_told(site, "sh", "-c", script, "missing", *wanted).splitlines())
    return [f"{table}: there is no {path}" for path, table in wanted.items() if path in missing]


def _configured(site: Site) -> str:
    """All of its settings, those of single services too, with what names another one put in its place."""
    return _told(site, "sh", "-c", "postconf -nx 2>/dev/null; postconf -Px 2>/dev/null")


def files(configured: str) -> dict[str, str]:
    """For each file that must be there the table it is of."""
    found = (match.groups() for match in TABLE.finditer(configured))
    return {path + DATABASES.get(kind, ""): f"{kind}:{path}" for kind, path in found}


def sockets(site: Site) -> dict[str, bool]:
    """Whether somebody listens where Postfix hands over what arrives, asks for logins, and has mail signed."""
    heard = _told(site, "sh", "-c", LISTENING).split()
    return hearing(wanted(_configured(site)), heard, listeners(site))


def wanted(configured: str) -> list[str]:
    """The sockets that settings name, each with what it is for."""
    found = list[str]()
    for name, _, value in (line.partition("=") for line in configured.splitlines()):
        if name.strip().endswith("milters"):
            found += [f"milter {socket}" for socket in MILTER.findall(value)]
        elif name.strip().endswith("transport"):
            found += [f"lmtp {socket.removeprefix('lmtp:')}" for socket in LMTP.findall(value)]
        elif name.strip().endswith("smtpd_sasl_path") and "dovecot" in configured:
            found += [f"login unix:{value.strip()}"] * ("/" in value)
    return sorted(set(found))


def hearing(sockets: Iterable[str], paths: Iterable[str], tcp: Iterable[int]) -> dict[str, bool]:
    """Which of these sockets somebody listens on; a path in a chroot is the end of the one the system knows."""
    listening, open_ports = tuple(paths), set(tcp)
    told = dict[str, bool]()
    for socket in sockets:
        kind, _, where = socket.partition(" ")[2].partition(":")
        if kind.startswith("inet"):
            host_name, _, port = where.rpartition(":")
            told |= {socket: int(port) in open_ports} if port.isdigit() and _is_here(host_name) else {}
        else:
            told[socket] = any(f"/{path}".endswith(f"/{where.lstrip('/')}") for path in listening)
    return told


def _is_here(name: str) -> bool:
    return name.strip("[]") in {"localhost", "127.0.0.1", "::1"}


def resolver(site: Site) -> str:
    """What the resolver of Postfix answers when asked for the root's name servers: NOERROR, or another word."""
    answer = _asked(host.connect(site), ".", "NS")
    return _word(answer)


def _asked(server: Host, name: str, kind: str) -> dns.message.Message | None:
    """The first answer of a name server that the host names, asked from there by TCP (RFC 7766 5)."""
    told = server.run(("sh", "-c", RESOLV), check=False).out
    for address in dict.fromkeys(re.findall(r"^\s*nameserver\s+(\S+)", told, re.MULTILINE)):
        try:
            with server.dial(address.partition("%")[0], 53, DNS_SECONDS) as sock:
                sock.setblocking(False)  # noqa: FBT003 - the standard library's
                return dns.query.tcp(dns.message.make_query(name, kind), address, DNS_SECONDS, sock=sock)
        except (OSError, EOFError, dns.exception.DNSException):
            continue
    return None


def relay(site: Site, name: str) -> dict[str, Any]:
    """Whether the relay takes our login and senders, from the server itself, as its own resolver finds it."""
    wanted, server = site.relays[name], host.connect(site)
    answer = _asked(server, f"{wanted.host}.", "A")
    records = answer.answer if answer else ()
    addresses = [r.to_text() for rrset in records if rrset.rdtype == dns.rdatatype.A for r in rrset]
    if addresses:
        return login.told(site, name, addresses[0], server.dial)
    if answer and answer.rcode() in {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}:
        return login.nameless(wanted, "the server")
    return login.unanswered(wanted, "the server's resolver", _word(answer))


def _word(answer: dns.message.Message | None) -> str:
    return dns.rcode.to_text(answer.rcode()) if answer else "nothing"


def bans(site: Site) -> dict[str, list[str]]:
    """The addresses that are kept out."""
    return banned.bans(host.connect(site).run(("sh", "-c", banned.SCRIPT), check=False))


def outgoing(site: Site) -> dict[str, Any]:
    """Which way mail leaves, by Postfix's own tables."""
    return sending.told(site, tables_of.effective(site, tables_of.observe(site)))


PROBES: Mapping[str, Callable[[Site], Any]] = {
    "services": services,
    "listeners": listeners,
    "sockets": sockets,
    "configuration": configuration,
    "tables": tables,
    "postfix": settings_seen,
    "resolver": resolver,
    "queue": mailflow.queue,
    "log": mailflow.log,
    "keys": mailflow.keys,
    "signer": signer.on_host,
    "certificates": certificates.on_host,
    "bans": bans,
    **machine.PROBES,
}


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Everything that is asked of the host, by the fact's name."""
    ways = once(partial(outgoing, site))
    yield "sending", ways
    yield from ((name, partial(probe, site)) for name, probe in PROBES.items())
    yield from ((f"relay {name}", partial(relay, site, name)) for name in site.used_relays)
    yield "routes", lambda: sending.hops(ways())
