"""What was pasted into a notebook becomes a fact: as text, or from the file it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooklib.diagnosis import Evidence, diagnose, heard

REFUSED = "host mx.stranger.example said: 550-5.7.26 Unauthenticated email is not accepted - gsmtp"
NOTHING = Evidence({"name": "", "hostname": "", "ipv4": None, "ipv6": None, "ports": [], "domains": []})


@pytest.mark.parametrize("empty", ["", " \n"])
def test_nothing_pasted_is_no_fact(empty: str) -> None:
    assert heard(NOTHING, empty) is NOTHING


def test_text_and_the_file_that_holds_it_are_the_same_fact(tmp_path: Path) -> None:
    file = tmp_path / "bounce.txt"
    file.write_text(REFUSED)
    assert heard(NOTHING, REFUSED)["pasted"] == heard(NOTHING, f"{file}\n")["pasted"]
    assert "5.7.26" in str(diagnose(heard(NOTHING, REFUSED), symptom="bounced"))


@pytest.mark.parametrize("text", ["a" * 5000, "no/such/file", "\0", "550 5.7.1 x\n/etc/hostname"])
def test_what_names_no_file_is_text(text: str) -> None:
    assert heard(NOTHING, text)["pasted"]["kind"] in {"", "an answer"}
