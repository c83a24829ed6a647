"""The whole path once: shown, applied, applied again, restarted; and what each of these leaves on the server."""

from __future__ import annotations

import time

import pytest
from rehearsal import HERE, Rehearsal
from rehearsed import SERVING, Rehearsed


def test_shown_only_it_ends_pending_and_nothing_is_touched(rehearsal: Rehearsal) -> None:
    assert rehearsal.shown.status == 0, rehearsal.shown.output
    assert rehearsal.shown.checks["status"] == "pending"
    assert set(rehearsal.shown.last) == {
        "01-bootstrap",
        "02-relay",
        "03-dkim",
        "04-dns",
        "05-send",
        "06-troubleshoot",
    }
    assert rehearsal.bare_before == rehearsal.bare_after
    assert rehearsal.serials[0] == rehearsal.serials[1]


def test_shown_only_no_row_is_called_wrong(rehearsal: Rehearsal) -> None:
    rows = [c for walk in rehearsal.shown.last.values() for c in walk["checks"]]
    assert [c for c in rows if c["status"] == "fail"] == []


def test_applied_every_stage_passes(rehearsal: Rehearsal) -> None:
    assert rehearsal.applied.status == 0, rehearsal.applied.output
    assert {stage: walk["status"] for stage, walk in rehearsal.applied.last.items()} == dict.fromkeys(
        rehearsal.applied.last, "pass"
    )
    assert rehearsal.applied.checks["status"] == "pass"


def test_the_relay_is_walked_again_after_its_dns_stands(rehearsal: Rehearsal) -> None:
    walks = [(walk["stage"], walk["status"]) for walk in rehearsal.applied.checks["stages"]]
    assert walks.index(("02-relay", "pending")) < walks.index(("04-dns", "pass")) < walks.index(("02-relay", "pass"))
    assert (rehearsal.applied.folder / "02-relay.2.ipynb").exists()


def test_applied_again_changes_nothing(rehearsal: Rehearsal) -> None:
    assert rehearsal.again.status == 0, rehearsal.again.output
    assert rehearsal.again.checks["status"] == "pass"
    assert [c for walk in rehearsal.again.checks["stages"] for c in walk["changes"]] == []
    assert rehearsal.settled == rehearsal.settled_again
    assert rehearsal.serials[2] == rehearsal.serials[3]


def test_at_most_two_containers_were_made(rehearsal: Rehearsal) -> None:
    made = [
        c
        for walk in rehearsal.applied.checks["stages"]
        for c in walk["changes"]
        if c["target"] == "container mailserver" and c["applied"] and c["after"] != "stopped"
    ]
    assert len(made) <= 2


def test_the_archive_says_which_image_was_tested(rehearsal: Rehearsal, testbed: Rehearsed) -> None:
    image = testbed.state.image
    assert image.source in rehearsal.applied.checks["image"]
    assert image.description in (rehearsal.applied.folder / "report.html").read_text()


def test_no_secret_of_the_testbed_is_in_the_archive(rehearsal: Rehearsal, testbed: Rehearsed) -> None:
    secrets = [testbed.state.relay.password, testbed.state.mx.password, testbed.state.dns.tsig.secret]
    secrets += list(testbed.state.mailboxes.values())
    for ran in (rehearsal.shown, rehearsal.applied, rehearsal.again):
        for file in ran.folder.iterdir():
            text = file.read_bytes()
            assert not [s for s in secrets if s.encode() in text], file.name
        assert not [s for s in secrets if s in ran.output]


def test_the_servers_own_files_hold_the_relay_login_for_root_only(rehearsal: Rehearsal, testbed: Rehearsed) -> None:
    assert rehearsal.applied.status == 0
    readable = testbed.ssh(
        f"grep -rlF '{testbed.state.relay.password}' /opt /etc 2>/dev/null | xargs -r stat -c '%a %n'"
    )
    assert readable.split() == ["600", f"{HERE}/config/postfix-sasl-password.cf"]


def test_mail_comes_back_after_a_restart_of_the_server(rehearsal: Rehearsal, testbed: Rehearsed) -> None:
    assert rehearsal.applied.status == 0
    testbed.container("server").restart(timeout=20)
    deadline = time.monotonic() + SERVING
    while time.monotonic() < deadline:
        try:
            if testbed.ssh("docker exec mailserver ss -ltn | grep -c ':587 '").strip() != "0":
                return
        except (AssertionError, OSError):
            pass
        time.sleep(1)
    pytest.fail(f"no mail server {SERVING} s after the restart")
