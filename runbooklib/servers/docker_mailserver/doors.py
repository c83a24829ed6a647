"""Whether the mail server is up and answers at its doors as the params say, asked from the server's own side."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Literal

from runbooklib import endpoint, host
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site
from runbooklib.places import locate
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.docker_mailserver.running import Server
from runbooklib.servers.docker_mailserver.state import State, observe
from runbooklib.servers.recipients import OPEN_RELAY, POSTSCREEN_SECONDS, REFUSED, asked, judge, replies

PORTS = (25, 143, 465, 587, 993)
SERVICES = ("mailserver", "changedetector", "cron", "dovecot", "opendkim", "opendmarc", "postfix", "rsyslog")
Mode = Literal["starttls", "implicit"]
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
            parts = pool.map(lambda prove: prove(site), (certificates, recipients))
            checks += [check for part in parts for check in part]
    return Checklist(title, tuple(checks))


def planned(name: str, expected: str) -> Check:
    """The row of a claim that only the unapplied plan stands between."""
    return Check(name, Status.PENDING, expected, "the plan above is shown, not applied", "run again with apply")


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
        _mailboxes(site, have),
        _filter(site),
        redirects(site, have.redirects),
    ]
    if current is None:
        return [checks[0], checks[2]]
    return checks


def _engine(have: State) -> str:
    if have.engine.said and have.engine.installed and not have.engine.version:
        return f"Docker is installed and does not answer: {have.engine.said}"
    return f"engine {have.engine.version or 'absent'}, compose {have.engine.compose or 'absent'}"


def _mailboxes(site: Site, have: State) -> Check:
    missing = sorted(set(site.mailboxes) - have.mailboxes)
    undeclared = sorted(have.mailboxes - set(site.mailboxes))
    observed = f"{len(have.mailboxes)} there"
    observed += f"; missing {', '.join(missing)}" if missing else ""
    observed += f"; not in params, left alone: {', '.join(undeclared)}" if undeclared else ""
    status = Status.FAIL if missing else Status.PASS
    return Check("server.mailboxes", status, ", ".join(site.mailboxes), observed, "run with apply" if missing else "")


def _filter(site: Site) -> Check:
    open_to_all = [d.name for d in site.domains if d.catch_all]
    bare = bool(open_to_all) and site.mail.filter == "none"
    return Check(
        "server.catch-all.filter",
        Status.WARN if bare else Status.PASS,
        "an inbound filter where a catch-all takes every address",
        f"filter {site.mail.filter}; catch-all in {', '.join(open_to_all) or 'no domain'}",
        "set mail.filter: a catch-all without one collects everything sent to made-up addresses" if bare else "",
    )


def redirects(site: Site, targets: Iterable[str]) -> Check:
    """Whether what users' own filters send on has a route: without SRS the author's SPF fails, and SES refuses it."""
    here = {site.server.hostname, *(d.name for d in site.domains)}
    outside = sorted(t for t in targets if t.rpartition("@")[2].lower() not in here)
    status = Status.WARN if outside and not site.forward_route else Status.PASS
    fix = "send it on by an alias in params, with forward: naming the way, and take the redirect out"
    seen = ", ".join(outside) or "none"
    expected = "no Sieve redirect to others, or forwards in params"
    return Check("server.forwards.sieve", status, expected, seen, fix if status is Status.WARN else "", "RFC 5228 4.2")


def certificates(site: Site) -> list[Check]:
    """The certificate that each TLS service shows, verified by name as a client would."""
    doors: tuple[tuple[int, Mode], ...] = ((465, "implicit"), (587, "starttls"), (993, "implicit"))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda door: _certificate(site, *door), doors))


def _certificate(site: Site, port: int, tls: Mode) -> Check:
    name, expected = f"server.tls.{port}", f"the uploaded certificate, valid for {site.server.hostname}"
    try:
        shown = _shown(site, Endpoint(site.server.hostname, port, tls, site.mail.tls.ca))
    except EndpointError as error:
        return Check(name, error.status, expected, str(error), error.fix)
    uploaded = ssl.PEM_cert_to_DER_cert(_first_certificate(locate(site.mail.tls.certificate).read_text()))
    same = shown == uploaded
    observed = "verified, the uploaded one" if same else "verified, but not the uploaded one"
    return judged(name, same, expected, observed, "wait a few seconds for the reload, then run again", "RFC 9525 6")


def _shown(site: Site, where: Endpoint) -> bytes | None:
    dial = host.connect(site).dial
    if where.tls == "implicit":
        with endpoint.connect(where, dial, "127.0.0.1") as sock:
            return _peer(sock)
    with closing(endpoint.smtp(where, dial, "127.0.0.1")) as client:
        return _peer(client.sock)


def _peer(sock: socket.socket | None) -> bytes | None:
    return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None


def _first_certificate(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(end) + len(end)] + "\n"


def recipients(site: Site) -> list[Check]:
    """What port 25 answers to a size, and to RCPT TO mailboxes, aliases, catch-all, refused and foreign; none sent."""
    questions = asked(site)
    try:
        size, answers = _ask(site, [address for _, address, _ in questions])
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        fix = "look at the mail log for what refused the connection"
        return [Check("server.recipients", Status.UNKNOWN, "an SMTP dialogue on port 25", str(error), fix)]
    return [too_large(site, size), *judge(questions, answers, FIXES, USUAL_FIX)]


def _ask(site: Site, addresses: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The answers to a message larger than the limit, only announced, and to each recipient."""
    where, patience = Endpoint(site.server.hostname, 25, "none", None), POSTSCREEN_SECONDS
    client = endpoint.smtp(where, host.connect(site).dial, "127.0.0.1", patience, "[127.0.0.1]")
    try:
        size = endpoint.reply(*client.mail("", [f"SIZE={site.mail.message_size_limit + 1}"]))
        client.rset()
        return size, replies(client, addresses)
    finally:
        client.close()


def too_large(site: Site, answer: str) -> Check:
    """Whether a message larger than the limit is refused when it is announced, so that nothing has to bounce."""
    limit = site.mail.message_size_limit
    fix = "run with apply; mail.message_size_limit is the largest message in bytes"
    expected = f"552 5.3.4… to SIZE={limit + 1}, before the message is sent"
    return judged("server.size", answer.startswith("552 5.3.4"), expected, answer, fix, "RFC 1870 6")
