"""Whether mailcow answers, takes our key and runs whole; and waiting for that without being banned."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from runbooklib import host
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, Status, passed
from runbooklib.servers.mailcow import api, installed, prerequisites, state
from runbooklib.servers.mailcow.api import (
    AddressRefusedError,
    Api,
    EmptyError,
    KeyRefusedError,
    MailcowError,
    NotReadyError,
    ReadOnlyError,
    UnavailableError,
    UntrustedError,
)
from runbooklib.servers.mailcow.writes import Step

TESTED = ("2026-07a",)  # releases whose answers this was written after
POLL = 3.0  # seconds between looks at the front page, which cost nothing
RETRY = 90.0  # seconds before a refused key is tried again: mailcow bans after ten refusals in 600 s
TRIES = 3
ANSWERS, KEY_TAKEN = "mailcow's pages answer", "mailcow takes mail.api_key from this address"
STARTING = "containers start and databases are made before its API takes the key"


def preflight(site: Site) -> Checklist:
    """Whether we get in: over SSH where mailcow is installed by us, and by its API where there is one already."""
    title = f"mailcow at {site.mail.url}"
    before = tuple(_below(site)) if site.mail.over_ssh else ()
    try:
        rows = tuple(_rows(site, api.of(site)))
    except MailcowError as error:
        rows = (_unreached(site, error),)
    return Checklist(title, (*before, *rows))


def _below(site: Site) -> Iterator[Check]:
    """The server that mailcow is, or is to be, installed on."""
    rows = host.preflight(site).checks
    yield from rows
    if not any(row.blocks for row in rows):
        yield from prerequisites.rows(installed.observe(site))


def _unreached(site: Site, error: MailcowError) -> Check:
    if site.mail.over_ssh and isinstance(error, UnavailableError | UntrustedError):
        return Check("mailcow.reach", Status.PENDING, ANSWERS, str(error), waits_for="01-bootstrap")
    return Check("mailcow.reach", error.status, ANSWERS, str(error), error.fix)


def _rows(site: Site, mailcow: Api) -> Iterator[Check]:
    mailcow.front()
    yield passed("mailcow.reach", ANSWERS, "they do, with a certificate that verifies" if _tls(site) else "they do")
    try:
        version = str(mailcow.facts("status", "version").get("version", ""))
    except MailcowError as error:
        row = Check("mailcow.key", error.status, KEY_TAKEN, str(error), error.fix)
        to_come = site.mail.over_ssh and isinstance(error, state.TO_COME)
        yield replace(row, status=Status.PENDING, waits_for="01-bootstrap") if to_come else row
        return
    yield passed("mailcow.key", KEY_TAKEN, "it does")
    yield version_row(version)
    yield _writes(mailcow)
    yield _containers(mailcow)


def _tls(site: Site) -> bool:
    return str(site.mail.url).startswith("https:")


def version_row(version: str) -> Check:
    """Whether this was written after the answers of that release."""
    name, expected = "mailcow.version", f"a release this was tested with: {', '.join(TESTED)}"
    if version in TESTED:
        return passed(name, expected, version)
    fix = (
        "read every plan before you apply it: what is written is read back, so a difference shows, but as a failed step"
    )
    return Check(name, Status.WARN, expected, version or "none told", fix)


def _writes(mailcow: Api) -> Check:
    """A write that names no domain makes nothing, and is refused to a key that may only read all the same."""
    name, expected = "mailcow.key.writes", "mail.api_key may write"
    try:
        mailcow.post("add/dkim", {})
    except ReadOnlyError as error:
        return Check(name, Status.FAIL, expected, str(error), error.fix)
    except MailcowError as error:
        fix = "the first write of a plan will tell"
        return Check(name, Status.UNKNOWN, expected, str(error), fix, advisory=True)
    return passed(name, expected, "it may")


def _containers(mailcow: Api) -> Check:
    try:
        return containers_row(state.containers(mailcow.facts("status", "containers")))
    except MailcowError as error:
        return Check("server.containers", error.status, RUNNING, str(error), error.fix, advisory=True)


RUNNING = "every container of mailcow running"


def containers_row(containers: Mapping[str, str]) -> Check:
    """What mailcow's own view of Docker says of its containers."""
    name = "server.containers"
    if not containers:
        fix = "dockerapi-mailcow tells it: `docker compose ps` on the server shows whether that runs"
        return Check(name, Status.UNKNOWN, RUNNING, "mailcow tells of none", fix, advisory=True)
    stopped = sorted(f"{each} {status}" for each, status in containers.items() if status != "running")
    if not stopped:
        return passed(name, RUNNING, f"{len(containers)} run")
    fix = "`docker compose up -d` on the server; `docker compose logs` of a container says why it ended"
    return Check(name, Status.FAIL, RUNNING, ", ".join(stopped), fix)


def await_ready(site: Site, wait: float, poll: float = POLL, retry: float = RETRY) -> Check:
    """Polls the front page, then asks the API with the key; a refused key is tried three times at most, far apart."""
    name, expected = "server.ready", "mailcow's API answers"
    mailcow, deadline, tries = api.of(site), time.monotonic() + wait, 0
    said: MailcowError
    while True:
        pause = poll
        try:
            mailcow.front()
            version = mailcow.facts("status", "version").get("version", "")
        except (KeyRefusedError, AddressRefusedError) as error:
            said, tries, pause = error, tries + 1, retry
            if tries == TRIES:
                return Check(name, Status.FAIL, expected, f"{error}, {tries} times", error.fix)
        except (UnavailableError, EmptyError) as error:
            said = error
        except MailcowError as error:
            return hindered(site, Check(name, error.status, expected, str(error), error.fix), error)
        else:
            return passed(name, expected, f"mailcow {version}")
        if time.monotonic() + pause > deadline:
            return Check(name, said.status, expected, f"not within {wait:.0f} s: {said}", said.fix)
        time.sleep(pause)
        mailcow.ask_again()


def hindered(site: Site, row: Check, error: MailcowError) -> Check:
    """Where it was just installed, its certificate comes from Let's Encrypt, which looks for it by its name."""
    if not (site.mail.over_ssh and isinstance(error, UntrustedError)):
        return row
    fix = (
        f"publish the address of {site.server.hostname} (04-dns) and leave its port 80 open, then walk this again; "
        "`docker compose logs acme-mailcow` says what Let's Encrypt said"
    )
    return replace(row, status=Status.PENDING, fix=fix, waits_for="04-dns")


class CertificateToComeError(MailcowError):
    """Mailcow runs, with the certificate that it makes for itself until it has a real one."""

    status, waits_for = Status.PENDING, "04-dns"

    def __init__(self, row: Check) -> None:
        super().__init__(row.observed)
        self.fix = row.fix


@dataclass(frozen=True)
class Started(Step):
    """The wait between an installation and the first call: minutes, while containers start and databases are made."""

    site: Site | None = None
    seconds: float = 900.0

    def do(self, mailcow: Api) -> None:
        """Waits, and says why in vain."""
        del mailcow  # the one of the site is asked
        if self.site is None:
            raise AssertionError("a plan names its site")
        row = await_ready(self.site, self.seconds)
        if row.status is Status.PENDING:
            raise CertificateToComeError(row)
        if row.status is not Status.PASS:
            raise NotReadyError(row.observed)


def started(site: Site, order: int) -> Started:
    """The step that waits for a mailcow that was just started."""
    return Started(order, str(site.mail.url), "starting", "answering", STARTING, site=site)
