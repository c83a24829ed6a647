"""What the running mail server proves of itself, asked from the server's own side."""

from __future__ import annotations

import email
import email.policy
import hashlib
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import dkim

from runbooklib import endpoint, host, signing
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.host import HostError
from runbooklib.params import Site
from runbooklib.places import locate
from runbooklib.records.texts import dkim_key
from runbooklib.results import Check, Checklist, Outcome, Status, judged, passed, say
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import layout
from runbooklib.servers.docker_mailserver import Server, State

PORTS = (25, 143, 465, 587, 993)
SERVICES = ("mailserver", "changedetector", "cron", "dovecot", "opendkim", "opendmarc", "postfix", "rsyslog")
POSTSCREEN_SECONDS = 20.0  # it greets a new client after 6 s
STRANGER = "somebody@relay-probe.invalid"  # RFC 6761 6.4: no such domain, so nobody is written to


def bootstrap(site: Site, done: Outcome, wait: float) -> Checklist:
    """Whether the mail server is up and does what the params say; `pending` where the plan is not applied."""
    title = f"mail server on {site.server.hostname}"
    have = dms.observe(site)
    if done.plan and not done.applied:
        held = [_planned("server.plan", f"{len(done.plan)} changes applied")]
        if have.container is None or have.container.state != "running":
            return Checklist(title, tuple(held))
        return Checklist(title, tuple(held + _standing(site, have)))
    ready = _until_ready(site, wait)
    checks = [ready, *_standing(site, dms.observe(site))]
    if ready.status is Status.PASS:
        with ThreadPoolExecutor() as pool:
            parts = pool.map(lambda prove: prove(site), (certificates, recipients))
            checks += [check for part in parts for check in part]
    return Checklist(title, tuple(checks))


def _planned(name: str, expected: str) -> Check:
    return Check(name, Status.PENDING, expected, "the plan above is shown, not applied", "run again with apply")


def _until_ready(site: Site, wait: float) -> Check:
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
    if not answer.out:
        return ["the container does not answer"]
    return [f"port {p}" for p in PORTS if str(p) not in open_ports] + [s for s in SERVICES if s not in running]


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


@dataclass(frozen=True)
class Door:
    """A TLS service of the mail server and how it is opened."""

    port: int
    tls: str
    open: Callable[..., object]


def certificates(site: Site) -> list[Check]:
    """The certificate that each TLS service shows, verified by name as a client would."""
    doors = (
        Door(465, "implicit", endpoint.smtp),
        Door(587, "starttls", endpoint.smtp),
        Door(993, "implicit", endpoint.imap),
    )
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda door: _certificate(site, door), doors))


def _certificate(site: Site, door: Door) -> Check:
    name, expected = f"server.tls.{door.port}", f"the uploaded certificate, valid for {site.server.hostname}"
    where = Endpoint(site.server.hostname, door.port, door.tls, site.mail.tls.ca)  # type: ignore[arg-type]
    try:
        client = door.open(where, host.connect(site).dial, "127.0.0.1")
        sock = getattr(client, "sock", None)
        shown = sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None
    except EndpointError as error:
        return Check(name, error.status, expected, str(error), error.fix)
    getattr(client, "close", getattr(client, "shutdown", lambda: None))()
    uploaded = ssl.PEM_cert_to_DER_cert(_first_certificate(locate(site.mail.tls.certificate).read_text()))
    same = shown == uploaded
    observed = "verified, the uploaded one" if same else "verified, but not the uploaded one"
    return judged(name, same, expected, observed, "wait a few seconds for the reload, then run again", "RFC 9525 6")


def _first_certificate(pem: str) -> str:
    end = "-----END CERTIFICATE-----"
    return pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(end) + len(end)] + "\n"


def recipients(site: Site) -> list[Check]:
    """What port 25 answers to RCPT TO: mailboxes, aliases, catch-all, refused and foreign; no message is sent."""
    asked = _expected_answers(site)
    try:
        answers = _ask(site, [address for _, address, _ in asked])
    except (EndpointError, smtplib.SMTPException, OSError) as error:
        fix = "look at the mail log for what refused the connection"
        return [Check("server.recipients", Status.UNKNOWN, "an SMTP dialogue on port 25", str(error), fix)]
    return [_answered(name, address, wanted, answers[address]) for name, address, wanted in asked]


