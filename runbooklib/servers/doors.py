"""What a mail server on a host answers at its doors, asked from that host's own side over SSH."""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Literal

from runbooklib import endpoint, host
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.params import Site
from runbooklib.places import locate
from runbooklib.results import Check, Status, judged, passed
from runbooklib.servers.recipients import POSTSCREEN_SECONDS, asked, judge, replies

LOOPBACK = "127.0.0.1"
PORTS = (25, 143, 465, 587, 993)
Mode = Literal["starttls", "implicit"]


def planned(name: str, expected: str) -> Check:
    """The row of a claim that only the unapplied plan stands between."""
    return Check(name, Status.PENDING, expected, "the plan above is shown, not applied", "run again with apply")


def mailboxes(site: Site, standing: Iterable[str]) -> Check:
    """Whether each mailbox of params is there; others are named and left alone."""
    there = frozenset(standing)
    missing, undeclared = sorted(set(site.mailboxes) - there), sorted(there - set(site.mailboxes))
    observed = f"{len(there)} there"
    observed += f"; missing {', '.join(missing)}" if missing else ""
    observed += f"; not in params, left alone: {', '.join(undeclared)}" if undeclared else ""
    status = Status.FAIL if missing else Status.PASS
    return Check("server.mailboxes", status, ", ".join(site.mailboxes), observed, "run with apply" if missing else "")


def filtering(site: Site) -> Check:
    """Whether something looks at what a catch-all takes."""
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
    manual = site.mail.tls.mode == "manual"
    name = f"server.tls.{port}"
    expected = f"{'the uploaded' if manual else 'a'} certificate, valid for {site.server.hostname}"
    try:
        shown = _shown(site, Endpoint(site.server.hostname, port, tls, site.mail.tls.ca))
    except EndpointError as error:
        return Check(name, error.status, expected, str(error), error.fix)
    if not manual:
        return passed(name, expected, "verified", "RFC 9525 6")
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


def recipients(site: Site, fixes: Mapping[str, str], usual: str, address: str = LOOPBACK) -> list[Check]:
    """What port 25 answers to a size, and to RCPT TO mailboxes, aliases, catch-all, refused and foreign; none sent."""
    questions = asked(site)
    try:
        size, answers = _ask(site, [recipient for _, recipient, _ in questions], address)
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        fix = "look at the mail log for what refused the connection"
        return [Check("server.recipients", Status.UNKNOWN, "an SMTP dialogue on port 25", str(error), fix)]
    return [too_large(site, size), *judge(questions, answers, fixes, usual)]


def _ask(site: Site, addresses: Iterable[str], address: str) -> tuple[str, dict[str, str]]:
    """The answers to a message larger than the limit, only announced, and to each recipient."""
    where, patience = Endpoint(site.server.hostname, 25, "none", None), POSTSCREEN_SECONDS
    client = endpoint.smtp(where, host.connect(site).dial, address, patience, "[127.0.0.1]")
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
