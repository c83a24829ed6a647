"""Where a site stands: the newest run's last walks, and what nobody ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runbooklib import standing
from runbooklib.results import Status


def check(name: str, status: str, fix: str = "") -> dict[str, Any]:
    return {"name": name, "status": status, "expected": "e", "observed": "o", "fix": fix, "ref": ""}


def stage(name: str, status: str, *checks: dict[str, Any]) -> dict[str, Any]:
    return {"stage": name, "status": status, "seconds": 3.4, "checks": list(checks), "changes": [{}]}


def run(folder: Path, when: str, status: str, *stages: dict[str, Any]) -> None:
    (folder / when).mkdir(parents=True)
    told = {"run": when, "site": "lantern", "apply": True, "status": status, "stages": list(stages)}
    (folder / when / "checks.json").write_text(json.dumps(told))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("params", "notebooks"):
        (tmp_path / folder).mkdir()
    for notebook in ("00-start", "01-bootstrap", "02-relay"):
        (tmp_path / f"notebooks/{notebook}.ipynb").touch()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("project")
def test_nothing_has_run_yet() -> None:
    found = standing.newest({"name": "lantern"})
    assert found.title == "lantern: nothing has run yet"
    assert [row[:2] for row in found.rows] == [("not run", "01-bootstrap"), ("not run", "02-relay")]


def test_the_newest_run_and_the_last_walk_count(project: Path) -> None:
    runs = project / "runs/lantern"
    run(runs, "20261120T100000Z", "fail", stage("bootstrap", "fail"))
    again = stage("relay", "warn", check("relay.login", "pass"), check("relay.tls", "warn", "ask for TLS 1.2"))
    run(runs, "20261121T100000Z", "warn", stage("relay", "pending", check("x", "pending")), again)
    (runs / "20261122T100000Z").mkdir()  # just begun
    found = standing.newest({"name": "lantern"})
    assert found.title == "lantern: run 20261121T100000Z (applied) ended warn"
    assert found.rows[0][:2] == ("not run", "01-bootstrap")
    assert found.rows[1] == (Status.WARN, "02-relay", "3", "1 warn, 1 pass", "1", "relay.tls: ask for TLS 1.2")