def _expected_answers(site: Site) -> list[tuple[str, str, str]]:
    """(name of the check, address, start of the expected answer) for every address worth asking about."""
    made_up = f"runbook-{secrets.token_hex(6)}"
    asked = [("server.rcpt.mailbox", address, "250") for address in site.mailboxes]
    asked += [("server.rcpt.alias", a, "250") for a in layout.aliases(site) if not a.startswith("@")]
    for domain in site.domains:
        known = "250" if domain.catch_all else "550 5.1.1"
        asked.append(("server.rcpt.made-up", f"{made_up}@{domain.name}", known))
        asked += [("server.rcpt.refused", address, "550 5.1.1") for address in domain.refuse]
    return [*asked, ("server.rcpt.open-relay", STRANGER, "5")]


def _ask(site: Site, addresses: Iterable[str]) -> dict[str, str]:
    where = Endpoint(site.server.hostname, 25, "none", None)
    client = endpoint.smtp(where, host.connect(site).dial, "127.0.0.1", POSTSCREEN_SECONDS, "[127.0.0.1]")
    try:
        # The null sender: nothing can bounce, and no sender policy applies (RFC 5321 4.5.5).
        client.mail("")
        return {address: endpoint.reply(*client.rcpt(address)) for address in addresses}
    finally:
        client.close()


def _answered(name: str, address: str, wanted: str, answer: str) -> Check:
    fix = {
        "server.rcpt.open-relay": "the server accepts mail for others: look at mynetworks and PERMIT_DOCKER at once",
        "server.rcpt.refused": "run with apply; config/refuse.cf holds the refused addresses",
    }.get(name, "run with apply; config/postfix-virtual.cf and postfix-accounts.cf hold the addresses")
    return judged(f"{name} {address}", answer.startswith(wanted), f"{wanted}…", answer, fix, "RFC 5321 4.2.3, RFC 3463")


def routes(site: Site, done: Outcome, wait: float) -> Checklist:
    """What Postfix will really do with each domain's mail: next hop, TLS policy, login, and who may read it."""
    title = "routes"
    if done.plan.held:
        held = done.plan.held
        waits = held.removeprefix("known after ")
        return Checklist(
            title, (Check("relay.route", Status.PENDING, "each domain leaves by its relay", held, waits_for=waits),)
        )
    if done.plan and not done.applied:
        return Checklist(title, (_planned("relay.route", "each domain leaves by its relay"),))
    if done.applied:
        say("waiting for the mail server to take up the new routes")
        ready = _until_ready(site, wait)
        if ready.status is not Status.PASS:
            return Checklist(title, (ready,))
    return Checklist(title, tuple(_settled(site, min(wait, 30) if done.applied else 0)))


def _settled(site: Site, wait: float) -> list[Check]:
    """The rows, asked again until they hold: the change detector needs some seconds."""
    deadline = time.monotonic() + wait
    while True:
        checks = _route_rows(site)
        if all(c.status is Status.PASS for c in checks) or time.monotonic() > deadline:
            return checks
        time.sleep(1)


def _route_rows(site: Site) -> list[Check]:
    have = effective(site)
    rows = []
    for domain in site.domains:
        want = "direct" if domain.relay == "direct" else layout.next_hop(site.relays[domain.relay])
        seen = have.hop(domain.name) or "direct"
        rows.append(
            judged(f"relay.route {domain.name}", seen == want, want, seen, "run 02-relay with apply", "transport(5)")
        )
    for name, relay in site.used_relays.items():
        hop = layout.next_hop(relay)
        policy = have.policies.get(hop, "")
        want = f"secure match={relay.host}"
        fix = "run 02-relay with apply: without it the login goes to whoever answers"
        rows.append(judged(f"relay.tls-policy {name}", policy == want, want, policy or "none", fix, "postconf(5)"))
        if relay.password:
            login = hashlib.sha256(f"{relay.username}:{relay.password.reveal()}".encode()).hexdigest()
            same = have.logins.get(hop) == login
            seen = "the same" if same else "another one" if hop in have.logins else "none for this next hop"
            fix = "run 02-relay with apply; the map's key must equal the next hop byte for byte"
            rows.append(judged(f"relay.login-map {name}", same, "the login that params name", seen, fix, "SASL_README"))
    return [*rows, *_sealed(site, have)]


def _sealed(site: Site, have: Effective) -> list[Check]:
    if not any(r.password for r in site.used_relays.values()):
        return []
    told = host.connect(site).run(("docker", "inspect", layout.CONTAINER), check=False).out
    shown = [n for n, r in site.used_relays.items() if r.password and r.password.reveal() in told]
    loose = sorted(f"{path} {mode:o}" for path, mode in have.modes.items() if mode & 0o077)
    return [
        judged(
            "relay.login-files",
            not loose and bool(have.modes),
            "readable by root only",
            ", ".join(loose) or ", ".join(f"{path} {mode:o}" for path, mode in have.modes.items()) or "no file",
            "chmod 600 them",
        ),
        judged(
            "relay.login-inspect",
            not shown,
            "no login in `docker inspect`",
            ", ".join(shown) or "none",
            "take RELAY_PASSWORD out of mailserver.env: everyone in group docker reads it",
        ),
    ]


