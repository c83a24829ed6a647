"""Whole runs through each provider on a server that sent through another: every stage, and no message lost.

Ours moves from the smarthost to Resend while mail is being sent, and back; then a blog's sub-domain is set up for
MXRoute; then three domains send, each by its own relay.
"""

from __future__ import annotations

import itertools
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import pytest
import rehearsal
import yaml
from rehearsal import HERE, PUT_BACK, Ran, Rehearsal
from rehearsed import Rehearsed, message

from runbooklib import params, records, relays, servers, zone
from runbooklib.params import Site
from runbooklib.results import Status
from runbooklib.servers import retired
from runbooklib.testbed import snapshots, world
from runbooklib.testbed.faults import FAST, Scene, named
from runbooklib.testbed.faults.exam import examine

PARAMS = Path(__file__).parents[2] / "params"
SMARTHOST, RESEND, MXROUTE = "smtp.relay.example", "smtp.resend.example", "name.mxrouting.example"
FRIEND = "friend@stranger.example"


@dataclass
class Sender:
    """Somebody who goes on sending, whatever the server takes; each message is another one."""

    testbed: Rehearsed
    accepted: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self._send)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(60)

    def _send(self) -> None:
        for number in itertools.count():
            if self.stop.wait(1):
                break
            self._try(f"switch-{number:03}")

    def _try(self, subject: str) -> None:
        """Hands one over; a server that goes before it answered may have it or not (RFC 5321 4.5.3.2.6)."""
        with suppress(OSError, smtplib.SMTPException):
            submit(self.testbed, "hi@lantern.example", "hi", subject)
            self.accepted.append(subject)


def submit(testbed: Rehearsed, sender: str, box: str, subject: str) -> None:
    """Hands a message to our server as a mail client does."""
    server = testbed.state.server
    with smtplib.SMTP(server.ipv4, 587, timeout=30) as client:
        client._host = "mail.lantern.example"  # type: ignore[attr-defined]  # the name the certificate must show
        client.starttls(context=testbed.tls())
        client.login(sender, testbed.state.mailboxes[box])
        client.send_message(message(sender, FRIEND, subject))


def subjects(testbed: Rehearsed) -> Counter[str]:
    """The subjects in the stranger's mailbox."""
    with testbed.imap() as client:
        found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    return Counter(part[1].decode().partition(":")[2].strip() for part in found if isinstance(part, tuple))


def hosts(letter: EmailMessage) -> set[str]:
    """Every host that says it took the message."""
    return {found[1] for line in letter.get_all("Received", []) if (found := re.search(r"\sby\s(\S+)", str(line)))}


def rows(ran: Ran) -> dict[str, dict[str, Any]]:
    """The rows of the last walks, by name."""
    return {check["name"]: check for walk in ran.last.values() for check in walk["checks"]}


def poor(ran: Ran) -> dict[str, str]:
    return {name: row["status"] for name, row in rows(ran).items() if row["status"] not in {"pass", "warn"}}


