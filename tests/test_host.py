"""The parts of the SSH connection that need no server."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Event, Thread

import paramiko
import pytest
import sites
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import host
from runbooklib.host import Answer
from runbooklib.servers.engine import NOT_FOUND


def test_a_fingerprint_is_what_openssh_prints() -> None:
    blob = b"\x00\x00\x00\x0bssh-ed25519" + bytes(36)
    assert host.fingerprint(blob) == "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def test_facts_keep_their_status_and_lines() -> None:
    text = f"{host.MARK}a\none\ntwo\n{host.MARK} 0\n{host.MARK}b\n\n{host.MARK} 127\n"
    assert host.parse_facts(text) == {"a": Answer(0, "one\ntwo"), "b": Answer(127, "")}


def test_a_fact_cut_off_is_left_out() -> None:
    assert host.parse_facts(f"{host.MARK}a\n1\n{host.MARK} 0\n{host.MARK}b\nhalf") == {"a": Answer(0, "1")}


@pytest.mark.parametrize("abreast", [False, True])
def test_what_one_command_does_is_nothing_to_the_others(*, abreast: bool) -> None:
    commands = {"one": "echo first; exit 3", "two": "no-such-command", "three": "printf 'a\\nb' >&2"}
    script = host.asking(commands, abreast=abreast)
    said = subprocess.run(["sh", "-s"], input=script, capture_output=True, text=True, check=True).stdout
    told = host.parse_facts(said)
    assert (told["one"], told["three"]) == (Answer(3, "first"), Answer(0, "a\nb"))
    assert told["two"].status == NOT_FOUND


@given(st.text())
def test_facts_from_anything_never_raise_but_on_a_broken_status(text: str) -> None:
    host.parse_facts(text.replace(f"{host.MARK} ", ""))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\n',
            {"PRETTY_NAME": "Debian GNU/Linux 13 (trixie)", "ID": "debian"},
        ),
        ("", {}),
        ("nonsense", {}),
    ],
)
def test_os_release(text: str, found: dict[str, str]) -> None:
    assert host.os_release(text) == found


def test_a_short_write_leaves_the_old_file(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    target = tmp_path / "main.cf"
    target.write_text("old\n")
    argv = ["sh", "-c", host.WRITE, "write", str(target), "10", "644", "root:root"]
    done = subprocess.run(argv, input=b"new\n", capture_output=True, check=False)
    assert done.returncode == 74
    assert b"short write" in done.stderr
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["main.cf"]


def test_a_write_makes_its_folder_and_sets_the_mode(tmp_path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    target = tmp_path / "new" / "sasl"
    argv = ["sh", "-c", host.WRITE, "write", str(target), "4", "600", "root:root"]
    subprocess.run(argv, input=b"new\n", capture_output=True, check=True)
    assert target.read_text() == "new\n"
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.parent.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-somebody\r\n"])
def test_a_server_that_hangs_up_is_asked_once_more(monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    monkeypatch.setattr(host, "PAUSE", 0)
    came: list[str] = []

    def turn_away(listener: socket.socket) -> None:
        with suppress(OSError):  # the listener is closed at the end
            while True:
                theirs, (address, *_) = listener.accept()
                with theirs:
                    came.append(address)
                    theirs.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        site = sites.make(server__host="127.0.0.1", server__ssh={"port": listener.getsockname()[1], "key": None})
        Thread(target=turn_away, args=(listener,), daemon=True).start()
        with pytest.raises(host.HungUpError, match="no SSH server answered"):
            host.connect(site)
        listener.shutdown(socket.SHUT_RDWR)
    assert came == ["127.0.0.1"] * 2


def test_nobody_there_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "PAUSE", 60)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(host.UnreachableError, match="no SSH server answered") as error:
        host.connect(sites.make(server__host="127.0.0.1", server__ssh={"port": port, "key": None}))
    assert not isinstance(error.value, host.HungUpError)


class Crowded(paramiko.ServerInterface):
    """A server that has no room for the first sessions it is asked for, as sshd beyond its MaxSessions."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals

    def check_auth_none(self, username: str) -> int:
        del username
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        self.refusals -= 1
        return paramiko.OPEN_SUCCEEDED if self.refusals < 0 else paramiko.OPEN_FAILED_CONNECT_FAILED


@contextmanager
def connected(client: type[paramiko.Transport], refusals: int = 0) -> Iterator[paramiko.Transport]:
    """Our end of a connection to a server that refuses so many sessions."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ends = client(ours), paramiko.Transport(theirs)
        ends[1].add_server_key(paramiko.ECDSAKey.generate())
        ends[1].start_server(Event(), Crowded(refusals))
        ends[0].connect()
        ends[0].auth_none("root")
        yield ends[0]
        for end in ends:
            end.close()
            end.join()


@pytest.fixture
def crowded() -> Iterator[paramiko.Transport]:
    with connected(paramiko.Transport, host.SESSIONS) as client:
        yield client


def test_sessions_refused_at_the_same_moment_are_asked_for_again(crowded: paramiko.Transport) -> None:
    with ThreadPoolExecutor(host.SESSIONS) as pool:
        opened = list(pool.map(host.session, [crowded] * host.SESSIONS))
    assert len({channel.get_id() for channel in opened}) == host.SESSIONS


def test_a_refusal_whose_words_another_took_is_no_silence(crowded: paramiko.Transport) -> None:
    lost = paramiko.SSHException("Unable to open channel.")
    assert host._why_refused(crowded, lost) == host.OPEN_CONNECT_FAILED
    assert host._why_refused(crowded, paramiko.SSHException("Timeout opening channel.")) is None
    crowded.close()
    assert host._why_refused(crowded, lost) is None


class Overtaken(host.Orderly):
    """Closes a channel in the moment between the making of a message with its octets and the sending."""

    def _send_user_message(self, data: paramiko.Message) -> None:
        if data.asbytes()[:1] == host.DATA and b"overtaken" in data.asbytes():
            for channel in self._channels.values():
                channel.close()
        super()._send_user_message(data)


def test_octets_that_a_close_has_overtaken_are_not_sent() -> None:
    with connected(Overtaken) as client:
        channel, sent = client.open_session(), list[bytes]()
        send = client.packetizer.send_message

        def noted(message: paramiko.Message) -> None:
            sent.append(message.asbytes())
            send(message)

        client.packetizer.send_message = noted
        channel.sendall(b"in time")
        channel.sendall(b"overtaken")
        assert channel.closed
    kinds = [octets[0] for octets in sent if 90 <= octets[0] < 100]
    assert kinds == [94, 96, 97]  # octets, EOF, CLOSE (RFC 4254 9)
