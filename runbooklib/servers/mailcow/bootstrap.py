"""Stage 01 on mailcow: its domains, mailboxes and aliases brought to what the params say, all by its API."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.results import Change, Check, Checklist, Outcome, Plan, Status, judged
from runbooklib.servers.mailcow import aliases, domains, doors, installation, mailboxes, prerequisites, readiness, state
from runbooklib.servers.mailcow.api import MailcowError
from runbooklib.servers.mailcow.doors import Doors
from runbooklib.servers.mailcow.state import State


def plan(site: Site, have: State) -> Plan:
    """From what stands in mailcow to what the params say; what others made there stays as it is."""
    parts = (domains, mailboxes, aliases)
    changes = (*_installation(site, have), *(change for part in parts for change in part.changes(site, have)))
    refusals = tuple(reason for part in parts for reason in part.refusals(site, have))
    refusals += tuple(installation.refusals(site, have.installed)) if have.installed else ()
    return Plan(f"mailcow at {site.mail.url}", changes, refusals)


def _installation(site: Site, have: State) -> list[Change]:
    """What is done over SSH, and the wait for what it has started."""
    made = installation.changes(site, have.installed) if have.installed else []
    return [*made, *([readiness.started(site, STARTED)] if made or have.silent else [])]


STARTED = -1  # after the installation, before everything that speaks to the API


def verify(site: Site, done: Outcome, wait: float) -> Checklist:
    """Whether mailcow is up and answers as the params say; `pending` where the plan is not applied."""
    title = f"mailcow at {site.mail.url}"
    if done.plan and not done.applied:
        expected, fix = f"{len(done.plan)} changes applied", "run again with apply"
        said = "the plan above is shown, not applied"
        return Checklist(title, (Check("server.plan", Status.PENDING, expected, said, fix),))
    ready = readiness.await_ready(site, wait)
    if ready.status is not Status.PASS:
        return Checklist(title, (ready,))
    try:
        have = state.observe(site)
    except MailcowError as error:
        unseen = Check("server.state", error.status, "mailcow tells what stands in it", str(error), error.fix)
        return Checklist(title, (ready, unseen))
    return Checklist(title, (ready, *standing(site, have), *doors.rows(Doors(site))))


def standing(site: Site, have: State) -> Iterator[Check]:
    """What its API tells: release, containers, domains and their limits, mailboxes, aliases."""
    yield readiness.version_row(have.version)
    yield from prerequisites.standing(site, have.installed) if have.installed else ()
    yield readiness.containers_row(have.containers)
    for domain in site.domains:
        yield _domain(site, domain.name, have)
    yield mailboxes.row(site, have)
    yield from aliases.rows(site, have)


def _domain(site: Site, name: str, have: State) -> Check:
    """Whether a domain receives here, and what it has left."""
    check, expected = f"server.domain {name}", "received here, and room for what params declare"
    hosted = have.domains.get(name)
    if hosted is None:
        return Check(check, Status.FAIL, expected, "not in mailcow", "run 01-bootstrap with apply")
    if not hosted.active or hosted.relayed:
        said = "passed on as backup MX" if hosted.relayed else "switched off"
        return Check(check, Status.FAIL, expected, said, "other hands did that: change it in mailcow")
    needed, limits = domains.needed(site, site.domain(name), have), domains.standing(hosted)
    return judged(check, limits.at_least(needed) == limits, expected, str(limits), "run 01-bootstrap with apply")
