"""Whether each domain's DKIM key fits, is sealed, is what the running signer uses, and signs a real message."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime

from runbooklib import host
from runbooklib.params import Site
from runbooklib.records import Observed
from runbooklib.results import Check, Checklist, Outcome, Status
from runbooklib.servers import keys, specimen
from runbooklib.servers.docker_mailserver import layout
from runbooklib.servers.docker_mailserver.doors import until_ready
from runbooklib.servers.docker_mailserver.running import Server
from runbooklib.servers.docker_mailserver.state import State, observe, path
from runbooklib.servers.doors import planned
from runbooklib.servers.keys import Half

TITLE = "DKIM"


def verify(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain's key is there, fits its private half, is what the signer uses, and signs a message."""
    checks = [until_ready(site, wait)] if done.applied else []
    have, now = observe(site), datetime.now(UTC)
    if have.container is None:
        said = "no mail server yet"
        missing = Check("dkim.key", Status.PENDING, "a key for each domain", said, waits_for="01-bootstrap")
        return Checklist(TITLE, (missing,))
    refused = tuple(keys.refused_row(name, why) for name, why in keys.refusals(site, have, now).items())
    if done.plan and not done.applied:
        return Checklist(TITLE, (*refused, planned("dkim.key", "a live key for each domain")))
    halves = _halves(site, have)
    for turn in keys.turns(site, have, seen):
        checks += keys.key_rows(turn, have, halves)
        checks.append(keys.signing_row(turn, have))
        if turn.target and (turn.domain.name, turn.target) in have.keys:
            checks.append(specimen.proof(site, Server(site), turn, have, apply=apply, wait=wait))
    return Checklist(TITLE, (*checks, *refused, *keys.retired_rows(have, now)))


def _halves(site: Site, have: State) -> dict[tuple[str, str], Half]:
    """The private half of every key there is."""
    folder = path(site, layout.DKIM_KEYS)
    commands = {}
    for domain, selector in have.private:
        file = shlex.quote(f"{folder}/{domain}/{selector}.private")
        commands[f"{domain}/{selector}"] = f"stat -c %a {file} && openssl pkey -in {file} -pubout -outform DER | base64"
    answers = host.connect(site).facts(commands) if commands else {}
    found = {}
    for name, answer in answers.items():
        domain, _, selector = name.partition("/")
        mode, *public = answer.out.splitlines() or [""]
        found[domain, selector] = Half(mode, "".join(public))
    return found
