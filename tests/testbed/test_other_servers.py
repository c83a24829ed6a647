"""The whole path once on each other mail server: shown, applied, and applied again with nothing left to change."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import baddays
import pytest
import rehearsal
import wideopen
from baddays import HTML, TO_ECHO, TO_JUNK, send
from books import until
from rehearsal import Ran
from rehearsed import Rehearsed

from runbooklib import delivery, diagnosis, params, probes
from runbooklib.delivery import forms, ledger, messages, sending
from runbooklib.delivery.messages import Letters
from runbooklib.params import Site
from runbooklib.results import MIME, Status
from runbooklib.testbed import snapshots, world

PARAMS = Path(__file__).parents[2] / "params"
# Everything a run could touch on a host: files, settings, packages, and when each daemon was started.
FINGERPRINT = """
find /etc -type f -not -name '*.lock' -printf '%p %m %u:%g %T@ ' -exec sha256sum {} \\; 2>/dev/null | sort
postconf -n; dpkg-query -W -f '${Package} ${Version}\\n'
ps -eo comm,lstart | grep -E '^(master|dovecot|opendkim) '
"""
# Every row of mailcow's database, dates and all, but what it logs of the calls themselves.
ROWS = """python3 -c '
import sqlite3
for line in sqlite3.connect("/var/lib/mailcow/mailcow.db").iterdump():
    if "log" not in line[:20] and "sqlite_sequence" not in line: print(line)'"""


QUIET = ">/dev/null 2>&1 </dev/null"
MAIN, MASTER, KEPT = "/etc/postfix/main.cf", "/etc/postfix/master.cf", "/srv/kept"
ALIASES = "/etc/postfix/runbook/aliases"
LMTP, LOGINS = "/var/spool/postfix/private/dovecot-lmtp", "/var/spool/postfix/private/auth"
RESTART = f"service postfix restart {QUIET}"
UNREADABLE = f"cp -p {MAIN} {KEPT}; echo message_size_limit = many >>{MAIN}"
# Whoever asks 587 now starts an smtpd that cannot read its settings.
ASKED = "pkill -x smtpd; timeout 5 bash -c 'cat </dev/tcp/127.0.0.1/587' || true"
BREAKS = {  # what breaks plain Postfix, and what mends it
    "service-down": (f"service dovecot stop {QUIET}", f"service dovecot start {QUIET}; {RESTART}"),
    "lmtp-down": (f"mv {LMTP} {KEPT}", f"mv {KEPT} {LMTP}"),
    "login-socket-down": (f"mv {LOGINS} {KEPT}", f"mv {KEPT} {LOGINS}; {RESTART}"),
    "milter-down": (f"service opendkim stop {QUIET}", f"service opendkim start {QUIET}"),
    "listener-missing": (
        f"cp -p {MASTER} {KEPT}; postconf -M# submission/inet; postfix reload",
        f"mv {KEPT} {MASTER}; postfix reload",
    ),
    "certificate-unusable": (
        f"cp -p {MAIN} {KEPT}; postconf -e smtpd_tls_cert_file=/nowhere; postfix reload",
        f"mv {KEPT} {MAIN}; postfix reload",
    ),
    "table-missing": (f"mv {ALIASES} {KEPT}", f"mv {KEPT} {ALIASES}; postfix reload"),
    "configuration-broken": (UNREADABLE, f"mv {KEPT} {MAIN}; {RESTART}"),
    "service-rests": (f"{UNREADABLE}; {ASKED}; mv {KEPT} {MAIN}; postfix reload", RESTART),
}


@dataclass(frozen=True)
class Walked:
    """The runs in their order, and what stood after each applied one."""

    shown: Ran
    applied: Ran
    again: Ran
    settled: str
    settled_again: str


@pytest.fixture(scope="module")
def zones(bare: Rehearsed) -> Iterator[Rehearsed]:
    """The bare testbed with its zones and providers as on the first day; put back after all tests of this file."""
    before, known = snapshots.published(bare.root), snapshots.accounts(bare.root)
    snapshots.reset_zone(bare.root)
    snapshots.reset_accounts(bare.root)
    snapshots.reset_mail(bare.root)
    yield bare
    snapshots.reset_zone(bare.root, before)
    snapshots.reset_accounts(bare.root, known)


def walk(testbed: Rehearsed, runs: Path, name: str, fingerprint: str, host: str) -> Walked:
    def settled() -> str:
        status, out = testbed.inside(host, "sh", "-c", fingerprint)
        assert status == 0, out
        return out

    file = PARAMS / f"rehearsal-{name}.yaml"
    shown = rehearsal.run(testbed, runs, params=file)
    applied = rehearsal.run(testbed, runs, "--apply", params=file)
    after = settled()
    again = rehearsal.run(testbed, runs, "--apply", *rehearsal.SETTING_UP, params=file)
    return Walked(shown, applied, again, after, settled())


