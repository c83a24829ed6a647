"""Whether the mail server is up and answers at its doors as the params say, asked from the server's own side."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed
from runbooklib.servers import doors
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.docker_mailserver.running import Server
from runbooklib.servers.docker_mailserver.state import State, observe
from runbooklib.servers.doors import PORTS, planned
from runbooklib.servers.recipients import OPEN_RELAY, REFUSED

RELOADED = 20.0  # seconds; the change detector looks every five, and then reloads one service after the other
SERVICES = ("mailserver", "changedetector", "cron", "dovecot", "opendkim", "opendmarc", "postfix", "rsyslog")
FIXES = {
    OPEN_RELAY: "the server accepts mail for others: look at mynetworks and PERMIT_DOCKER at once",
    REFUSED: "run with apply; config/refuse.cf holds the refused addresses",
}
USUAL_FIX = "run with apply; config/postfix-virtual.cf and postfix-accounts.cf hold the addresses"


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """Whether the mail server is up and does what the params say; `pending` where the plan is not applied."""
    title = f"mail server on {site.server.hostname}"
    have = observe(site)
    if done.plan and not done.applied:
        held = [planned("server.plan", f"{len(done.plan)} changes applied")]
        if have.container is None or have.container.state != "running":
            return Checklist(title, tuple(held))
        return Checklist(title, tuple(held + _standing(site, have)))
    ready = until_ready(site, wait)
    checks = [ready, *_standing(site, observe(site))]
    if ready.status is Status.PASS:
        with ThreadPoolExecutor() as pool:
            shown, answered = pool.submit(_certificates, site, done), pool.submit(recipients, site)
            checks += [*shown.result(), *answered.result()]
    return Checklist(title, tuple(checks))


def _certificates(site: Site, done: Outcome) -> list[Check]:
    """What each service shows; one just uploaded to a running container is loaded by the change detector in time."""
    uploaded = any(change.target.endswith(layout.CERTIFICATE) for change in done.plan)
    deadline = time.monotonic() + (RELOADED if uploaded else 0)
    while True:
        shown = doors.certificates(site)
        if all(check.status is Status.PASS for check in shown) or time.monotonic() > deadline:
            return shown
        time.sleep(1)


def until_ready(site: Site, wait: float) -> Check:
    """Polls until every listener and service is there; the container's exit code and health say too little."""
    server, deadline = Server(site), time.monotonic() + max(wait, 1)
    expected = f"listeners {', '.join(map(str, PORTS))} and services running"
    while True:
        missing = _missing(server)
        if not missing:
            return passed("server.ready", expected, "all there", "docker-mailserver documentation, debugging")
        if time.monotonic() > deadline:
            break
        time.sleep(1)
    said = [line for line in _container_log(server).splitlines() if "ERROR" in line or "WARN" in line][-3:]
    observed = f"not within {wait:.0f} s: {', '.join(missing)}" + "".join(f"\n{line}" for line in said)
    fix = f"read `docker logs {layout.CONTAINER}`; stage 06 names known causes"
    return Check("server.ready", Status.FAIL, expected, observed, fix)


def _missing(server: Server) -> list[str]:
    """What is not there yet of listeners and services; docker-mailserver answers `up` long before it is ready."""
    script = "ss -Hltn; echo --; supervisorctl status"
    answer = server.inside(("sh", "-c", script))
    listeners, _, services = answer.out.partition("--\n")
    open_ports = {line.split()[3].rpartition(":")[2] for line in listeners.splitlines() if len(line.split()) > 3}  # noqa: PLR2004
    running = {line.split()[0] for line in services.splitlines() if "RUNNING" in line}
    rewriting = ("postsrsd",) if server.site.srs_domain else ()  # without it Postfix takes no mail at all
    if not answer.out:
        return ["the container does not answer"]
    return [f"port {p}" for p in PORTS if str(p) not in open_ports] + [
        s for s in (*SERVICES, *rewriting) if s not in running
    ]


def _container_log(server: Server) -> str:
    answer = server.host.run(("docker", "logs", "--tail", "200", layout.CONTAINER), check=False)
    return answer.out + answer.err


def _standing(site: Site, have: State) -> list[Check]:
    """What the facts alone prove: engine, container, image, mailboxes, filter."""
    fix = "run 01-bootstrap with apply"
    current = have.container
    restarts = current.restarts if current else 0
    checks = [
        judged("server.engine", have.engine.ready, "Docker Engine and Compose 2", _engine(have), fix),
        judged("server.engine.boot", have.engine.enabled, "Docker starts at boot", str(have.engine.enabled), fix),
        judged(
            "server.container",
            current is not None and current.state == "running" and current.health in {"healthy", "starting"},
            "running, healthy",
            f"{current.state}, {current.health}" if current else "absent",
            f"read `docker logs {layout.CONTAINER}`: it ends with status 0 even when its set-up failed",
        ),
        Check(
            "server.container.restarts",
            Status.WARN if restarts else Status.PASS,
            "no restart since it was made",
            str(restarts),
            "a restarting container is a failing one: read its log" if restarts else "",
        ),
        judged(
            "server.image",
            current is not None and current.image == site.mail.image,
            site.mail.image,
            current.image if current else "no container",
            fix,
        ),
        doors.mailboxes(site, have.mailboxes),
        doors.filtering(site),
        doors.redirects(site, have.redirects),
    ]
    if current is None:
        return [checks[0], checks[2]]
    return checks


def _engine(have: State) -> str:
    if have.engine.said and have.engine.installed and not have.engine.version:
        return f"Docker is installed and does not answer: {have.engine.said}"
    return f"engine {have.engine.version or 'absent'}, compose {have.engine.compose or 'absent'}"


def recipients(site: Site) -> list[Check]:
    """What port 25 answers."""
    return doors.recipients(site, FIXES, USUAL_FIX)
