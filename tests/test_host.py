"""The parts of the SSH connection that need no server."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import host
from runbooklib.host import Answer


def test_a_fingerprint_is_what_openssh_prints() -> None:
    blob = b"\x00\x00\x00\x0bssh-ed25519" + bytes(36)
    assert host.fingerprint(blob) == "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def test_facts_keep_their_status_and_lines() -> None:
    text = f"{host.MARK}a\none\ntwo\n{host.MARK} 0\n{host.MARK}b\n\n{host.MARK} 127\n"
    assert host.parse_facts(text) == {"a": Answer(0, "one\ntwo"), "b": Answer(127, "")}


def test_a_fact_cut_off_is_left_out() -> None:
    assert host.parse_facts(f"{host.MARK}a\n1\n{host.MARK} 0\n{host.MARK}b\nhalf") == {"a": Answer(0, "1")}


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