@pytest.fixture(scope="module")
def postfix(zones: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """On the bare server, without any container of ours."""
    return walk(zones, tmp_path_factory.mktemp("postfix"), "postfix", FINGERPRINT, "server")


@pytest.fixture(scope="module")
def mailcow(postfix: Walked, zones: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """On the testbed's mailcow, which is reached by its API alone; after the other, which leaves its zone alone."""
    assert postfix.applied.status == 0, postfix.applied.output
    return walk(zones, tmp_path_factory.mktemp("mailcow"), "mailcow", ROWS, "mailcow")


@pytest.fixture(params=["postfix", "mailcow"])
def walked(request: pytest.FixtureRequest) -> Walked:
    found: Walked = request.getfixturevalue(request.param)
    return found


def rows(ran: Ran) -> dict[str, dict[str, str]]:
    """The rows of the last walks, by name."""
    return {check["name"]: check for walk in ran.last.values() for check in walk["checks"]}


def test_shown_only_it_ends_pending_with_a_plan(walked: Walked) -> None:
    assert walked.shown.status == 0, walked.shown.output
    assert walked.shown.checks["status"] in {"pending", "unknown"}
    planned = [change for stage in walked.shown.checks["stages"] for change in stage["changes"]]
    assert planned
    assert not [change for change in planned if change["applied"]]


def test_applied_it_ends_without_a_gate_and_mail_goes_both_ways(walked: Walked) -> None:
    assert walked.applied.status == 0, walked.applied.output
    found = rows(walked.applied)
    assert not [name for name, row in found.items() if row["status"] in {"fail", "pending"}]
    for way in ("outbound", "inbound", "catch-all", "refused"):
        arrived = [
            row["status"]
            for name, row in found.items()
            if name.startswith((f"delivery.arrived {way}", f"delivery.{way}"))
        ]
        assert set(arrived) == {"pass"}, way


def test_only_what_an_api_cannot_tell_is_unknown(postfix: Walked, mailcow: Walked) -> None:
    assert not [name for name, row in rows(postfix.applied).items() if row["status"] == "unknown"]
    assert {name for name, row in rows(mailcow.applied).items() if row["status"] == "unknown"} == {
        "server.public-ipv4",
        "relay.direct-25",
        "evidence.machine",
        "send.webmail harbour.example",
        "send.webmail pier.example",
    }


def test_the_optional_records_are_published_and_seen(mailcow: Walked) -> None:
    found = rows(mailcow.applied)
    names = ["dns.tlsa _25._tcp.mail.harbour.example", "dns.alias autodiscover.pier.example"]
    names += [f"dns.service {label}._tcp.harbour.example" for label in ("_autodiscover", "_imaps", "_submission")]
    assert {name: found[name]["status"] for name in names} == dict.fromkeys(names, "pass")


def test_every_outgoing_message_took_its_relay_and_was_signed(walked: Walked) -> None:
    found = rows(walked.applied)
    relayed = {
        name: row["status"] for name, row in found.items() if name.startswith(("delivery.relayed ", "delivery.path "))
    }
    assert relayed
    assert set(relayed.values()) == {"pass"}
    assert {row["status"] for name, row in found.items() if name.startswith("delivery.dmarc ")} == {"pass"}


def test_a_second_run_changes_nothing(walked: Walked) -> None:
    assert walked.again.status == 0, walked.again.output
    assert not [change for stage in walked.again.checks["stages"] for change in stage["changes"]]
    assert walked.settled_again == walked.settled


def test_the_report_names_the_server(postfix: Walked, mailcow: Walked) -> None:
    for walked, words in ((postfix, "Postfix 3."), (mailcow, "mailcow 2026-07a")):
        assert words in (walked.applied.folder / "report.html").read_text()


@pytest.fixture
def site(postfix: Walked, zones: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site on plain Postfix as its runs left it."""
    assert postfix.again.status == 0, postfix.again.output
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(zones.root)))
    return params.load(PARAMS / "rehearsal-postfix.yaml")


def begun(folder: Path, name: str, plan: Letters) -> None:
    """What papermill has written when the apply cell begins; it stays so when the kernel is killed in it."""
    times = {"papermill": {"start_time": datetime.now(UTC).isoformat()}}
    shown = [{"output_type": "execute_result", "data": {MIME: plan.data()}}]
    cells = [{"id": "plan", "metadata": {}, "outputs": shown}, {"id": "apply", "metadata": times, "outputs": []}]
    papermill = {"parameters": {"apply": True}}
    (folder / name).write_text(json.dumps({"cells": cells, "metadata": {"papermill": papermill}}))


def test_a_run_killed_while_it_sent_hands_over_only_what_was_not(
    site: Site, zones: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ledger.FOLDER, str(tmp_path))
    kept = ("outbound lantern.example friend@stranger.example", "catch-all lantern.example")
    whole = delivery.plan(site, f"killed-{uuid.uuid4()}")
    plan = whole.only(lambda a: a.name in {*kept, f"{kept[0]} html 587"})
    early, late, foreign = plan
    begun(tmp_path, "05-send.ipynb", plan)
    sending.submit(
        site, messages.post(site, early), early, early.sender, early.recipient, forms.compose(site, plan, early)
    )
    until(lambda: early.number in ledger.listen(site, plan.marker).handed, 10)
    begun(tmp_path, "05-send.2.ipynb", plan)  # it is resumed
    sent = delivery.send(site, plan, apply=True)
    assert [(h.letter, h.fate, h.earlier) for h in sent] == [
        (early, "accepted", True),
        (late, "accepted", False),
        (foreign, "unknown", True),
    ]
    zones.arrived(plan.mark(late))
    zones.arrived(plan.mark(early))
    with zones.imap() as client:
        assert len(client.search(None, "SUBJECT", f'"{plan.marker}"')[1][0].split()) == 2


def failing(site: Site) -> list[str]:
    """The causes of trouble that are found."""
    found = diagnosis.diagnose(probes.gather(site))
    return [check.name for check in found if check.status is Status.FAIL]


def test_nothing_on_plain_postfix_is_unseen_or_wrong(site: Site) -> None:
    seen = probes.gather(site)
    assert [name for name, fact in seen.facts.items() if fact.unseen] == []
    assert seen["services"]["postfix"] == seen["services"]["dovecot"] == "RUNNING"
    assert seen["sockets"]["lmtp unix:private/dovecot-lmtp"]
    assert (seen["configuration"], seen["tables"], seen["resolver"]) == ([], [], "NOERROR")
    assert failing(site) == []


@pytest.mark.parametrize("cause", BREAKS)
def test_what_breaks_plain_postfix_is_named_alone(zones: Rehearsed, site: Site, cause: str) -> None:
    breaks, mends = BREAKS[cause]
    zones.ssh(breaks)
    try:
        assert failing(site) == [f"diagnosis.{cause}"]
    finally:
        zones.ssh(mends)


def test_a_good_plain_postfix_refuses_what_it_must_and_one_that_lets_all_through_is_red(
    zones: Rehearsed, site: Site
) -> None:
    assert wideopen.doubted(site) == {}
    zones.ssh(wideopen.opened(wideopen.ANY_2_4))
    try:
        assert wideopen.good(site) == wideopen.GOOD
    finally:
        zones.ssh(wideopen.CLOSED)


def test_what_the_relay_says_to_plain_postfix_is_told(zones: Rehearsed, site: Site) -> None:
    said = baddays.answers(
        friend="450 4.7.1 Greylisting in action, please come back later", echo="550 5.7.1 not from you"
    )
    try:
        with baddays.bent(zones, "relay", smtpd_recipient_restrictions=said):
            verdict, _ = send(site, HTML, TO_ECHO, until="status=(deferred|bounced)", wait=3)
    finally:
        zones.ssh("postsuper -d ALL")
    put_off, refused = verdict[f"delivery.relayed {HTML}"], verdict[f"delivery.relayed {TO_ECHO}"]
    assert (put_off.status, "Greylisting in action" in put_off.observed) == (Status.PENDING, True)
    assert (refused.status, "bounced" in refused.observed) == (Status.FAIL, True)
    assert verdict[f"delivery.arrived {HTML}"].status is Status.PENDING


def test_what_the_recipient_makes_of_mail_from_plain_postfix_is_told(zones: Rehearsed, site: Site) -> None:
    said = baddays.answers(friend="550 5.7.1 we do not want it", echo="451 4.3.0 try again")
    with baddays.junked(zones) as junk, baddays.bent(zones, "mx", smtpd_recipient_restrictions=said, **junk):
        verdict, _ = send(site, HTML, TO_ECHO, TO_JUNK, until="status=sent", wait=12)
    assert {verdict[f"delivery.relayed {name}"].status for name in (HTML, TO_ECHO, TO_JUNK)} == {Status.PASS}
    bounced, filed = verdict[f"delivery.arrived {HTML}"], verdict[f"delivery.arrived {TO_JUNK}"]
    assert (bounced.status, "we do not want it" in bounced.observed) == (Status.FAIL, True)
    assert (filed.status, "in Junk" in filed.observed) == (Status.WARN, True)
    deferred = verdict[f"delivery.answered {TO_ECHO}"]
    assert (deferred.status, "not there within 12 s" in deferred.observed) == (Status.UNKNOWN, True)


def test_a_recipient_who_cannot_be_read_is_unknown_to_plain_postfix(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", baddays.WRONG)
    given = site.model_dump(mode="json", exclude_none=True)
    given["test"]["recipients"][0]["imap"]["password"] = "env:WRONG"
    baddays.unreadable(params.load(given))
