"""Which way Postfix really sends each domain's mail, with which TLS policy and login, in its own words."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from runbooklib import host
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Outcome, Status, judged, say
from runbooklib.servers import docker_mailserver as dms
from runbooklib.servers import layout
from runbooklib.servers.doors import planned, until_ready

SENDERS, LOGINS = "/etc/postfix/relayhost_map", "/etc/postfix/sasl_passwd"  # where docker-mailserver puts its maps
LOGIN_FILES = {"mode config": layout.LOGINS, "mode live": LOGINS}


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """What Postfix will really do with each domain's mail: next hop, TLS policy, login, and who may read it."""
    title = "routes"
    if done.plan.held:
        held = done.plan.held
        waits = held.removeprefix("known after ")
        return Checklist(
            title, (Check("relay.route", Status.PENDING, "each domain leaves by its relay", held, waits_for=waits),)
        )
    if done.plan and not done.applied:
        return Checklist(title, (planned("relay.route", "each domain leaves by its relay"),))
    if done.applied:
        say("waiting for the mail server to take up the new routes")
        ready = until_ready(site, wait)
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
    """Asked with postconf and postmap, in two round trips; all empty where no container runs."""
    hops = [layout.next_hop(r) for r in site.used_relays.values()]
    commands = {
        "relayhost": "postconf -h relayhost",
        "mode live": f"stat -c %a {LOGINS}",
    }
    # Each map is looked for first: postmap waits a second before it complains of one that is not there.
    for domain in site.domains:
        commands[f"sender {domain.name}"] = f"test -f {SENDERS} && postmap -q @{domain.name} texthash:{SENDERS}"
    for hop in hops:
        commands[f"login {hop}"] = f"test -f {LOGINS} && postmap -q '{hop}' texthash:{LOGINS} | tr -d '\\n' | sha256sum"
        commands[f"policy {hop}"] = f'm=$(postconf -h smtp_tls_policy_maps); test -n "$m" && postmap -q \'{hop}\' "$m"'
    server = host.connect(site)
    answers = server.facts(commands, through=("docker", "exec", "-i", layout.CONTAINER))
    answers |= server.facts({"mode config": f"stat -c %a {dms.path(site, layout.LOGINS)}"})
    told = {name: answer.out.strip() for name, answer in answers.items() if answer.ok}
    nothing = hashlib.sha256(b"").hexdigest()
    logins = {hop: told.get(f"login {hop}", "").split(" ")[0] for hop in hops}
    return Effective(
        relayhost=told.get("relayhost", ""),
        senders={d.name: hop for d in site.domains if (hop := told.get(f"sender {d.name}", ""))},
        policies={hop: told.get(f"policy {hop}", "") for hop in hops},
        logins={hop: digest for hop, digest in logins.items() if digest not in {"", nothing}},
        modes={LOGIN_FILES[n]: int(told[n], 8) for n in LOGIN_FILES if n in told},
    )
