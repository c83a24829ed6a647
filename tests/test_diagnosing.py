"""`runbook diagnose`: a site, saved evidence or a paste; its exit status, and what it says to scripts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml
from sites import given
from test_diagnosis import DOCKER, FAULTS, evidence, seen

from runbooklib import cli
from runbooklib.diagnosis import bundle

BOUNCE = (
    "host gmail-smtp-in.l.google.com[142.250.1.27] said: 550-5.7.26 Your email has been blocked because the sender "
)
BOUNCE += "is unauthenticated. (in reply to end of DATA command)"


@pytest.fixture
def healthy(tmp_path: Path) -> str:
    return str(bundle.write(evidence(), tmp_path / "healthy"))


@pytest.fixture
def broken(tmp_path: Path) -> str:
    return str(bundle.write(seen(FAULTS[DOCKER]["mx-missing"]), tmp_path / "broken"))


@pytest.fixture
def unreachable(tmp_path: Path) -> str:
    """A params file of a server on which nothing listens."""
    there = {"server__host": "127.0.0.1", "server__ipv4": "127.0.0.1", "server__hostname": "localhost.example"}
    path = tmp_path / "site"
    path.write_text(
        yaml.safe_dump(
            {"site": given(**there, server__ssh={"port": 9}, dns={"publish": "by-hand", "resolvers": ["127.0.0.1"]})}
        )
    )
    return str(path)


def test_a_healthy_bundle_passes(healthy: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagnose", healthy]) == cli.OK
    assert "found nothing wrong" in capsys.readouterr().out


def test_a_cause_closes_the_gate_and_is_told_to_scripts(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagnose", broken, "--symptom", "cannot receive", "--json"]) == cli.GATE
    told = json.loads(capsys.readouterr().out)
    assert (told["site"], told["symptom"], told["status"]) == ("lantern", "cannot receive", "fail")
    assert told["checks"][0]["name"] == "diagnosis.mx-missing"


def test_the_words_of_a_symptom_may_be_written_with_dashes(broken: str) -> None:
    assert cli.main(["diagnose", broken, "--symptom", "Cannot-Receive"]) == cli.GATE


def test_another_symptom_is_answered_with_the_list(broken: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["diagnose", broken, "--symptom", "sad"])
    assert "'sad' is no symptom; expected one of: cannot send" in capsys.readouterr().err


@pytest.mark.parametrize("budget", ["0", "-1", "soon", "inf", "nan"])
def test_a_budget_is_a_time(broken: str, budget: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["diagnose", broken, f"--budget={budget}"])
    assert "is no number of seconds" in capsys.readouterr().err


def test_params_are_gathered_within_the_budget_and_kept(
    unreachable: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "evidence.jsonl"
    assert cli.main(["diagnose", unreachable, "--budget", "0.5", "--save", str(saved), "--json"]) == cli.GATE
    told = json.loads(capsys.readouterr().out)
    assert told["saved"] == str(saved)
    assert told["taken"]
    kept = bundle.read(saved)
    assert kept.facts["ssh"].unseen
    assert cli.main(["diagnose", str(saved), "--json"]) == cli.GATE
    again = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in again["checks"]] == [check["name"] for check in told["checks"]]


def test_nothing_to_diagnose_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diagnose"]) == cli.USAGE
    assert "name a params file or an evidence bundle, or give --pasted FILE" in capsys.readouterr().err
    assert cli.main(["diagnose", "--pasted", str(tmp_path / "none")]) == cli.USAGE
    assert "No such file" in capsys.readouterr().err


def test_what_is_neither_params_nor_bundle_is_said_to_be_neither(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes"
    path.write_text("hello\n")
    assert cli.main(["diagnose", str(path)]) == cli.USAGE
    said = capsys.readouterr().err
    assert "no evidence bundle either" in said
    assert "expected one top-level key, site" in said


def test_a_bundle_of_another_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old"
    path.write_text(json.dumps({"bundle": bundle.FORMAT, "version": 0, "site": {}}) + "\n")
    assert cli.main(["diagnose", str(path)]) == cli.USAGE
    assert "expected 1, saw 0" in capsys.readouterr().err


def test_a_paste_alone_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bounce").write_text(BOUNCE)
    cli.main(["diagnose", "--pasted", str(tmp_path / "bounce"), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert "5.7.26" in told["checks"][0]["observed"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(BOUNCE.encode())))
    cli.main(["diagnose", "--pasted", "-", "--json"])
    assert json.loads(capsys.readouterr().out)["checks"] == told["checks"]


def test_a_paste_beside_a_bundle_comes_first_where_it_is_the_symptom(
    broken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bounce").write_text(BOUNCE)
    asked = ["diagnose", broken, "--pasted", str(tmp_path / "bounce"), "--symptom", "bounced", "--json"]
    assert cli.main(asked) == cli.GATE
    found = [check["name"] for check in json.loads(capsys.readouterr().out)["checks"]]
    assert "diagnosis.mx-missing" in found[1:]


def test_help_says_what_a_bundle_holds(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["diagnose", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "holds no secrets" in said
    assert "person-1@gmail.com" in said
