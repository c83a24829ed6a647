"""The way between, seen from the server: what is published, who seems to come, what gets lost, what is too large."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from ipaddress import ip_address
from typing import Any

from runbooklib import endpoint, host, servers
from runbooklib.endpoint import EndpointError, GreetingError
from runbooklib.host import Host, UnreachableError
from runbooklib.params import Site

SECONDS = 4.0
SUBMISSION = 587  # no postscreen stands before it, so a client is logged at once
LOGGED_SECONDS = 2.0  # until a line is in the log
CAME = re.compile(r"postfix/\S*smtpd\[\d+\]: connect from [^\[\s]*\[(?P<address>[0-9A-Fa-f.:]+)\]")
PACKETS, PAUSE = 120, 0.01  # each way; far enough apart that no packet holds two
# Names of protocols that nobody speaks make TLS's first message larger than any packet (RFC 7301 3.1).
FILLING = ["x" * 255] * 12
# The interface of the default route, else the one that has the server's address.
OUTER = """dev=$(ip -o route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)
[ -n "$dev" ] || dev=$(ip -o addr | grep -F " ADDRESS/" | head -n 1 | cut -d" " -f2)
cat "/sys/class/net/${dev:-eth0}/mtu\""""
INNER = "cat /sys/class/net/eth0/mtu"  # of the container
COUNTERS = {
    "sent": "Tcp OutSegs",
    "resent": "Tcp RetransSegs",
    "unanswered": "TcpExt TCPSynRetrans",  # a dropped connection is another trouble
    "needless": "TcpExt TCPDSACKRecv",  # RFC 2883: the other side had it already, so nothing was lost
    "received": "Tcp InSegs",
    "early": "TcpExt TCPOFOQueue",  # what was sent before it is missing yet
}


def published(told: Mapping[str, Any]) -> dict[str, Any]:
    """A container's network, its own name servers, and by port the addresses that lead there (an empty one: any)."""
    configured = told["HostConfig"]
    found: dict[str, list[str]] = {}
    for inner, outer in (configured.get("PortBindings") or {}).items():
        for binding in outer or [] if inner.endswith("/tcp") else []:
            found.setdefault(binding["HostPort"], []).append(binding.get("HostIp", ""))
    return {"network": configured["NetworkMode"], "dns": configured.get("Dns") or [], "ports": found}


def outer(site: Site) -> str:
    """The command that tells the largest packet of the interface that leads out."""
    return OUTER.replace("ADDRESS", site.server.ipv4)


def mtu(**told: str) -> dict[str, int]:
    """The largest packets by interface, of those that there are."""
    return {name: int(said) for name, said in told.items() if said.strip().isdigit()}


def gateways(told: Mapping[str, Any]) -> list[str]:
    """Of the networks that a container is in."""
    networks = told["NetworkSettings"]["Networks"].values()
    return [at for each in networks for name in ("Gateway", "IPv6Gateway") if (at := each.get(name))]


def clients(site: Site, gates: Sequence[str]) -> dict[str, Any]:
    """How the server's log names this machine as it comes, over IPv4 and IPv6, beside the container's gateways."""
    came = {"IPv4": _came(site, site.server.ipv4)}
    if site.server.ipv6:
        came["IPv6"] = _came(site, site.server.ipv6)
    return {"gateways": list(gates), "came": came}


def _came(site: Site, address: str) -> list[str]:
    """Who connects while we do; nobody where we cannot."""
    before = _last(servers.of(site).log())
    try:
        with closing(endpoint.local_dial(address, SUBMISSION, SECONDS)) as sock:
            sock.settimeout(SECONDS)
            sock.recv(512)
    except OSError:
        return []
    ends = time.monotonic() + LOGGED_SECONDS
    while not (new := arrivals(since(before, servers.of(site).log()))) and time.monotonic() < ends:
        time.sleep(0.1)
    return new


def _last(log: str) -> str:
    return next(reversed(log.splitlines()), "")


def since(line: str, log: str) -> str:
    """What a log says after a line, or the whole of it where that line is long gone."""
    return log.rpartition(line)[2] if line else log


