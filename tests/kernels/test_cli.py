"""The command line: what it says and the status it ends with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from books import LOAD, Project
from sites import given

from runbooklib.cli import GATE, OK, USAGE, main

DONE = """\
from runbooklib.results import *
Checklist('', (Check('a.b', Status.{}, 'x', 'y', 'do it', waits_for='09-z'),)).require()"""


def write(project: Project, site: dict[str, object]) -> None:
    project.params.write_text(yaml.safe_dump({"site": site}))


@pytest.mark.parametrize(
    ("status", "apply", "code"),
    [("PASS", True, OK), ("PENDING", True, OK), ("FAIL", False, GATE)],
)
def test_run_ends_with_the_gates_verdict(
    project: Project, capsys: pytest.CaptureFixture[str], status: str, apply: bool, code: int
) -> None:
    project.stage("01-a", {"site": LOAD, "done": DONE.format(status)})
    assert main(["run", "params/site.yaml", *["--apply"][: int(apply)]]) == code
    said = capsys.readouterr().out
    assert said.splitlines()[0].split()[:3:2] == ["01-a", status.lower()]
    report = said.splitlines()[-1].removeprefix("report: ")
    assert Path(report).is_file()
    assert ("run again: runbook run params/site.yaml --apply" in said) == (status == "PENDING" and apply)
    assert ("→ do it" in said) == (code == GATE)


def test_invalid_params_end_with_2_every_problem_and_nothing_touched(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.stage("01-a", {"touch": "open('touched', 'w')"})
    write(project, given(server__ipv4=5, relays__office__password="hunter2-hunter2", name="No Name"))
    assert main(["run", "params/site.yaml", "--apply"]) == USAGE
    said = capsys.readouterr().err
    assert "params/site.yaml: 3 problems" in said
    assert all(path in said for path in ("server.ipv4", "relays.office.password", "name"))
    assert "hunter2" not in said
    assert not (project.root / "runs").exists()
    assert not (project.root / "touched").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "params/missing.yaml"],
        ["run", "params/site.yaml", "--stage", "dsn"],
        ["run", "params/site.yaml", "--from", "dsn"],
        ["run", "params/site.yaml", "--resume", "20200101T000000Z"],
        ["report", "nowhere"],
        ["check", "params/missing.yaml"],
    ],
)
def test_wrong_usage_ends_with_2_and_one_message(
    project: Project, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    project.stage("01-a", {})
    assert main(arguments) == USAGE
    assert capsys.readouterr().err.strip()
    assert not list(project.root.glob("runs/*/*"))


@pytest.mark.parametrize("arguments", [["run"], ["runn", "x"], ["run", "x", "--aply"], ["run", "x", "--app"], []])
def test_argparse_refuses_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)


def test_json_prints_checks_json_alone(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.stage("01-a", {"done": DONE.format("PASS")})
    assert main(["run", "params/site.yaml", "--json", "--runs", "elsewhere"]) == OK
    told = json.loads(capsys.readouterr().out)
    folder = project.root / "elsewhere" / "lantern" / told["run"]
    assert told == json.loads((folder / "checks.json").read_text())
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert main(["report", str(folder)]) == OK
    assert (folder / "report.html").read_text() == page


def test_check_and_init(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    examples = Path(__file__).parents[2] / "params"
    (project.root / "params" / "example-resend.yaml").write_text((examples / "example-resend.yaml").read_text())
    assert main(["init", "params/mine.yaml"]) == OK
    assert main(["check", "params/mine.yaml"]) == OK
    (project.root / "params" / "mine.yaml").write_text("mine")
    assert main(["init", "params/mine.yaml"]) == USAGE
    assert (project.root / "params" / "mine.yaml").read_text() == "mine"
    capsys.readouterr()
    assert main(["check", "--json", "params/mine.yaml"]) == USAGE
    assert json.loads(capsys.readouterr().out)["problems"]


def test_no_testbed_up_is_one_clear_error(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(project.root / "none"))
    rehearsal = Path(__file__).parents[2] / "params" / "rehearsal.yaml"
    assert main(["check", str(rehearsal)]) == USAGE
    said = capsys.readouterr().err
    assert said.count("run `runbook testbed up`") == 1
    assert main(["testbed", "status"]) == OK
    assert capsys.readouterr().out == "no testbed is up\n"


def test_check_needs_neither_jupyter_nor_docker() -> None:
    code = (
        "import sys, runbooklib.cli; sys.exit(any(m in sys.modules for m in ('papermill', 'jupyter_client', 'docker')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
