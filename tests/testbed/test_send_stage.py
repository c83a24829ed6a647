"""Stages 05 and 06 on the deployed testbed: real messages judged; what 06 says when it cannot see."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import baddays
import pytest
import rehearsal
from baddays import HTML, OUT, TO_ECHO, judged, send
from rehearsed import Rehearsed

from runbooklib import delivery, diagnosis, endpoint, params, probes
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.params import Site
from runbooklib.results import Checklist, GateError, Status
from runbooklib.testbed import snapshots

SiteOf = Callable[..., Site]
SENDERS = "sender_dependent_relayhost_maps=texthash:/etc/postfix/relayhost_map"
BOTH_WAYS = (OUT, TO_ECHO, "bounce lantern.example", "catch-all lantern.example")
IN = "inbound hi@lantern.example"
NOBODY = 250  # the last part of an address in the testbed's network that nobody has


@pytest.fixture
def site(deployed: Rehearsed) -> SiteOf:
    """The rehearsal site of the deployed testbed."""
    assert deployed.state
    return rehearsal.site


def look(site: Site) -> Checklist:
    """The cells of 06."""
    return diagnosis.diagnose(probes.gather(site))


def stopping(found: Checklist) -> list[str]:
    """What stops; what an earlier test left in the log only warns."""
    return [c.name for c in found if c.blocks]


def rows(found: Checklist, *, passed: bool = False) -> dict[str, Status]:
    return {c.name: c.status for c in found if passed or c.status is not Status.PASS}


def test_messages_both_ways_pass_and_show_their_way(site: SiteOf) -> None:
    verdict, path = send(site(), *BOTH_WAYS)
    assert rows(verdict.require()) == {}
    assert {f"delivery.{what}" for what in ("answered", "bounced", "written-to")} <= {
        c.name.split()[0] for c in verdict
    }
    assert "5.1.1" in verdict["delivery.bounced bounce lantern.example"].observed
    ways = {name: [row[4] for row in path.rows if row[0] == name] for name in {row[0] for row in path.rows}}
    assert ways[f"{OUT} (message)"][:3] == ["mail.lantern.example", "smtp.relay.example", "mx.stranger.example"]
    assert "smtp.relay.example" not in ways["catch-all lantern.example (message)"]


def test_two_runs_do_not_read_each_others_messages(site: SiteOf) -> None:
    plans = [delivery.plan(site(name=name)).only(lambda a: a.name == HTML) for name in ("one", "one-too")]
    with ThreadPoolExecutor(len(plans)) as pool:
        sent = pool.map(lambda plan: delivery.send(site(), plan, apply=True), plans)
        for arrived in pool.map(lambda each: delivery.fetch(site(), each, wait=60), sent):
            (parcel,) = arrived
            (copy,) = parcel.copies
            assert arrived.mark(parcel) in str(copy.message["Subject"])


def test_shown_only_nothing_is_sent(site: SiteOf, deployed: Rehearsed) -> None:
    plan = delivery.plan(site())
    sent = delivery.send(site(), plan, apply=False)
    assert {c.status for c in judged(site(), delivery.fetch(site(), sent, wait=30))} == {Status.PENDING}
    with deployed.imap() as client:
        assert client.search(None, "SUBJECT", f'"{plan.marker}"')[1] == [b""]


def test_a_healthy_site_stops_nobody(site: SiteOf) -> None:
    assert stopping(look(site())) == []


@pytest.fixture
def holding(deployed: Rehearsed) -> Iterator[None]:
    """The relay accepts and keeps what it accepted."""
    with baddays.bent(deployed, "relay", defer_transports="smtp"):
        yield


@pytest.mark.usefixtures("holding")
def test_accepted_by_the_relay_and_not_arrived_is_unknown_and_stops(site: SiteOf) -> None:
    verdict, _ = send(site(), HTML, until="status=sent", wait=4)
    assert verdict[f"delivery.relayed {HTML}"].status is Status.PASS
    row = verdict[f"delivery.arrived {HTML}"]
    assert row.status is Status.UNKNOWN
    assert "not there within 4 s; last known: smtp.relay.example" in row.observed
    assert row.fix
    with pytest.raises(GateError, match=r"delivery\.arrived"):
        verdict.require()


@pytest.fixture
def stripping(deployed: Rehearsed) -> Iterator[None]:
    """The relay takes our signature out, and copies what it sends to one more recipient's mailbox."""
    settings = {
        "header_checks": "regexp:{{/^DKIM-Signature:.*s=mail/ IGNORE}}",
        "always_bcc": "postmaster@stranger.example",
        "smtp_destination_recipient_limit": "1",
    }
    with baddays.bent(deployed, "relay", **settings):
        yield


@pytest.mark.usefixtures("stripping")
def test_a_relay_that_takes_our_signature_out_and_sends_twice_is_named(site: SiteOf) -> None:
    verdict, _ = send(site(), HTML, settles=8)  # by then the second copy is there
    stripped, twice = verdict[f"delivery.dkim {HTML} mail"], verdict[f"delivery.once {HTML}"]
    assert stripped.status is Status.WARN
    assert "our server's log says that it signed" in stripped.observed
    assert twice.status is Status.WARN
    assert "2 copies; smtp.relay.example had one and handed it on twice" in twice.observed