def arrivals(log: str) -> list[str]:
    """The addresses from which somebody connected to an SMTP service, in the order of the log."""
    found = (match["address"] for match in CAME.finditer(log))
    return [address for address in found if not ip_address(address).is_loopback]


def segments(site: Site) -> dict[str, int]:
    """What TCP on the server had to send again, and what came before its turn, while small packets went both ways."""
    before = counters(_counted(site))
    _exchange(host.connect(site))
    after = counters(_counted(site))
    return {name: after[name] - before[name] for name in COUNTERS}


def _exchange(server: Host) -> None:
    """Sends single characters to the server, which come back as they are."""
    transport = server.client.get_transport()
    if transport is None:
        raise UnreachableError("the SSH connection is closed")
    if isinstance(transport.sock, socket.socket):
        transport.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with server.sessions, host.session(transport) as channel:
        channel.settimeout(SECONDS)
        channel.exec_command("cat")
        for _ in range(PACKETS):
            channel.sendall(b".")
            time.sleep(PAUSE)
        channel.shutdown_write()
        while channel.recv(PACKETS):
            pass


def _counted(site: Site) -> str:
    return host.connect(site).run(("cat", "/proc/net/snmp", "/proc/net/netstat")).out


def counters(told: str) -> dict[str, int]:
    """Those of COUNTERS in /proc/net/snmp and netstat: a line of names, then one of values (proc_pid_net(5))."""
    lines = [line.split() for line in told.splitlines()]
    known = dict[str, str]()
    for (kind, *names), (_, *values) in zip(lines[::2], lines[1::2], strict=False):
        known |= {f"{kind[:-1]} {name}": value for name, value in zip(names, values, strict=False)}
    return {name: int(known[where]) for name, where in COUNTERS.items()}


def path(site: Site, name: str) -> dict[str, str]:
    """Whether packets of full size reach a relay and come back, asked from the server by a large TLS hello."""
    relay = site.relays[name]
    where = f"{relay.host}:{relay.port}"
    try:
        address = endpoint.resolve(relay.host or "", site.dns.resolvers)[0]
        with closing(host.connect(site).dial(address, relay.port, SECONDS)) as sock:
            sock.settimeout(SECONDS)
            return large(sock, where, starttls=relay.mode == "starttls")
    except (OSError, EndpointError) as error:
        return {"state": "unreached", "said": f"{where}: {error}"}


def large(sock: socket.socket, where: str, *, starttls: bool) -> dict[str, str]:
    """What becomes of a TLS hello that no single packet holds; any answer shows that it came through.

    Raises OSError or GreetingError when not even small packets are answered.
    """
    if starttls:
        for said in ("", f"EHLO {endpoint.HELO}\r\n", "STARTTLS\r\n"):
            sock.sendall(said.encode())
            _heard(sock, where)
    hello = _hello(where.partition(":")[0])
    try:
        sock.sendall(hello)
        sock.recv(1)
    except TimeoutError:
        return {"state": "stalls", "said": f"{where} answers small packets, and nothing to {len(hello)} octets at once"}
    except OSError:
        pass  # whoever resets the connection has heard us
    return {"state": "ok", "said": f"{where} answers {len(hello)} octets at once"}


def _heard(sock: socket.socket, where: str) -> None:
    said = b""
    while not re.search(rb"(?m)^\d{3} .*\n\Z", said):
        if not (more := sock.recv(4096)):
            raise GreetingError(f"{where} hung up")
        said += more
    if not said.startswith(b"2"):
        raise GreetingError(f"{where}: {said.decode(errors='replace').strip()}")


def _hello(name: str) -> bytes:
    context, told = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.MemoryBIO()
    context.set_alpn_protocols(FILLING)
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), told, server_hostname=name).do_handshake()
    return told.read()


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What is asked of any server that lets us in over SSH."""
    yield "segments", partial(segments, site)
    yield from ((f"path {name}", partial(path, site, name)) for name in site.used_relays)
