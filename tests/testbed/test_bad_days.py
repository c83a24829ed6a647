"""Bad days of stages 01 and 02: each a red row with what was expected, what was seen and what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import rehearsal
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rehearsal import FINGERPRINT, HERE, PARAMS, ROOT
from rehearsed import Rehearsed

from runbooklib import host, params, relays, servers
from runbooklib.params import Site
from runbooklib.results import Check, Checklist, GateError, Plan, Status
from runbooklib.servers.docker_mailserver import doors
from runbooklib.testbed import world

SiteOf = Callable[..., Site]
NOTHING_WAITS = Checklist("")  # what stage 02 proves, where that is not what is looked at


@pytest.fixture
def site(testbed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> SiteOf:
    """The rehearsal site of the session's testbed."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
    return rehearsal.site


def blocking(site: Site) -> Check:
    """The row that stops at the door."""
    with pytest.raises(GateError):
        host.preflight(site).require()
    (row,) = [c for c in host.preflight(site) if c.blocks]
    assert row.expected
    assert row.observed
    assert row.fix
    return row


def test_a_wrong_ssh_key(site: SiteOf, tmp_path: Path) -> None:
    key = tmp_path / "id"
    raw = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    key.write_bytes(raw)
    row = blocking(site(server__ssh__key=str(key)))
    assert (row.name, row.status) == ("host.ssh.login", Status.FAIL)
    assert "authorized_keys" in row.fix


def test_a_changed_host_key_is_never_accepted(site: SiteOf) -> None:
    row = blocking(site(server__ssh__host_key="SHA256:" + "A" * 43))
    assert (row.name, row.status) == ("host.ssh.host-key", Status.FAIL)
    assert "SHA256:AAAA" in row.observed
    assert "do not go on" in row.fix