@dataclass(frozen=True)
class Effective:
    """Postfix's own view of its routes; logins as digests."""

    relayhost: str
    senders: dict[str, str]
    policies: dict[str, str]
    logins: dict[str, str]
    modes: dict[str, int]

    def hop(self, domain: str) -> str:
        """Where mail of this domain leaves; empty: directly."""
        return self.senders.get(domain) or self.relayhost


def effective(site: Site) -> Effective:
    """Asked with postconf and postmap, in one round trip; all empty where no container runs."""
    inside = f"docker exec {layout.CONTAINER}"
    hops = [layout.next_hop(r) for r in site.used_relays.values()]
    commands = {
        "relayhost": f"{inside} postconf -h relayhost",
        "policy": f"{inside} postconf -h smtp_tls_policy_maps",
        "mode config": f"stat -c %a {dms.path(site, layout.LOGINS)}",
        "mode live": f"{inside} stat -c %a /etc/postfix/sasl_passwd",
    }
    for domain in site.domains:
        commands[f"sender {domain.name}"] = f"{inside} postmap -q @{domain.name} texthash:/etc/postfix/relayhost_map"
    for hop in hops:
        ask = f"postmap -q '{hop}' texthash:/etc/postfix/sasl_passwd"
        commands[f"login {hop}"] = f'{inside} sh -c "{ask}" | tr -d "\\n" | sha256sum'
        commands[f"policy {hop}"] = f'{inside} sh -c \'postmap -q "{hop}" "$(postconf -h smtp_tls_policy_maps)"\''
    told = {name: answer.out.strip() for name, answer in host.connect(site).facts(commands).items() if answer.ok}
    nothing = hashlib.sha256(b"").hexdigest()
    logins = {hop: told.get(f"login {hop}", "").split(" ")[0] for hop in hops}
    modes = {LOGIN_FILES[n]: int(told[n], 8) for n in LOGIN_FILES if n in told}
    return Effective(
        relayhost=told.get("relayhost", ""),
        senders={d.name: hop for d in site.domains if (hop := told.get(f"sender {d.name}", ""))},
        policies={hop: told.get(f"policy {hop}", "") for hop in hops},
        logins={hop: digest for hop, digest in logins.items() if digest not in {"", nothing}},
        modes=modes,
    )


LOGIN_FILES = {"mode config": layout.LOGINS, "mode live": "/etc/postfix/sasl_passwd"}


