"""How these tests behave on a mailcow that holds other domains: what was there stays as it was, what they made goes.

They are run here as somebody runs them, in a process of their own, against a double that stands for a real mailcow.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cows
import pytest
from herds import WRONG_KEYS, Herd, real
from ledgers import Access, Ledger, left

HERE = Path(__file__).parent
TRANSCRIPTS = HERE / "test_mailcow_transcripts.py"
POLICIES = ("tls_policy_override",)
TABLES = ("domain", "mailbox", "alias", "sender_acl", "relayhosts", "transports", "dkim", "ratelimit", *POLICIES)
SECONDS = 60
Everything = dict[str, list[dict[str, Any]]]

pytestmark = pytest.mark.skipif(real() is not None, reason="a real mailcow is asked by the tests these run")


@pytest.fixture
def pasture() -> Iterator[cows.Cow]:
    """A mailcow of others, with one of everything, which counts wrong keys."""
    with cows.double(public=True) as cow:
        settle(cow)
        yield cow


def settle(cow: cows.Cow) -> None:
    with Access(cow.url, cow.key, str(cow.ca)).client(headers={"X-API-Key": cow.key}) as client:
        password = {"password": "Theirs-0123", "password2": "Theirs-0123"}
        for path, body in (
            ("domain", {"domain": "theirs.example", "rl_value": 5, "rl_frame": "m"}),
            ("mailbox", {"local_part": "hi", "domain": "theirs.example", "quota": 10, **password}),
            ("alias", {"address": "@theirs.example", "goto": "hi@theirs.example", "active": 1}),
            ("relayhost", {"hostname": "[smtp.theirs.example]:587", "username": "them", "password": "their:secret"}),
            ("transport", {"destination": "far.example", "nexthop": "[far.theirs.example]:25", "active": 1}),
            ("tls-policy-map", {"dest": "[smtp.theirs.example]:587", "policy": "encrypt", "active": 1}),
        ):
            assert '"success"' in client.post(f"/api/v1/add/{path}", json=body).text
        attributes = {"items": ["theirs.example"], "attr": {"relayhost": "1"}}
        assert '"success"' in client.post("/api/v1/edit/domain", json=attributes).text


def everything(cow: cows.Cow) -> Everything:
    return {table: cow.rows(table) for table in TABLES}


def run(cow: cows.Cow, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """The tests as somebody runs them against a mailcow of their own."""
    environment = os.environ | {"MAILCOW_URL": cow.url, "MAILCOW_API_KEY": cow.key, "MAILCOW_CA": str(cow.ca)}
    for name in [n for n in environment if n.startswith(("MAILCOW_TEST_", "MAILCOW_API_KEY_RO", "PYTEST_XDIST_"))]:
        del environment[name]
    argv = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:xdist", "-o", f"cache_dir={folder / 'cache'}"]
    argv += [f"--basetemp={folder / 'tmp'}", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(argv, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True)


def wait(until: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_run_leaves_a_mailcow_as_it_was(pasture: cows.Cow, tmp_path: Path) -> None:
    before = everything(pasture)
    said, complaint = run(pasture, tmp_path, str(HERE), f"--ignore={__file__}").communicate()
    assert " passed" in said, said + complaint
    assert " failed" not in said, said
    assert " error" not in said, said
    assert "not on a real mailcow: the relay of the transcripts" in said
    assert everything(pasture) == before
    tries = [count for count, _ in pasture.api.bans.tries.values()]
    assert tries
    assert sum(tries) <= WRONG_KEYS


def test_a_killed_run_is_cleaned_up_after(pasture: cows.Cow, tmp_path: Path) -> None:
    before = everything(pasture)
    process = run(pasture, tmp_path, str(TRANSCRIPTS))
    wait(lambda: len(pasture.rows("relayhosts")) > 3)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait(lambda: everything(pasture) == before)
    assert not list(tmp_path.rglob("*.ledger"))


def test_what_a_dead_machine_left_is_taken_away_by_the_next_run(cow: Herd, tmp_path: Path) -> None:
    """Its reaper died with it; the ledger is still there."""
    run, gone = "rdeadbeef", subprocess.Popen(["true"])
    gone.wait()
    dead, other, beside = (Ledger(tmp_path / f"{name}.ledger", name) for name in (run, "rother", "rbeside"))
    dead.open(cow.access, gone.pid)
    dead.note("domain", f"{run}-left.example")
    assert "success" in cow.ask("POST", "/api/v1/add/domain", json={"domain": f"{run}-left.example"}).text
    other.open(Access("https://another.example", "key"), gone.pid)
    beside.open(cow.access)
    for ledger in left(tmp_path, cow.access):
        ledger.sweep(cow.access)
    assert cow.get(f"domain/{run}-left.example") == {}
    assert cow.get(f"dkim/{run}-left.example") == {}
    assert sorted(path.stem for path in tmp_path.glob("*.ledger")) == ["rbeside", "rother"]


def test_nothing_is_noted_that_does_not_carry_the_runs_id(cow: Herd) -> None:
    with pytest.raises(AssertionError, match="does not carry"):
        cow.ledger.note("domain", "theirs.example")
    with pytest.raises(AssertionError, match="does not carry"):
        cow.ledger.note("relayhost", "[smtp.theirs.example]:587", "them")


def test_a_fourth_wrong_key_is_not_tried(cow: Herd, tmp_path: Path) -> None:
    herd = Herd(cow.access, cow.run, cow.ledger, tmp_path / "budget")
    for _ in range(WRONG_KEYS):
        herd.spend()
    with pytest.raises(pytest.skip.Exception, match="wrong keys were tried"):
        herd.spend()
    herd.client.close()


@pytest.mark.parametrize("url", ["http://mail.theirs.example", "http://9.9.9.9"])
def test_a_key_travels_in_clear_near_by_only(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILCOW_URL", url)
    monkeypatch.setenv("MAILCOW_API_KEY", "k")
    with pytest.raises(pytest.UsageError, match="https"):
        real()
    monkeypatch.setenv("MAILCOW_URL", "http://127.0.0.1:8080/")
    assert real() == Access("http://127.0.0.1:8080", "k")
