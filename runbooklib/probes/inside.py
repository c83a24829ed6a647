"""What the server itself says: container, services, queue, log, routes, relay, resources."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooklib import endpoint, host, maillog, servers
from runbooklib.endpoint import (
    CertificateError,
    Endpoint,
    EndpointError,
    GreetingError,
    LoginError,
    NoStartTlsError,
    TlsError,
    UnreachableError,
)
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.servers.docker_mailserver import layout

RECENT = timedelta(minutes=15)  # older lines tell of what may long be mended
LINES = 200  # of the log, kept in the evidence
NOTABLE = re.compile(r"\b(warning|error|fatal|panic|reject|refused|not secure)\b|no signing table match", re.IGNORECASE)
WORDS: Mapping[type[EndpointError], str] = {
    UnreachableError: "unreachable",
    CertificateError: "certificate",
    NoStartTlsError: "tls",
    TlsError: "tls",
    GreetingError: "greeting",
    LoginError: "login",
}


class UnseenError(HostError):
    """Something on the server could not be looked at."""


def containers(site: Site) -> list[dict[str, Any]]:
    """State, health and restarts of the mail server's container; none is an empty list."""
    return [asdict(container) for container in servers.of(site).containers()]


def startup(site: Site) -> list[str]:
    """What the container said last as it started."""
    answer = host.connect(site).run(("docker", "logs", "--tail", "60", layout.CONTAINER), check=False)
    if not answer.ok:
        raise UnseenError(answer.err.strip() or "docker logs failed")
    return re.sub(r"\x1b\[[0-9;]*m", "", answer.out + answer.err).splitlines()


def _inside(site: Site, *argv: str) -> str:
    answer = servers.of(site).inside(argv)
    if not answer.ok and not answer.out:
        raise UnseenError(f"`{argv[0]}` in the container: {answer.err.strip() or f'status {answer.status}'}")
    return answer.out


def services(site: Site) -> dict[str, str]:
    """The services and their states; those never meant to start are left out."""
    lines = (line.split(maxsplit=2) for line in _inside(site, "supervisorctl", "status").splitlines())
    return {name: state for name, state, *said in lines if "Not started" not in "".join(said)}


def listeners(site: Site) -> list[int]:
    """The TCP ports that something in the container listens on."""
    return sorted({int(port) for port in re.findall(r"[\]*.\d]:(\d+)\s", _inside(site, "ss", "-ltnH"))})


def postfix(site: Site) -> dict[str, str]:
    """The settings that rules look at."""
    lines = _inside(site, "postconf", "mynetworks", "myhostname", "mydestination", "relayhost").splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


def resolver(site: Site) -> str:
    """What the container's resolver answers when asked for the root's name servers: NOERROR, or another word."""
    said = _inside(site, "dig", "+time=2", "+tries=1", ".", "NS")
    status = re.search(r"status: (\w+)", said)
    return status[1] if status else "nothing"


def queue(site: Site) -> dict[str, Any]:
    """How much waits, since when (seconds), and why."""
    waiting = servers.of(site).queue()
    if not waiting and not containers(site):
        raise UnseenError("no container")
    reasons = Counter(r["delay_reason"] for entry in waiting for r in entry["recipients"] if "delay_reason" in r)
    oldest = max((time.time() - entry["arrival_time"] for entry in waiting), default=0.0)
    return {"count": len(waiting), "oldest": round(oldest), "reasons": dict(reasons)}


def log(site: Site) -> dict[str, Any]:
    """The notable lines of the recent mail log, and the answers that bounced messages."""
    text = servers.of(site).log()
    if not text:
        raise UnseenError("no mail log")
    return digest(maillog.parse(text), datetime.now(UTC) - RECENT)


def digest(events: Iterable[maillog.Event], since: datetime) -> dict[str, Any]:
    """What rules read of a log; stamps without a year and zone are taken for recent."""
    recent = [event for event in events if not _before(event.time, since)]
    tried = [attempt for event in recent if (attempt := maillog.attempt(event)) and attempt.status == "bounced"]
    lines = [f"{event.program}: {event.text}" for event in recent if NOTABLE.search(event.text)]
    return {"lines": lines[-LINES:], "bounced": dict(Counter(attempt.said for attempt in tried))}


def _before(stamp: str, since: datetime) -> bool:
    try:
        return datetime.fromisoformat(stamp) < since
    except (TypeError, ValueError):
        return False


def routes(site: Site) -> dict[str, str]:
    """The next hop of each domain's mail, as Postfix resolves it."""
    seen = servers.routes(site)
    if not seen.there:
        raise UnseenError("no container")
    return dict(seen.current)


def keys(site: Site) -> dict[str, str]:
    """The public halves of the server's DKIM keys by record name."""
    return {wanted.name: wanted.values[0] for wanted in servers.records(site) if wanted.values}


def relay(site: Site, name: str) -> dict[str, str]:
    """Whether the relay takes a verified connection and our login, from the server itself."""
    wanted = site.relays[name]
    where = Endpoint(wanted.host or "", wanted.port, wanted.mode, wanted.ca)
    answer = _inside(site, "dig", "+short", "+time=2", "+tries=1", where.host, "A")
    addresses = re.findall(r"^[\d.]+$", answer, re.MULTILINE)  # an alias stands on a line of its own before them
    if not addresses:
        return {"state": "name", "said": f"{where.host} has no A record as the container sees it"}
    try:
        with endpoint.ending(endpoint.smtp(where, host.connect(site).dial, addresses[0])) as client:
            if wanted.username and wanted.password:
                endpoint.login(client, wanted.username, wanted.password)
    except EndpointError as error:
        return {"state": WORDS.get(type(error), "greeting"), "said": str(error)}
    return {"state": "ok", "said": f"{where} took the login" if wanted.username else f"{where} answers"}


def disk(site: Site) -> dict[str, int]:
    """Percent used by mount point."""
    out = host.connect(site).run(("df", "-P", "/", "/var/lib/docker", site.mail.directory), check=False).out
    rows = (line.split() for line in out.splitlines()[1:])
    return {row[5]: int(row[4].rstrip("%")) for row in rows}


def memory(site: Site) -> dict[str, int]:
    """MiB available and in total."""
    told = dict(re.findall(r"^(\w+):\s+(\d+) kB$", host.connect(site).run(("cat", "/proc/meminfo")).out, re.MULTILINE))
    return {"available": int(told["MemAvailable"]) // 1024, "total": int(told["MemTotal"]) // 1024}


def clock(site: Site) -> float:
    """Seconds the server's clock is ahead of ours, to within half of what asking took."""
    before = time.time()
    said = float(host.connect(site).run(("date", "+%s.%N")).out)
    return round(said - (before + time.time()) / 2, 1) + 0.0  # no minus before a zero


PROBES: Mapping[str, Callable[[Site], Any]] = {
    "containers": containers,
    "startup": startup,
    "services": services,
    "listeners": listeners,
    "postfix": postfix,
    "resolver": resolver,
    "queue": queue,
    "log": log,
    "routes": routes,
    "keys": keys,
    "disk": disk,
    "memory": memory,
    "clock": clock,
}