def test_a_mailbox_that_cannot_be_read_is_unknown_what_was_relayed_stays_known(
    site: SiteOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WRONG", baddays.WRONG)
    baddays.unreadable(site(test__recipients__0__imap__password="env:WRONG"))


def test_a_refused_submission_login_fails(site: SiteOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", baddays.WRONG)
    verdict, _ = send(site(test__recipients__0__submission__password="env:WRONG"), IN)
    assert verdict[f"delivery.accepted {IN}"].status is Status.FAIL
    assert "535" in verdict[f"delivery.accepted {IN}"].observed


def test_a_certificate_that_is_not_trusted_fails_and_nothing_is_sent(site: SiteOf) -> None:
    given: Any = site().model_dump(mode="json", exclude_none=True)
    del given["mail"]["tls"]["ca"]
    verdict, _ = send(params.load(given), OUT)
    row = verdict[f"delivery.accepted {OUT}"]
    assert row.status is Status.FAIL
    assert "unknown CA" in row.observed


def test_silent_resolvers_are_unknown_in_both_stages(site: SiteOf, deployed: Rehearsed) -> None:
    nobody = deployed.state.resolver.ipv4.rpartition(".")[0] + f".{NOBODY}"
    deaf = site(dns__resolvers=[nobody])
    with pytest.raises(ResolverError):
        endpoint.resolve("mx.stranger.example", [nobody], timeout=1)
    with ThreadPoolExecutor() as pool:
        stages = pool.submit(send, deaf, IN), pool.submit(look, deaf)
    verdict, found = stages[0].result()[0], rows(stages[1].result())
    assert verdict[f"delivery.accepted {IN}"].status is Status.UNKNOWN
    assert found["diagnosis.resolver-silent"] is Status.WARN
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
    assert time.monotonic() - began < 15  # five times the budget
    assert evidence.facts["ssh"].unseen


WALL = "for ip in {v4} {v6}; do for chain in OUTPUT FORWARD; do case $ip in *:*) t=ip6tables;; *) t=iptables;; esac; "
CUT = WALL + "$t {how} $chain -d $ip -p tcp --dport 587 -j REJECT --reject-with tcp-reset; done; done"

ZONE = {
    "spf-without-relay": ("lantern.example.", "TXT", '"v=spf1 mx ~all"'),
    "dkim-wrong-key": ("mail._domainkey.lantern.example.", "TXT", '"k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB"'),
}


CACHED = 60  # seconds on a busy machine; the testbed's resolver keeps answers for at most five


@pytest.fixture
def zone(deployed: Rehearsed) -> Iterator[Rehearsed]:
    """The testbed, its zone put back afterwards."""
    records = [(name, kind) for name, kind, _ in ZONE.values()]
    stood = [(n, k, text) for n, k in records for text in deployed.texts(n, k, deployed.state.dns.ipv4)]
    yield deployed
    publish(deployed, *stood)


def spoil(testbed: Rehearsed, *records: str) -> None:
    """Publishes something else in the place of records."""
    publish(testbed, *(ZONE[record] for record in records))


def publish(testbed: Rehearsed, *records: tuple[str, str, str]) -> None:
    """Publishes records, and waits until the resolver shows them."""
    assert testbed.publish(*records) == "NOERROR"
    until = time.monotonic() + CACHED
    while any(text not in testbed.texts(name, kind) for name, kind, text in records):
        assert time.monotonic() < until, "the resolver shows the old records"
        time.sleep(0.2)


def test_a_domain_the_relay_does_not_know_bounces(site: SiteOf, zone: Rehearsed) -> None:
    spoil(zone, "spf-without-relay")
    verdict, _ = send(site(), HTML)
    row = verdict[f"delivery.relayed {HTML}"]
    assert row.status is Status.FAIL
    assert "not verified" in row.observed
    assert "bounced" in row.observed


def test_another_key_in_dns_breaks_our_signature(site: SiteOf, zone: Rehearsed) -> None:
    spoil(zone, "dkim-wrong-key")
    verdict, _ = send(site(), HTML)
    assert verdict[f"delivery.dkim {HTML} mail"].status is Status.WARN  # the relay's signature stands in for it
    assert verdict[f"delivery.dkim {HTML} relay"].status is Status.PASS


def test_mail_that_the_relay_cannot_take_stays_red_until_the_way_is_open(site: SiteOf, deployed: Rehearsed) -> None:
    relay = deployed.state.relay
    deployed.ssh(CUT.format(how="-I", v4=relay.ipv4, v6=relay.ipv6))
    try:
        verdict, _ = send(site(), HTML, until="status=deferred", wait=3)
        assert verdict[f"delivery.relayed {HTML}"].status is Status.FAIL
        assert "Connection refused" in verdict[f"delivery.relayed {HTML}"].observed
    finally:
        deployed.ssh(CUT.format(how="-D", v4=relay.ipv4, v6=relay.ipv6))
        deployed.ssh("docker exec mailserver postsuper -d ALL")
        snapshots.reset_mail(deployed.root)