@pytest.fixture(scope="module")
def moved(testbed: Rehearsed, rehearsal: Rehearsal) -> Iterator[Rehearsed]:
    """The deployed server, for whole runs of other sites; put back after all of them."""
    assert rehearsal.applied.status == 0, rehearsal.applied.output
    before, known = snapshots.published(testbed.root), snapshots.accounts(testbed.root)
    snapshots.reset_mail(testbed.root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
        testbed.await_mail()
        yield testbed
        testbed.ssh(PUT_BACK)
        snapshots.reset_zone(testbed.root, before)
        snapshots.reset_accounts(testbed.root, known)


@dataclass(frozen=True)
class Switched:
    """The run that moved the domain to Resend, and what was sent meanwhile."""

    ran: Ran
    accepted: list[str]
    site: Site


@pytest.fixture(scope="module")
def switched(moved: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> Switched:
    """Resend's params with the smarthost still under relays, as a person has them who changes `relay:`."""
    runs, given = tmp_path_factory.mktemp("resend"), dict(params.read(PARAMS / "rehearsal-resend.yaml"))
    given["relays"] = {**params.read(PARAMS / "rehearsal.yaml")["relays"], **given["relays"]}
    file = runs / "params.yaml"
    file.write_text(yaml.safe_dump({"site": given}))
    with Sender(moved) as sender:
        ran = rehearsal.run(moved, runs, "--apply", params=file)
    return Switched(ran, sender.accepted, params.load(given))


def test_every_stage_through_resend(switched: Switched) -> None:
    assert switched.ran.status == 0, switched.ran.output
    assert poor(switched.ran) == {}
    seen = rows(switched.ran)
    assert seen["relay.verified lantern.example"]["observed"] == "verified"
    assert seen["relay.key-scope resend"]["observed"] == "sending_access"
    assert seen["relay.route null-sender"]["observed"] == "postmaster"  # Resend refuses it, 25 is closed
    fates = {name: row["observed"] for name, row in seen.items() if name.startswith("relay.fate ")}
    assert fates.pop("relay.fate bounce lantern.example") == "bounced"  # at the provider's own test address
    assert set(fates.values()) == {"delivered"}


def test_the_switch_waits_for_dns_and_provider_and_loses_no_message(moved: Rehearsed, switched: Switched) -> None:
    first, second = (walk for walk in switched.ran.checks["stages"] if walk["stage"] == "02-relay")
    assert first["status"] == "pending"
    assert not [change for change in first["changes"] if change["applied"] and HERE in change["target"]]
    assert [change for change in second["changes"] if change["applied"] and "relaymap" in change["target"]]
    assert len(switched.accepted) > 10
    until = time.monotonic() + 60
    while set(switched.accepted) - set(subjects(moved)) and time.monotonic() < until:
        time.sleep(1)
    arrived = subjects(moved)
    assert {s: arrived[s] for s in switched.accepted} == dict.fromkeys(switched.accepted, 1)
    ways = [hosts(moved.arrived(subject)) for subject in (switched.accepted[0], switched.accepted[-1])]
    assert SMARTHOST in ways[0]
    assert RESEND not in ways[0]
    assert RESEND in ways[1]
    assert SMARTHOST not in ways[1]


@pytest.mark.usefixtures("moved")
def test_a_second_walk_has_nothing_to_do(switched: Switched) -> None:
    site = switched.site
    accounts, have = relays.observe(site), servers.routes(site)
    assert not relays.plan(site, accounts)
    proofs = relays.prove(site, have.current, accounts)
    null = relays.null_way(site, proofs, have.null)
    assert not servers.plan_routes(site, have, proofs, null, relays.leaving(site, have.current))
    want = records.desired(site, servers.records(site), relays.records(site, accounts))
    assert not records.diff(want, zone.observe(site, want))


@pytest.mark.usefixtures("switched")
def test_what_the_old_relay_needs_stays(moved: Rehearsed) -> None:
    (left,) = retired.parse(moved.ssh(f"cat {HERE}/config/runbook-retired.yaml"))
    assert (left.relay, left.domain, left.period) == ("smarthost", "lantern.example", "7d")
    authority = moved.state.dns.ipv4
    assert "include:_spf.relay.example" in moved.texts("lantern.example", "TXT", authority)[0]
    assert moved.texts("relay._domainkey.lantern.example", "CNAME", authority)
    logins = moved.ssh(f"cut -d' ' -f1 {HERE}/config/postfix-sasl-password.cf").split()
    assert sorted(logins) == [f"[{SMARTHOST}]:587", f"[{RESEND}]:587"]


@pytest.mark.usefixtures("switched")
def test_the_managing_key_is_in_no_byte_on_the_server(moved: Rehearsed) -> None:
    looked = "grep -rlaF -f - / --exclude-dir=proc --exclude-dir=sys 2>/dev/null"
    sending = moved.ssh(f"printf %s '{moved.state.resend.password}' | {looked} || true").split()
    assert f"{HERE}/config/postfix-sasl-password.cf" in sending  # the search finds what is there
    assert moved.ssh(f"printf %s '{moved.state.resend.api_key}' | {looked} || true").split() == []


@pytest.mark.usefixtures("switched")
def test_the_relays_login_is_in_no_process_s_arguments_or_environment(moved: Rehearsed) -> None:
    told = moved.ssh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' || true")
    assert f"DEFAULT_RELAY_HOST=[{RESEND}]:587" in told  # the mail server's own processes are among them
    assert not [key for key in (moved.state.resend.password, moved.state.relay.password) if key in told]


def test_back_is_the_same_with_the_old_params_and_queued_mail_follows(moved: Rehearsed, switched: Switched) -> None:
    given = switched.site.model_dump(mode="json", exclude_none=True)
    given["domains"][0]["relay"] = "smarthost"
    site = params.load(given)
    resend = {"iptables": moved.state.resend.ipv4, "ip6tables": moved.state.resend.ipv6}
    wall = "; ".join(f"{t} {{}} FORWARD -d {ip} -p tcp -j REJECT --reject-with tcp-reset" for t, ip in resend.items())
    moved.ssh(wall.format("-I", "-I"))
    try:
        submit(moved, "hi@lantern.example", "hi", "queued meanwhile")
        have = servers.routes(site)
        accounts = relays.observe(site)
        proofs = relays.prove(site, have.current, accounts)
        ground = zone.groundwork(site, relays.records(site, accounts), have.current)
        null = relays.null_way(site, proofs, have.null)
        plan = servers.plan_routes(site, have, proofs + ground, null, relays.leaving(site, have.current))
        done = servers.apply(site, plan, apply=True)
        verdict = servers.verify_routes(site, done, proofs + ground, null, wait=60)
        assert verdict.require()["relay.route lantern.example"].status is Status.PASS
        assert SMARTHOST in hosts(moved.arrived("queued meanwhile"))
    finally:
        moved.ssh(wall.format("-D", "-D"))
    (left,) = retired.parse(moved.ssh(f"cat {HERE}/config/runbook-retired.yaml"))
    assert left.relay == "resend"


def test_a_sub_domain_is_set_up_to_send_through_mxroute(moved: Rehearsed, tmp_path: Path) -> None:
    file = PARAMS / "rehearsal-mxroute.yaml"
    ran = rehearsal.run(moved, tmp_path, "--apply", *rehearsal.SETTING_UP, params=file)
    assert ran.status == 0, ran.output
    assert poor(ran) == {}
    seen = rows(ran)
    assert seen["relay.hosting blog.lantern.example"]["observed"] == "off"
    assert seen["dns.dkim x._domainkey.blog.lantern.example"]["status"] == "pass"
    assert seen["dns.dkim mail._domainkey.blog.lantern.example"]["status"] == "pass"


@pytest.fixture(scope="module")
def three(moved: Rehearsed, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The run of three domains by three relays."""
    return rehearsal.run(moved, tmp_path_factory.mktemp("three"), "--apply", params=PARAMS / "rehearsal-domains.yaml")


def test_three_domains_leave_by_three_relays(moved: Rehearsed, three: Ran) -> None:
    ran = three
    assert ran.status == 0, ran.output
    assert poor(ran) == {}
    routes = {"lantern.example": SMARTHOST, "pier.example": RESEND, "harbour.example": MXROUTE}
    borrowed = rows(ran)[f"delivery.relayed outbound harbour.example {FRIEND} sub-address 587"]
    assert (borrowed["status"], "Sender verify failed" in borrowed["observed"]) == ("warn", True)  # MXRoute's own rule
    assert {d: rows(ran)[f"relay.route {d}"]["observed"].partition("]")[0].strip("[") for d in routes} == routes
    for domain, box in {"lantern.example": "hi", "pier.example": "pier", "harbour.example": "harbour"}.items():
        sender = f"{'hi' if box == 'hi' else 'post'}@{domain}"
        submit(moved, sender, box, f"by its own relay: {domain}")
        passed = hosts(moved.arrived(f"by its own relay: {domain}"))
        assert passed & set(routes.values()) == {routes[domain]}


def test_faults_are_named_first_and_the_fix_of_each_holds(moved: Rehearsed, three: Ran) -> None:
    """A part of the exam; `make exam` is the whole of it. What a busy machine spoilt is examined once more."""
    assert three.status == 0, three.output
    scene = Scene(moved.root, budget=60)
    first = examine(scene, [named(group) for group in FAST], print)
    spoilt = [one.fault.split(" + ") for one in first.graded if one.wanted and not one.passed]
    exam = examine(scene, [named(group) for group in spoilt], print)
    assert exam.passed, f"{exam.table()}\n{exam.score()}"
