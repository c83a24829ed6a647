"""Whether each domain's DKIM key on a host fits, is sealed, is what the running signer uses, and signs a message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from runbooklib.params import Site
from runbooklib.records import Observed
from runbooklib.results import Check, Checklist, Outcome, Status
from runbooklib.servers import keys, specimen
from runbooklib.servers.postfix import ring, rotation, state
from runbooklib.servers.postfix.running import Server

TITLE = "DKIM"


def verify(site: Site, done: Outcome, seen: Observed | None, *, apply: bool, wait: float) -> Checklist:
    """Whether each domain's key is there, fits its private half, is what the signer uses, and signs a message."""
    there, now, expected = state.observe(site), datetime.now(UTC), "a live key for each domain"
    if not there.there:
        said = "no mail server yet"
        return Checklist(TITLE, (Check("dkim.key", Status.PENDING, expected, said, waits_for=rotation.BEFORE),))
    have = ring.observe(site, there)
    refused = [keys.refused_row(name, why) for name, why in rotation.refusals(site, have, seen, now).items()]
    if done.plan and not done.applied:
        said, fix = "the plan above is shown, not applied", "run again with apply"
        return Checklist(TITLE, (*refused, Check("dkim.key", Status.PENDING, expected, said, fix)))
    checks: list[Check] = []
    for turn in keys.turns(site, have, seen):
        checks += keys.key_rows(turn, have, have.halves)
        checks.append(keys.signing_row(turn, have))
        if turn.target and (turn.domain.name, turn.target) in have.keys:
            proof = specimen.proof(site, Server(site), turn, have, apply=apply, wait=wait)
            # Where others keep mailboxes as they like, the message may lie where nobody here can read it.
            checks.append(replace(proof, advisory=not there.marked))
    return Checklist(TITLE, (*checks, *refused, *keys.retired_rows(have, now)))
