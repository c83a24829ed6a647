"""Stages 05 and 06 on the deployed testbed: real messages judged, real breakage named by its cause."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import rehearsal
from rehearsed import Rehearsed

from runbooklib import delivery, diagnosis, endpoint, params, probes
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.params import Site
from runbooklib.results import Checklist, GateError, Status, Table
from runbooklib.testbed import snapshots

SiteOf = Callable[..., Site]
FRIEND = "friend@stranger.example"
SENDERS = "sender_dependent_relayhost_maps=texthash:/etc/postfix/relayhost_map"
OUT = f"outbound lantern.example {FRIEND}"
NOBODY = 250  # the last part of an address in the testbed's network that nobody has


@pytest.fixture
def site(deployed: Rehearsed) -> SiteOf:
    """The rehearsal site of the deployed testbed."""
    assert deployed.state
    return rehearsal.site


def send(site: Site, wait: float = 30) -> tuple[Checklist, Table]:
    """The cells of 05."""
    arrived = delivery.fetch(site, delivery.send(site, delivery.plan(site), apply=True), wait=wait)
    return delivery.judge(site, arrived), delivery.path(arrived)


def look(site: Site) -> Checklist:
    """The cells of 06."""
    return diagnosis.diagnose(probes.gather(site))


def stopping(found: Checklist) -> list[str]:
    """What stops; what an earlier test left in the log only warns."""
    return [c.name for c in found if c.blocks]


def rows(found: Checklist, *, passed: bool = False) -> dict[str, Status]:
    return {c.name: c.status for c in found if passed or c.status is not Status.PASS}


def test_messages_both_ways_pass_and_show_their_way(site: SiteOf) -> None:
    verdict, path = send(site())
    assert rows(verdict.require()) == {}
    assert len(verdict) > 25
    ways = {name: [row[4] for row in path.rows if row[0] == name] for name in {row[0] for row in path.rows}}
    assert ways[f"{OUT} (message)"][:3] == ["mail.lantern.example", "smtp.relay.example", "mx.stranger.example"]
    assert "smtp.relay.example" not in ways["catch-all lantern.example (message)"]


def test_two_runs_do_not_read_each_others_messages(site: SiteOf) -> None:
    first, second = (delivery.plan(site(name=name)) for name in ("one", "two"))
    sent = [delivery.send(site(), plan, apply=True) for plan in (first, second)]
    for one in sent:
        arrived = delivery.fetch(site(), one, wait=30)
        assert all(len(parcel.of("message")) == 1 for parcel in arrived if parcel.letter.lands)


def test_shown_only_nothing_is_sent(site: SiteOf, deployed: Rehearsed) -> None:
    plan = delivery.plan(site())
    sent = delivery.send(site(), plan, apply=False)
    assert {c.status for c in delivery.judge(site(), delivery.fetch(site(), sent, wait=30))} == {Status.PENDING}
    with deployed.imap() as client:
        assert client.search(None, "SUBJECT", f'"{plan.marker}"')[1] == [b""]


def test_a_healthy_site_stops_nobody(site: SiteOf) -> None:
    assert stopping(look(site())) == []


@pytest.fixture
def holding(deployed: Rehearsed) -> Iterator[None]:
    """The relay accepts and keeps what it accepted."""
    _relay(deployed, "postconf -e defer_transports=smtp && postfix reload")
    yield
    _relay(deployed, "postconf -X defer_transports && postfix reload && postsuper -d ALL")


def _relay(testbed: Rehearsed, command: str) -> None:
    status, output = testbed.inside("relay", "sh", "-c", command)
    assert status == 0, output


@pytest.mark.usefixtures("holding")
def test_accepted_by_the_relay_and_not_arrived_is_unknown_and_stops(site: SiteOf) -> None:
    verdict, _ = send(site(), wait=6)
    assert verdict[f"delivery.relayed {OUT}"].status is Status.PASS
    row = verdict[f"delivery.arrived {OUT}"]
    assert row.status is Status.UNKNOWN
    assert "not there within 6 s; last known: smtp.relay.example" in row.observed
    assert row.fix
    with pytest.raises(GateError, match=r"delivery\.arrived"):
        verdict.require()


def test_a_mailbox_that_cannot_be_read_is_unknown_what_was_relayed_stays_known(
    site: SiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", "not the password")
    verdict, _ = send(site(test__recipients__0__imap__password="env:WRONG"))
    assert verdict[f"delivery.relayed {OUT}"].status is Status.PASS
    assert verdict[f"delivery.arrived {OUT}"].status is Status.UNKNOWN
    assert "IMAP login" in verdict[f"delivery.arrived {OUT}"].observed
    assert "not the password" not in str(verdict)


def test_a_refused_submission_login_fails(site: SiteOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "not the password")
    verdict, _ = send(site(test__recipients__0__submission__password="env:WRONG"))
    assert verdict["delivery.accepted inbound hi@lantern.example"].status is Status.FAIL
    assert "535" in verdict["delivery.accepted inbound hi@lantern.example"].observed
    assert verdict[f"delivery.answered {OUT}"].status is Status.FAIL


def test_a_certificate_that_is_not_trusted_fails_and_nothing_is_sent(site: SiteOf) -> None:
    given: Any = site().model_dump(mode="json", exclude_none=True)
    del given["mail"]["tls"]["ca"]
    verdict, _ = send(params.load(given), wait=5)
    row = verdict[f"delivery.accepted {OUT}"]
    assert row.status is Status.FAIL
    assert "unknown CA" in row.observed


def test_silent_resolvers_are_unknown_in_both_stages(site: SiteOf, deployed: Rehearsed) -> None:
    nobody = deployed.state.resolver.ipv4.rpartition(".")[0] + f".{NOBODY}"
    deaf = site(dns__resolvers=[nobody])
    with pytest.raises(ResolverError):
        endpoint.resolve("mx.stranger.example", [nobody], timeout=1)
    verdict, _ = send(deaf, wait=5)
    assert verdict["delivery.accepted inbound hi@lantern.example"].status is Status.UNKNOWN
    found = rows(look(deaf))
    assert found["evidence.mx lantern.example"] is Status.UNKNOWN
    assert Status.FAIL not in found.values()


def test_names_that_do_not_exist_are_told_from_silence(deployed: Rehearsed) -> None:
    resolvers = [deployed.state.resolver.ipv4]
    with pytest.raises(NameMissingError, match="NXDOMAIN"):
        endpoint.resolve("nobody.stranger.example", resolvers)
    with pytest.raises(NameMissingError, match="neither"):
        endpoint.resolve("_dmarc.stranger.example", resolvers)
    assert endpoint.resolve("mx.stranger.example", resolvers) == [deployed.state.mx.ipv4, deployed.state.mx.ipv6]


def test_without_ssh_the_rest_is_still_looked_at(site: SiteOf) -> None:
    assert stopping(look(site(server__ssh__host_key="SHA256:" + "A" * 43))) == ["evidence.ssh"]


def test_the_diagnosis_ends_within_its_budget(site: SiteOf, deployed: Rehearsed) -> None:
    nobody = deployed.state.resolver.ipv4.rpartition(".")[0] + f".{NOBODY}"
    began = time.monotonic()
    evidence = probes.gather(site(server__host=nobody, server__ipv4=nobody), budget=3)
    assert time.monotonic() - began < 15  # SSH alone may take ten
    assert evidence.facts["ssh"].unseen


@dataclass(frozen=True)
class Fault:
    """What is done on the server, what takes it back, and the cause that must be named."""

    cause: str
    broken: str
    mended: str


INSIDE = "docker exec mailserver"
WALL = "for ip in {v4} {v6}; do for chain in OUTPUT FORWARD; do case $ip in *:*) t=ip6tables;; *) t=iptables;; esac; "
CUT = "$t {how} $chain -d $ip -p tcp --dport 587 -j REJECT --reject-with tcp-reset; done; done"
FAULTS = (
    Fault("container-stopped", "docker stop -t 2 mailserver", "docker start mailserver"),
    Fault(
        "service-down",
        f"{INSIDE} supervisorctl stop dovecot",
        f"{INSIDE} supervisorctl start dovecot && {INSIDE} supervisorctl restart postfix",  # which rests for 60 s
    ),
    Fault(
        "relay-unreachable",
        WALL + CUT.replace("{how}", "-I"),
        WALL + CUT.replace("{how}", "-D"),
    ),
    Fault(
        "relay-route",
        f"{INSIDE} sh -c 'postconf -e relayhost= sender_dependent_relayhost_maps= && postfix reload'",
        f"{INSIDE} sh -c 'postconf -e relayhost=[smtp.relay.example]:587 {SENDERS} && postfix reload'",
    ),
    Fault(
        "open-relay",
        f"{INSIDE} sh -c 'postconf -h mynetworks >/tmp/was; postconf -e mynetworks=172.16.0.0/12'",
        f"{INSIDE} sh -c 'postconf -e \"mynetworks=$(cat /tmp/was)\"'",
    ),
    Fault(
        "resolver-broken",
        f"{INSIDE} sh -c 'cp /etc/resolv.conf /tmp/was; echo nameserver 127.0.0.1 >/etc/resolv.conf'",
        f"{INSIDE} sh -c 'cat /tmp/was >/etc/resolv.conf'",
    ),
)


@pytest.fixture
def broken(deployed: Rehearsed, request: pytest.FixtureRequest) -> Iterator[Fault]:
    """The fault of a test while it runs."""
    fault: Fault = request.param
    ips = {"v4": deployed.state.relay.ipv4, "v6": deployed.state.relay.ipv6}
    deployed.ssh(fault.broken.format_map(ips) if "{v4}" in fault.broken else fault.broken)
    yield fault
    deployed.ssh(fault.mended.format_map(ips) if "{v4}" in fault.mended else fault.mended)
    _await_ports(deployed)


def _await_ports(testbed: Rehearsed) -> None:
    """Until the mail server listens again, so that the next test meets a healthy one."""
    testbed.ssh(f"for i in $(seq 60); do {INSIDE} ss -ltnH | grep -q :993 && exit 0; sleep 0.5; done; exit 1")


@pytest.mark.parametrize("broken", FAULTS, ids=lambda fault: fault.cause, indirect=True)
def test_the_cause_is_named_alone(broken: Fault, site: SiteOf) -> None:
    found = look(site())
    assert stopping(found) == [f"diagnosis.{broken.cause}"], str(found)


ZONE = {
    "mx-elsewhere": ("lantern.example.", "MX", "20 nowhere.lantern.example."),
    "spf-without-relay": ("lantern.example.", "TXT", '"v=spf1 mx ~all"'),
    "dkim-differs": ("mail._domainkey.lantern.example.", "TXT", '"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB"'),
}


CACHED = 6  # seconds; the testbed's resolver keeps answers for at most five


@pytest.fixture
def zone(deployed: Rehearsed) -> Iterator[Rehearsed]:
    """The testbed, its zone put back afterwards."""
    records = [(name, kind) for name, kind, _ in ZONE.values()]
    stood = [(n, k, text) for n, k in records for text in deployed.texts(n, k, deployed.state.dns.ipv4)]
    yield deployed
    assert deployed.publish(*stood) == "NOERROR"
    time.sleep(CACHED)


def spoil(testbed: Rehearsed, record: str) -> None:
    """Publishes something else in a record's place, and waits until resolvers see it."""
    assert testbed.publish(ZONE[record]) == "NOERROR"
    time.sleep(CACHED)


