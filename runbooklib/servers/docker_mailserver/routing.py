"""Stage 02 on docker-mailserver: which way Postfix in its container really sends each domain's mail."""

from __future__ import annotations

import time
from collections.abc import Mapping

from runbooklib import host
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Outcome, Status, judged, say
from runbooklib.servers import effective as asked
from runbooklib.servers import nexthops
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.docker_mailserver.doors import until_ready
from runbooklib.servers.docker_mailserver.running import Server
from runbooklib.servers.docker_mailserver.state import State, observe, path
from runbooklib.servers.doors import planned
from runbooklib.servers.effective import Effective
from runbooklib.servers.nexthops import Routes
from runbooklib.servers.standing import Queued, Standing

LOGINS = "/etc/postfix/sasl_passwd"  # where docker-mailserver puts what it made of the file below


def routes(site: Site) -> Standing[State]:
    """Postfix's own answer to where each domain's mail leaves, and what waits in its queue."""
    have, seen = observe(site), effective(site)
    current = {d.name: seen.hop(d.name) for d in site.domains}
    there = have.container is not None
    return Standing(have, current, seen.way(nexthops.NULL), queued(site) if there else (), there)


def queued(site: Site) -> tuple[Queued, ...]:
    """The messages that wait in the queue."""
    return asked.queued(Server(site).queue().read)


def effective(site: Site) -> Effective:
    """What Postfix in the container says; all empty where none runs."""
    server = host.connect(site)
    within = {LOGINS: f"stat -c %a {LOGINS}"} | asked.questions(site)
    told = server.facts(within, through=layout.INSIDE)
    told |= server.facts({layout.LOGINS: f"stat -c %a {path(site, layout.LOGINS)}"})
    modes = {name: int(told[name].out, 8) for name in (LOGINS, layout.LOGINS) if name in told and told[name].ok}
    return asked.effective(site, told, modes)


def verify(site: Site, done: Outcome, want: Routes, waiting: Mapping[str, str], wait: float) -> Checklist:
    """What Postfix will really do with each domain's mail: next hop, TLS policy, login, and who may read it."""
    title = "routes"
    if done.plan.held:
        return Checklist(title, tuple(asked.held(waiting or {"": done.plan.held.removeprefix("known after ")})))
    if done.plan and not done.applied:
        return Checklist(title, (planned("relay.route", "each domain leaves by its relay"),))
    if done.applied:
        say("waiting for the mail server to take up the new routes")
        ready = until_ready(site, wait)
        if ready.status is not Status.PASS:
            return Checklist(title, (ready,))
    settled = _settled(site, want, waiting, min(wait, 30) if done.applied else 0)
    right = all(c.status is Status.PASS for c in settled)
    late = asked.late(queued(site)) if right else ()  # only asked where the routes hold
    return Checklist(title, (*settled, *asked.held(waiting), *late))


def _settled(site: Site, want: Routes, waiting: Mapping[str, str], wait: float) -> list[Check]:
    """The rows, asked again until they hold: the change detector needs some seconds."""
    deadline = time.monotonic() + wait
    while True:
        have = effective(site)
        checks = [*asked.rows(site, have, want, waiting), *asked.sealed(site, have), *_told_by_docker(site)]
        if all(c.status is Status.PASS for c in checks) or time.monotonic() > deadline:
            return checks
        time.sleep(1)


def _told_by_docker(site: Site) -> list[Check]:
    if not any(r.password for r in site.used_relays.values()):
        return []
    told = host.connect(site).run(("docker", "inspect", layout.CONTAINER), check=False).out
    shown = [n for n, r in site.used_relays.items() if r.password and r.password.reveal() in told]
    fix = "take RELAY_PASSWORD out of mailserver.env: everyone in group docker reads it"
    return [
        judged("relay.login-inspect", not shown, "no login in `docker inspect`", ", ".join(shown) or "none", fix),
    ]