def test_an_unknown_host_key_is_never_accepted(site: SiteOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    given = site().model_dump(mode="json", exclude_none=True)
    del given["server"]["ssh"]["host_key"]
    row = blocking(params.load(given))
    assert (row.name, row.status) == ("host.ssh.host-key", Status.FAIL)
    assert "console" in row.fix


def test_a_host_nobody_answers_for_could_not_be_told(site: SiteOf, testbed: Rehearsed) -> None:
    nobody = testbed.state.server.ipv4.rpartition(".")[0] + ".99"
    row = blocking(site(server__host=nobody))
    assert (row.name, row.status) == ("host.ssh.reach", Status.UNKNOWN)


def test_a_user_who_may_not_use_docker(site: SiteOf, testbed: Rehearsed) -> None:
    testbed.ssh(
        "id op >/dev/null 2>&1 || useradd -m op; install -d -m 700 -o op /home/op/.ssh; "
        "install -m 600 -o op ~/.ssh/authorized_keys /home/op/.ssh/authorized_keys"
    )
    row = blocking(site(server__ssh__user="op"))
    assert (row.name, row.status) == ("host.root", Status.FAIL)
    assert "sudo" in row.fix


def test_an_image_that_cannot_be_had_leaves_the_server_as_it_was(deployed: Rehearsed, site: SiteOf) -> None:
    before = deployed.ssh(FINGERPRINT)
    here = site(mail__image="registry.example/docker-mailserver/docker-mailserver:15.9.9")
    plan = servers.plan(here, servers.observe(here))
    with pytest.raises(GateError, match=r"15\.9\.9.*(not found|unknown)") as refused:
        servers.apply(here, plan, apply=True)
    assert "mail.image" in str(refused.value)
    assert deployed.ssh(FINGERPRINT) == before


def test_a_container_that_is_gone_is_seen_and_made_again(spoilt: Rehearsed, site: SiteOf) -> None:
    spoilt.ssh("docker stop -t 1 mailserver")
    here = site()
    plan = servers.plan(here, servers.observe(here))
    assert [c.target for c in plan] == ["container mailserver"]
    shown = servers.verify(here, servers.apply(here, plan, apply=False), wait=1)
    assert shown.status is Status.PENDING
    assert servers.verify(here, servers.apply(here, plan, apply=True), wait=60).require().status is Status.PASS


def open_relay(here: Site) -> Check:
    (row,) = [c for c in doors.recipients(here) if c.name.startswith("server.rcpt.open-relay")]
    return row


def test_an_open_relay_turns_red(spoilt: Rehearsed, site: SiteOf) -> None:
    spoilt.ssh("docker exec mailserver postconf -e mynetworks=0.0.0.0/0 && docker exec mailserver postfix reload")
    until = time.monotonic() + 60  # smtpd reads its settings a moment after the reload
    while (row := open_relay(site())).status is not Status.FAIL and time.monotonic() < until:
        time.sleep(0.2)
    assert row.status is Status.FAIL
    assert "at once" in row.fix


def planned_routes(here: Site) -> Plan:
    """The routes of a site whose relay was proved before."""
    have = servers.routes(here)
    return servers.plan_routes(here, have, NOTHING_WAITS, relays.null_way(here, NOTHING_WAITS, have.null))


def test_a_route_without_verified_tls_turns_red(spoilt: Rehearsed, site: SiteOf) -> None:
    spoilt.ssh("docker exec mailserver postconf -e smtp_tls_policy_maps=")
    here = site()
    done = servers.apply(here, planned_routes(here), apply=False)
    null = relays.null_way(here, NOTHING_WAITS, servers.routes(here).null)
    row = servers.verify_routes(here, done, NOTHING_WAITS, null, wait=1)["relay.tls-policy smarthost"]
    assert (row.status, row.observed) == (Status.FAIL, "none")


def test_a_login_that_others_can_read_turns_red(spoilt: Rehearsed, site: SiteOf) -> None:
    spoilt.ssh(f"chmod 644 {HERE}/config/postfix-sasl-password.cf")
    here = site()
    plan = planned_routes(here)
    assert [c.target for c in plan] == [f"{HERE}/config/postfix-sasl-password.cf"]
    servers.apply(here, plan, apply=True)
    assert spoilt.ssh(f"stat -c %a {HERE}/config/postfix-sasl-password.cf").strip() == "600"


def test_a_signer_that_lost_its_key_turns_red(spoilt: Rehearsed, site: SiteOf) -> None:
    spoilt.ssh("docker exec mailserver rm -rf /etc/opendkim/keys/lantern.example")
    here = site()
    plan = servers.plan_keys(here, servers.observe(here))
    assert [c.target for c in plan] == ["container mailserver"]
    shown = servers.verify_keys(here, servers.apply(here, plan, apply=False), apply=False, wait=5)
    assert shown.status is Status.PENDING
    done = servers.apply(here, plan, apply=True)
    assert servers.verify_keys(here, done, apply=True, wait=60).require().status is Status.PASS


def test_a_key_pair_that_does_not_belong_together_turns_red(spoilt: Rehearsed, site: SiteOf) -> None:
    folder = f"{HERE}/config/opendkim/keys/lantern.example"
    spoilt.ssh(
        f"openssl genrsa -traditional -out {folder}/mail.private 2048 2>/dev/null; chmod 644 {folder}/mail.private"
    )
    here = site()
    done = servers.apply(here, servers.plan_keys(here, servers.observe(here)), apply=True)
    rows = servers.verify_keys(here, done, apply=True, wait=60)
    red = {c.name.split(" ")[0] for c in rows if c.status is Status.FAIL}
    assert {"dkim.pair", "dkim.permissions", "dkim.proof"} <= red


def test_a_run_cut_off_leaves_no_half_file_and_the_next_one_goes_on(
    spoilt: Rehearsed, site: SiteOf, tmp_path: Path
) -> None:
    spoilt.ssh(f"docker rm -f mailserver && rm -r {HERE}")
    words = ["run", str(PARAMS), "--runs", str(tmp_path), "--apply", "--stage", "01-bootstrap"]
    with subprocess.Popen([sys.executable, "-m", "runbooklib.cli", *words], cwd=ROOT, env=os.environ) as started:
        spoilt.ssh(f"timeout 110 sh -c 'until ls {HERE}/compose.yaml; do sleep 0.05; done' 2>/dev/null")
        started.send_signal(signal.SIGINT)
        assert started.wait(60) == 130  # as a shell says SIGINT
    halves = f"find {HERE} /etc/docker -name '*.??????' -newer /etc/hostname"  # what was being written is taken away
    assert spoilt.ssh(f'for i in $(seq 600); do h=$({halves}); [ "$h" ] || break; sleep 0.1; done; echo "$h"') == "\n"
    assert "mailserver" not in spoilt.ssh("docker ps -a --format '{{.Names}}'")
    here = site()
    done = servers.apply(here, servers.plan(here, servers.observe(here)), apply=True)
    assert servers.verify(here, done, wait=120).require().status is Status.PASS
