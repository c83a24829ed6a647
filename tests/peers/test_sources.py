"""A peer that is not what it should be is no peer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from sources import unpacked


def test_another_file_than_the_one_released_fails(tmp_path: Path) -> None:
    (tmp_path / "pyspf-2.0.14.tar.gz").write_bytes(b"something else")
    with pytest.raises(AssertionError, match="another file"):
        unpacked("pyspf", "2.0.14", "0" * 64, tmp_path)


def test_a_peer_that_cannot_be_had_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(subprocess.CalledProcessError):
        unpacked("pyspf", "2.0.14", "0" * 64, tmp_path)