def test_a_domain_the_relay_does_not_know_bounces_and_both_stages_say_so(site: SiteOf, zone: Rehearsed) -> None:
    spoil(zone, "spf-without-relay")
    verdict, _ = send(site(), wait=20)
    row = verdict[f"delivery.relayed {OUT}"]
    assert row.status is Status.FAIL
    assert "not verified" in row.observed
    assert "bounced" in row.observed
    found = rows(look(site()))
    assert found["diagnosis.spf-without-relay"] is Status.FAIL
    assert found["diagnosis.bounced-not-verified"] is Status.WARN


def test_another_key_in_dns_breaks_our_signature_and_both_stages_say_so(site: SiteOf, zone: Rehearsed) -> None:
    spoil(zone, "dkim-differs")
    verdict, _ = send(site())
    assert verdict[f"delivery.dkim {OUT} mail"].status is Status.WARN  # the relay's signature stands in for it
    assert verdict[f"delivery.dkim {OUT} relay"].status is Status.PASS
    assert rows(look(site()))["diagnosis.dkim-differs"] is Status.FAIL


def test_an_mx_elsewhere_is_named(site: SiteOf, zone: Rehearsed) -> None:
    spoil(zone, "mx-elsewhere")
    assert "diagnosis.mx-elsewhere" in rows(look(site()))


def test_mail_that_the_relay_cannot_take_stays_red_until_the_way_is_open(site: SiteOf, deployed: Rehearsed) -> None:
    ips = {"v4": deployed.state.relay.ipv4, "v6": deployed.state.relay.ipv6}
    (cut,) = (fault for fault in FAULTS if fault.cause == "relay-unreachable")
    deployed.ssh(cut.broken.format_map(ips))
    try:
        verdict, _ = send(site(), wait=8)
        assert verdict[f"delivery.relayed {OUT}"].status is Status.FAIL
        assert "Connection refused" in verdict[f"delivery.relayed {OUT}"].observed
        assert stopping(look(site())) == ["diagnosis.relay-unreachable"]
    finally:
        deployed.ssh(cut.mended.format_map(ips))
        deployed.ssh(f"{INSIDE} postsuper -d ALL")
        snapshots.reset_mail(deployed.root)
