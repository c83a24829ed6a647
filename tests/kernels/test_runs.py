"""Runs: order, gates, second walks, resume, interruption, and what the archive holds."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import nbformat
import pytest
import yaml
from books import LOAD, Project, until
from sites import make

from runbooklib import params, report, runs, stages
from runbooklib.results import Status
from runbooklib.stages import RunError, StageError

IMPORT = "from runbooklib.results import Change, Check, Checklist, Outcome, Plan, Status\n"


def gate(name: str, status: str, **more: str) -> str:
    rest = "".join(f", {k}={v!r}" for k, v in more.items())
    return f"{IMPORT}Checklist('', (Check({name!r}, Status.{status}, 'so', 'thus'{rest}),)).require()"


def waiting_for(stage: str) -> str:
    """Pending until the file that stage makes is there."""
    found = "from pathlib import Path\nstatus = Status.PASS if Path('dns').exists() else Status.PENDING"
    return f"{IMPORT}{found}\nChecklist('', (Check('a.b', status, 'x', 'y', waits_for={stage!r}),)).require()"


def outcome(*, applied: bool = True) -> str:
    made = "plan = Plan('the plan', (Change(1, 'a.conf', 'old', 'new', 'because'),))"
    return f"{IMPORT}{made}\nOutcome(plan, plan.changes if {applied} else (), {applied})"


def execute(project: Project, *, apply: bool = False, resume: str = "", only: tuple[str, ...] = ()) -> runs.Place:
    given = params.read(project.params)
    site = params.load(given)
    where = project.root / "runs"
    place = runs.resume(site, where, resume, apply) if resume else runs.begin(site, where, apply)
    chosen = stages.choose(stages.find(stages.folder()), only)
    try:
        return runs.execute(place, given, chosen, io.StringIO())
    finally:
        assert not {"RUNBOOK_RUN", "RUNBOOK_FOLDER"} & set(os.environ)  # told to its kernels, and to nobody after it


def answer(notebook: Path) -> str:
    """What the last cell answered."""
    text: str = nbformat.read(notebook, 4).cells[-1].outputs[0].data["text/plain"]
    return text


def checks(place: runs.Place) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((place.folder / "checks.json").read_text())
    return told


def test_stages_that_wait_for_each_other_do_not_take_turns_for_ever(project: Project) -> None:
    project.stage("01-relay", {"site": LOAD, "done": gate("r", "PENDING", waits_for="02-dns")})
    project.stage("02-dns", {"site": LOAD, "done": gate("d", "PENDING", waits_for="01-relay")}, ["relay"])
    told = checks(execute(project, apply=True))
    walks = [s["stage"] for s in told["stages"]]
    assert walks == ["01-relay", "02-dns"] * 4
    assert told["status"] == "pending"


def test_an_applied_run_walks_every_stage_and_once_more_the_one_that_waited(project: Project) -> None:
    project.stage("01-relay", {"site": LOAD, "done": waiting_for("02-dns")})
    project.stage(
        "02-dns", {"apply": "open('dns', 'w').close()", "plan": outcome(), "done": gate("d", "WARN")}, ["relay"]
    )
    project.stage("03-send", {"done": gate("s.t", "PASS")}, ["dns"])
    place = execute(project, apply=True)
    told = checks(place)
    assert [(s["stage"], s["notebook"], s["status"]) for s in told["stages"]] == [
        ("01-relay", "01-relay.ipynb", "pending"),
        ("02-dns", "02-dns.ipynb", "warn"),
        ("01-relay", "01-relay.2.ipynb", "pass"),
        ("03-send", "03-send.ipynb", "pass"),
    ]
    assert (told["site"], told["apply"], told["status"], told["run"]) == ("lantern", True, "warn", place.folder.name)
    assert re.fullmatch(r"\d{8}T\d{6}Z", place.folder.name)
    assert told["started"] <= told["ended"]
    assert told["image"].endswith(":15.1.0")
    change = told["stages"][1]["changes"]
    assert change == [
        {"target": "a.conf", "before": "old", "after": "new", "why": "because", "undo": "", "applied": True}
    ]
    assert {p.name for p in place.folder.iterdir()} == {
        *(s["notebook"] for s in told["stages"]),
        "checks.json",
        "report.html",
    }
    assert runs.read(place.folder) == place.run


def test_with_apply_a_closed_gate_ends_the_run_and_without_it_every_stage_is_walked(project: Project) -> None:
    project.stage("01-a", {"site": LOAD, "done": gate("a.b", "FAIL", fix="mend it"), "after": "open('after', 'w')"})
    project.stage("02-b", {"done": gate("b.c", "PENDING", waits_for="01-a"), "plan": outcome(applied=False)})
    applied, shown = execute(project, apply=True), execute(project)
    assert [w.stage for w in applied.run.walks] == ["01-a"]
    assert [(w.stage, w.status, w.raised) for w in shown.run.walks] == [
        ("01-a", Status.FAIL, True),
        ("02-b", Status.PENDING, False),
    ]
    assert [c["applied"] for c in shown.run.walks[1].changes] == [False]
    assert (applied.run.raised, shown.run.raised, shown.run.status) == (True, True, Status.FAIL)
    assert not (project.root / "after").exists()
    assert "mend it" in applied.run.walks[0].line()
    assert [c.name for c in applied.run.walks[0].checks] == ["a.b"]


def test_an_unknown_stops_unless_it_is_advisory(project: Project) -> None:
    advisory = gate("a.b", "UNKNOWN").replace("'thus'", "'thus', advisory=True")
    project.stage("01-a", {"done": advisory})
    project.stage("02-b", {"done": gate("b.c", "UNKNOWN")})
    place = execute(project, apply=True)
    assert [(w.status, w.raised) for w in place.run.walks] == [(Status.UNKNOWN, False), (Status.UNKNOWN, True)]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("raise ValueError('no such thing')", "ValueError in cell boom: no such thing"),
        ("import os; os._exit(3)", "DeadKernelError"),
        ("from runbooklib.results import GateError\nraise GateError('shut')", "GateError in cell boom: shut"),
    ],
)
def test_a_stage_that_dies_without_a_verdict_fails_and_says_so(project: Project, cell: str, said: str) -> None:
    project.stage("01-a", {"boom": cell})
    walk = execute(project).run.walks[0]
    assert (walk.status, walk.raised) == (Status.FAIL, True)
    assert walk.checks[0].name == "run.stage.completed"
    assert said in walk.checks[0].observed
    assert not project.sockets()


def test_a_resumed_run_walks_only_what_has_not_passed_and_keeps_the_earlier_record(project: Project) -> None:
    project.stage("01-a", {"site": LOAD, "done": gate("a.b", "PASS")})
    project.stage("02-b", {"done": gate("b.c", "FAIL")})
    project.stage("03-c", {"run": "import os\nos.environ['RUNBOOK_RUN']"})
    first = execute(project, apply=True)
    project.stage("02-b", {"done": gate("b.c", "PASS")})
    again = execute(project, apply=True, resume=first.run.run)
    assert again.folder == first.folder
    assert [w.notebook for w in again.run.walks] == ["01-a.ipynb", "02-b.ipynb", "02-b.2.ipynb", "03-c.ipynb"]
    assert (again.run.status, again.run.raised) == (Status.PASS, False)
    assert answer(again.folder / "03-c.ipynb") == repr(first.run.run)


PLANNED = """\
from runbooklib.delivery.messages import Letter, Letters, Route
letters = (Letter(7, Route.INBOUND, 'lantern.example', 'a@stranger.example', 'hi@lantern.example'),)
plan = Letters(os.environ['RUNBOOK_RUN'], os.environ['RUNBOOK_RUN'] + '-lantern', letters)
plan"""
DYING = """\
from runbooklib.delivery import ledger
found = ledger.earlier(site, plan)
witness = Path('handed')
if not witness.exists():
    witness.write_text(repr(found))
    os._exit(9)
{number: handed.fate for number, handed in found.items()}"""


def test_a_stage_killed_while_it_sent_is_known_to_the_walk_that_resumes_it(project: Project) -> None:
    given = params.read(project.params)
    given["server"] |= {"host": "127.0.0.1", "ssh": {"port": 1}}  # nobody answers there: the log cannot be read
    project.params.write_text(yaml.safe_dump({"site": given}))
    load = f"import os\nfrom pathlib import Path\n{LOAD}"
    project.stage("05-send", {"site": load, "plan": PLANNED, "apply": DYING})
    first = execute(project, apply=True)
    assert (project.root / "handed").read_text() == "{}"
    again = execute(project, apply=True, resume=first.run.run)
    assert [w.status for w in again.run.walks] == [Status.FAIL, Status.PASS]
    assert answer(again.folder / "05-send.2.ipynb") == "{7: 'unknown'}"


def test_a_stage_whose_notebook_cannot_be_read_is_not_behind_a_resumed_run(project: Project) -> None:
    project.stage("01-a", {"done": gate("a.b", "PASS")})
    first = execute(project)
    (first.folder / "01-a.ipynb").write_text('{"cells": [')
    (first.folder / ".01-a.ipynb.5.tmp").touch()
    again = execute(project, resume=str(first.folder))
    assert [w.notebook for w in again.run.walks] == ["01-a.ipynb", "01-a.2.ipynb"]
    assert not list(again.folder.glob(".*"))


def test_resume_refuses_what_is_no_run_of_this_site(project: Project) -> None:
    site = params.load(params.read(project.params))
    with pytest.raises(RunError, match="no run 20200101T000000Z of lantern"):
        runs.resume(site, project.root / "runs", "20200101T000000Z", apply=False)
    place = runs.begin(site, project.root / "runs", apply=False)
    other = site.model_copy(update={"name": "harbour"})
    with pytest.raises(RunError, match="a run of lantern, not of harbour"):
        runs.resume(other, project.root / "runs", str(place.folder), apply=False)
    (place.folder / "checks.json").write_text("{}")
    with pytest.raises(RunError, match="no readable checks"):
        runs.read(place.folder)


def test_runs_that_begin_in_the_same_second_get_folders_of_their_own(project: Project) -> None:
    site = params.load(params.read(project.params))
    places = [runs.begin(site, project.root / "runs", apply=False) for _ in range(2)]
    assert len({p.folder for p in places}) == 2


def test_rows_count_as_they_were_last_and_outcomes_instead_of_their_plans(project: Project) -> None:
    cells = {
        "before": gate("a.b", "PENDING"),
        "plan": f"{IMPORT}Plan('the plan', (Change(1, 'a.conf', 'old', 'new', 'x'), Change(2, 'b', '', 'c', 'y')))",
        "apply": outcome(),
        "done": gate("a.b", "PASS"),
    }
    project.stage("01-a", cells)
    walk = execute(project).run.walks[0]
    assert [(c.name, c.status) for c in walk.checks] == [("a.b", Status.PASS)]
    assert [c["target"] for c in walk.changes] == ["a.conf"]


def test_an_interrupted_run_is_archived_up_to_there(project: Project) -> None:
    tidy = (
        "import time\ntry:\n    open('begun', 'w').close(); time.sleep(60)\nfinally:\n    open('tidied', 'w').close()"
    )
    project.stage("01-a", {"done": gate("a.b", "PASS")})
    project.stage("02-b", {"site": LOAD, "slow": tidy})
    project.stage("03-c", {"done": gate("c.d", "PASS")})
    going = project.start("runbook", "run", "params/site.yaml", "--apply")
    until((project.root / "begun").exists)
    going.send_signal(signal.SIGINT)
    said, _ = going.communicate(timeout=30)
    assert going.returncode == 130, said
    assert (project.root / "tidied").exists()
    folder = next((project.root / "runs" / "lantern").iterdir())
    told = json.loads((folder / "checks.json").read_text())
    assert told["interrupted"]
    assert [(s["stage"], s["status"]) for s in told["stages"]] == [("01-a", "pass"), ("02-b", "unknown")]
    assert "interrupted" in (folder / "report.html").read_text()
    assert not list(project.temporary.iterdir())


def test_a_killed_run_leaves_a_readable_archive_and_can_be_resumed(project: Project) -> None:
    seconds = "import time, pathlib\nseconds = 0 if pathlib.Path('begun').exists() else 60"
    slow = f"{seconds}\nopen('begun', 'w').close()\ntime.sleep(seconds)"
    project.stage("01-a", {"done": gate("a.b", "PASS")})
    project.stage("02-b", {"slow": slow, "done": gate("b.c", "PASS")})
    going = project.start("runbook", "run", "params/site.yaml", "--apply")
    until((project.root / "begun").exists)
    going.kill()
    going.communicate()
    folder = next((project.root / "runs" / "lantern").iterdir())
    for path in folder.glob("*.ipynb"):
        nbformat.read(path, 4)
    assert (runs.read(folder).ended, runs.read(folder).status) == (None, Status.UNKNOWN)
    assert "has not ended" in (folder / "report.html").read_text()
    until(lambda: not list(project.temporary.iterdir()))
    again = execute(project, apply=True, resume=str(folder))
    assert [w.notebook for w in again.run.walks] == ["01-a.ipynb", "02-b.2.ipynb"]
    assert (folder / "02-b.ipynb").exists()


DRAWN = """\
from runbooklib.delivery.picture import Picture
from runbooklib.eml.picture import Lane
Picture('the <way>', (Lane('outbound <b>', Status.PASS, (), ()),))"""


def test_the_report_is_one_page_that_loads_nothing(project: Project) -> None:
    done = gate("a.<b>", "FAIL", fix="mend & mind")
    project.stage("01-a", {"site": LOAD, "plan": outcome(), "picture": DRAWN, "done": done})
    place = execute(project)
    (picture,) = place.run.walks[0].pictures
    assert picture["title"] == "the <way>"
    assert runs.read(place.folder) == place.run
    page = (place.folder / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert not re.findall(r"<(?:script|link|img|iframe)|@import|url\(", page)
    assert "a.&lt;b&gt;" in page
    assert "<figure><svg " in page
    assert "outbound &lt;b&gt;: pass" in page
    assert report.render(checks(place)) == page
    assert "mend &amp; mind" in page
    assert 'href="01-a.ipynb#plan"' in page
    assert "a.conf" in page
    for link in re.findall(r'href="([^"#]+)', page):
        assert (place.folder / link).is_file()


def test_a_rehearsal_names_the_image_the_testbed_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"image": {"reference": "r", "id": "sha256:1", "source": "stand-in", "description": "built here"}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    monkeypatch.setenv("RUNBOOK_TESTBED", str(tmp_path))
    site = make(server__host="198.18.1.10", server__ipv4="198.18.1.10")
    place = runs.begin(site, tmp_path / "runs", apply=False)
    assert place.run.image.endswith(":15.1.0 (stand-in: built here)")
    assert "stand-in: built here" in (place.folder / "report.html").read_text()


def test_stages_are_read_from_the_notebooks(project: Project) -> None:
    project.book("00-start", {}, {"stage": "start", "interactive": True})
    project.book("notes", {})
    project.stage("02-b", {}, ["a"])
    project.stage("01-a", {})
    found = stages.find(project.root / "notebooks")
    assert [(s.name, s.short, s.after) for s in found] == [("01-a", "a", ()), ("02-b", "b", ("a",))]
    assert [s.name for s in stages.choose(found, start="b")] == ["02-b"]
    assert [s.name for s in stages.choose(found, ["02-b", "a"])] == ["01-a", "02-b"]
    with pytest.raises(StageError, match="dsn is no stage; there are 01-a, 02-b"):
        stages.choose(found, ["dsn"])


def test_a_stage_before_what_it_comes_after_is_refused(project: Project) -> None:
    project.stage("01-a", {}, ["b"])
    project.stage("02-b", {})
    with pytest.raises(StageError, match="01-a comes after b, which does not stand before it"):
        stages.find(project.root / "notebooks")
    with pytest.raises(StageError, match="holds no stage"):
        stages.find(project.temporary)


UP = "import time\nup = time.clock_gettime(time.CLOCK_BOOTTIME)\nopen('up', 'w').write(str(up))"
# proc(5): the 22nd field is when the process started, in ticks since the machine did.
STARTED = """\
import os, sys
started = int(open('/proc/self/stat').read().rpartition(')')[2].split()[19]) / os.sysconf('SC_CLK_TCK')
ahead, loaded = started < float(open('up').read()), 'runbooklib.spf' in sys.modules"""


def test_the_next_kernel_is_started_ahead_and_has_imported_what_its_notebook_will(project: Project) -> None:
    project.stage("01-a", {"up": UP})
    project.stage("02-b", {"look": STARTED, "imports": "from runbooklib import spf, records", "told": "ahead, loaded"})
    assert stages.find(stages.folder())[1].imports == ("spf", "records")
    assert ast.literal_eval(answer(execute(project).folder / "02-b.ipynb")) == (True, True)
