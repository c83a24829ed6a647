"""Evidence on bad days: whatever hangs, breaks or floods, the facts are there in time and say what was not seen."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from threading import Event

import paramiko
import pytest
import sites
from scripts import SILENCE, Script

from runbooklib import host
from runbooklib.diagnosis import RULES, diagnose, unseen
from runbooklib.host import Answer, Host, HostKeyError, LateError, TooLongError
from runbooklib.probes import gathering
from runbooklib.probes.asking import Question, Source, ask, once
from runbooklib.results import Status

SOON = 0.2  # seconds that a test's budget lasts
SLACK = 5.0  # seconds after it on a busy machine; what hangs here hangs for twice as long


@pytest.fixture
def hanging() -> Iterator[Callable[[], None]]:
    """A probe that gives no answer before the test is over."""
    over = Event()
    yield lambda: over.wait(30) and None
    over.set()


def questions(*names: str, probe: Callable[[], object]) -> Iterator[Question]:
    yield from ((name, probe) for name in names)


def refused() -> None:
    raise HostKeyError("expected host key SHA256:a, saw SHA256:b", "do not go on")


def test_each_answer_is_a_fact_and_each_error_a_reason_with_its_fix() -> None:
    def several() -> Iterator[Question]:
        yield "good", lambda: ["x"]
        yield "bad", refused
        yield "odd", lambda: dict[str, str]()["version"]

    facts = ask([Source(several(), 2)], 5)
    assert facts["good"].value == ["x"]
    assert facts["bad"].unseen.startswith("expected host key SHA256:a")
    assert facts["bad"].fix == "do not go on"
    assert "version" in facts["odd"].unseen


def test_what_it_took_is_measured_for_each_question() -> None:
    facts = ask([Source(questions("slow", probe=lambda: time.sleep(0.02)), 1)], 5)
    assert facts["slow"].seconds >= 0.02


def test_who_hangs_is_named_with_the_time_and_takes_nothing_else_along(hanging: Callable[[], None]) -> None:
    began = time.monotonic()
    hang = Source(questions(*(f"deaf {n}" for n in range(30)), probe=hanging), 48)
    facts = ask([hang, Source(questions("quick", probe=lambda: "ok"), 6)], 1)
    assert time.monotonic() - began < 1 + SLACK
    assert facts["quick"].value == "ok"
    assert {facts[f"deaf {n}"].unseen for n in range(30)} == {"no answer within the time budget of 1 s"}
    assert facts["deaf 7"].seconds > 0.1


def test_who_stands_behind_those_that_hang_was_not_asked(hanging: Callable[[], None]) -> None:
    facts = ask([Source(questions("first", "second", probe=hanging), 1)], SOON)
    assert "not asked" in facts["second"].unseen


def test_a_place_whose_door_stays_shut_is_one_thing_not_seen(hanging: Callable[[], None]) -> None:
    def connecting() -> Iterator[Question]:
        hanging()
        yield "containers", list

    facts = ask([Source(connecting(), 6, ("ssh", "api"))], SOON)
    assert list(facts) == ["ssh"]
    assert "no answer" in facts["ssh"].unseen


def test_a_place_that_breaks_while_it_is_entered_is_named_by_its_entrance() -> None:
    def breaking() -> Iterator[Question]:
        yield "ssh", lambda: "ok"
        refused()

    facts = ask([Source(breaking(), 6, ("ssh", "api"))], 5)
    assert facts["ssh"].value == "ok"
    assert "expected host key" in facts["api"].unseen


def test_no_thread_that_hangs_keeps_the_process_from_its_end(hanging: Callable[[], None]) -> None:
    entered, before = threading.Event(), set(threading.enumerate())

    def stuck() -> None:
        entered.set()
        hanging()

    ask([Source(questions("a", "b", probe=stuck), 6)], 0.5)
    assert entered.wait(30)
    left = set(threading.enumerate()) - before
    assert left
    assert all(thread.daemon for thread in left)


def test_what_must_stop_nobody_is_advisory() -> None:
    facts = ask([Source(questions("port 25", "queue", probe=refused), 6)], 30, {"port"})
    assert (facts["port 25"].advisory, facts["queue"].advisory) == (True, False)


def test_one_answer_serves_all_its_views() -> None:
    asked = []
    tables = once(lambda: asked.append(1) or "tables")
    assert (tables(), tables(), len(asked)) == ("tables", "tables", 1)
    broken = once(refused)
    for _ in range(2):
        with pytest.raises(HostKeyError):
            broken()


def site_at(port: int) -> dict[str, object]:
    return {
        "server__host": "127.0.0.1",
        "server__ipv4": "127.0.0.1",
        "server__ssh": {"port": port, "host_key": "SHA256:" + "A" * 43},
        "dns": {"publish": "by-hand", "resolvers": ["127.0.0.1"]},
    }


def test_a_server_whose_ssh_says_nothing_is_one_row_within_the_budget() -> None:
    with Script([SILENCE]) as silent:
        began = time.monotonic()
        evidence = gathering.gather(sites.make(**site_at(silent.port)), budget=0.2)
        found = diagnose(evidence)
        assert time.monotonic() - began < 0.2 + SLACK
    assert "no answer" in evidence.facts["ssh"].unseen
    row = next(check for check in found if "ssh" in check.name)
    assert row.status is Status.UNKNOWN
    untried = [rule.id for rule in unseen.untried(evidence, RULES[evidence.server])]
    assert "container-stopped" in untried
    assert not [name for name in untried if name.startswith("pasted-")]
    assert f"not fully tried: {untried[0]}" in row.observed


def test_no_ssh_at_all_is_one_row_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    evidence = gathering.gather(sites.make(**site_at(port)), budget=2)
    assert "no SSH server answered" in evidence.facts["ssh"].unseen
    assert "sshd runs" in evidence.facts["ssh"].fix
    rows = [check for check in diagnose(evidence) if "no SSH server answered" in check.observed]
    assert len(rows) == 1
    assert "sshd runs" in rows[0].fix


class Chatty(paramiko.ServerInterface):
    """A server whose commands say more than anybody reads."""

    def check_auth_none(self, username: str) -> int:
        del username
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        del command
        threading.Thread(target=self._say, args=(channel,), daemon=True).start()
        return True

    def _say(self, channel: paramiko.Channel) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                channel.sendall(b"x" * 2**20)


class Stuck(Chatty):
    """A server whose second command hangs, on a disk that is gone."""

    def _say(self, channel: paramiko.Channel) -> None:
        channel.sendall(f"{host.MARK}one\n1\n{host.MARK} 0\n{host.MARK}two\nhalf".encode())


@contextlib.contextmanager
def served(interface: paramiko.ServerInterface) -> Iterator[Host]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server, client = paramiko.Transport(theirs), paramiko.Transport(ours)
        server.add_server_key(paramiko.ECDSAKey.generate())
        server.start_server(Event(), interface)
        client.connect()
        client.auth_none("root")
        connected = paramiko.SSHClient()
        connected._transport = client
        yield Host(connected, most=10_000)
        for end in (client, server):
            end.close()
            end.join()


def test_output_larger_than_memory_is_cut_off_and_says_so() -> None:
    with served(Chatty()) as flooding, pytest.raises(TooLongError, match="said more than 10000 octets and was cut off"):
        flooding.run(("cat", "/var/log/mail.log"))


def test_what_was_said_before_something_hangs_is_not_lost() -> None:
    with served(Stuck()) as stuck:
        assert stuck.heard({"one": "", "two": ""}, silence=0.05) == {"one": Answer(0, "1")}
        with pytest.raises(LateError, match="did not end within"):  # a plan is made of all or nothing
            stuck.facts({"one": "", "two": ""}, timeout=0.05)


def test_all_that_a_gathering_can_hold_at_once_fits_into_memory() -> None:
    assert host.MOST * gathering.SESSIONS <= 2**28