def keys(site: Site, done: Outcome, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain's key is there, fits its private half, is what the signer uses, and signs a message."""
    have = dms.observe(site)
    title = "DKIM"
    if have.container is None:
        missing = Check(
            "dkim.key", Status.PENDING, "a key for each domain", "no mail server yet", waits_for="01-bootstrap"
        )
        return Checklist(title, (missing,))
    if done.plan and not done.applied:
        return Checklist(title, (_planned("dkim.key", "a live key for each domain"),))
    checks = [_until_ready(site, wait)] if done.applied else []
    halves = _private_halves(site)
    for domain in site.domains:
        key, name = (domain.name, domain.dkim.selector), f"{domain.dkim.selector}._domainkey.{domain.name}"
        public = have.keys.get(key, "")
        checks += _key_rows(name, public, halves.get(key, ("", "")), live=key in have.live, size=domain.dkim.size)
        if public:
            checks.append(_signed(site, domain.name, public, apply=apply, wait=wait))
    return Checklist(title, tuple(checks))


def _private_halves(site: Site) -> dict[tuple[str, str], tuple[str, str]]:
    """For each domain's key: the mode of the private file and the public half computed from it."""
    folder = dms.path(site, "config/opendkim/keys")
    commands = {}
    for domain in site.domains:
        file = f"{folder}/{domain.name}/{domain.dkim.selector}.private"
        commands[f"{domain.name}/{domain.dkim.selector}"] = (
            f"stat -c %a {file} && openssl pkey -in {file} -pubout -outform DER | base64 -w0"
        )
    answers = host.connect(site).facts(commands)
    return {
        (d, s): (lines[0], lines[1])
        for name, answer in answers.items()
        if answer.ok and len(lines := answer.out.splitlines()) > 1
        for d, _, s in [name.partition("/")]
    }


def _key_rows(name: str, public: str, private: tuple[str, str], *, live: bool, size: int) -> list[Check]:
    if not public:
        fix = "run 03-dkim with apply"
        return [Check(f"dkim.key {name}", Status.FAIL, f"an RSA key of {size} bits", "none", fix)]
    mode, half = private
    seen = signing.bits(public)
    return [
        Check(
            f"dkim.key {name}",
            Status.PASS if seen == size else Status.WARN,
            f"RSA, {size} bits",
            f"RSA, {seen} bits" + ("" if seen == size else ": kept, a key that signs is never replaced in passing"),
            "" if seen == size else "rotate to a new selector",
            "RFC 8301 3.2",
        ),
        judged(
            f"dkim.pair {name}",
            dkim_key(public).public == half,
            "public and private halves belong together",
            "they do" if dkim_key(public).public == half else "they do not",
            "rotate to a new selector: this pair can only produce signatures that fail",
            "RFC 6376 3.6.1",
        ),
        judged(
            f"dkim.permissions {name}",
            bool(mode) and not int(mode, 8) & 0o077,
            "the private half readable by root only",
            mode or "not there",
            "chmod 600 it",
        ),
        judged(
            f"dkim.live {name}",
            live,
            "the running signer uses this key",
            "it does" if live else "it uses another or none: keys reach only a new container",
            "run 03-dkim with apply",
        ),
    ]


def _signed(site: Site, domain: str, public: str, *, apply: bool, wait: float) -> Check:
    """One message to a local mailbox, verified with the server's own public half (DNS comes in 04)."""
    name, expected = f"dkim.proof {domain}", "a local message carries a signature that verifies"
    if not apply:
        return Check(name, Status.PENDING, expected, "no message is sent without apply", "run again with apply")
    own = [a for a in site.mailboxes if a.endswith(f"@{domain}")]
    sender, box = (
        (own or [layout.owner(site, next(d for d in site.domains if d.name == domain))])[0],
        next(iter(site.mailboxes)),
    )
    if not own:
        sender = f"postmaster@{domain}"
    token = f"runbook-{secrets.token_hex(8)}"
    try:
        raw = _through(site, sender, box, token, wait)
    except HostError as error:
        return Check(name, Status.UNKNOWN, expected, str(error), "look at the mail log")
    if raw is None:
        return Check(name, Status.UNKNOWN, expected, f"{token} did not arrive at {box} in time", "look at the mail log")
    return _verified(name, expected, domain, raw, public)


def _through(site: Site, sender: str, box: str, token: str, wait: float) -> bytes | None:
    """Hands a message to the server's own sendmail and reads it from the mailbox."""
    server = Server(site)
    text = (
        f"From: {sender}\nTo: {box}\nSubject: DKIM proof {token}\n\n"
        f"Sent by 03-dkim to see whether the running signer signs. It may be deleted.\n"
    )
    sent = server.inside(("sendmail", "-f", sender, box), text)
    if not sent.ok:
        raise HostError(f"sendmail on the server refused the message: {sent.err or sent.out}")
    deadline = time.monotonic() + max(min(wait, 60), 5)
    fetch = ("doveadm", "fetch", "-u", box, "text", "mailbox", "INBOX", "subject", token)
    while time.monotonic() < deadline:
        answer = server.inside(fetch)
        if answer.ok and token in answer.out:
            return answer.out.partition("\n")[2].rstrip("\f\n").replace("\r\n", "\n").encode() + b"\n"
        time.sleep(0.5)
    return None


def _verified(name: str, expected: str, domain: str, raw: bytes, public: str) -> Check:
    signatures = email.message_from_bytes(raw, policy=email.policy.compat32).get_all("DKIM-Signature") or []
    if not signatures:
        fix = "the signer's table holds no row for this sender, or the key is not live: run 03-dkim with apply"
        return Check(name, Status.FAIL, expected, "no DKIM-Signature header", fix, "RFC 6376 5")
    wire = raw.replace(b"\n", b"\r\n")  # signatures are over CRLF lines (RFC 6376 3.4)
    message = dkim.DKIM(wire)
    ours = any(
        message.verify(idx=i, dnsfunc=lambda *_, **__: public.encode()) and message.domain == domain.encode()
        for i in range(len(signatures))
    )
    observed = f"signatures: {len(signatures)}; {'verified' if ours else 'none verifies'} for {domain}"
    return judged(
        name, ours, expected, observed, "the live key differs from config/opendkim/keys: run 03-dkim with apply"
    )
