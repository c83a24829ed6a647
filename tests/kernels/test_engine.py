"""papermill with our engine: parameters refused, files whole, kernels over IPC and gone with their runner."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from books import LOAD, Project, until
from papermill.engines import papermill_engines
from papermill.iorw import papermill_io
from sites import given

from runbooklib import engine, kernel, signature

WITNESS = {"mark": "from pathlib import Path\nPath('executed').touch()"}
SLOW = {
    "site": LOAD,
    "fast": "'ready'",
    "slow": "import time\nfor i in range(600): print('x' * 50_000); time.sleep(0.1)",
}


def outputs(path: Path) -> list[Any]:
    return [o for c in nbformat.read(path, 4).cells if c.cell_type == "code" for o in c.outputs]


def readable(path: Path) -> bool:
    nbformat.read(path, 4)
    return True


def test_papermill_asks_our_engine_when_none_is_named() -> None:
    assert papermill_engines.get_engine(None) is engine
    assert papermill_engines.get_engine("runbook") is engine
    assert isinstance(papermill_io.get_handler("local"), engine.AtomicFiles)


def test_plain_papermill_command_executes_a_runbook_over_ipc(project: Project) -> None:
    project.stage("01-a", {"ipc": "from ipykernel.kernelapp import IPKernelApp\nIPKernelApp.instance().transport"})
    given_by_file = ["-f", "params/site.yaml", "-p", "apply", "True"]
    status, said = project.run("papermill", "notebooks/01-a.ipynb", "out.ipynb", *given_by_file)
    assert (status, "without encryption" in said) == (0, False), said
    assert outputs(project.root / "out.ipynb")[0].data["text/plain"] == "'ipc'"
    [injected] = [
        c for c in nbformat.read(project.root / "out.ipynb", 4).cells if "injected-parameters" in c.metadata.tags
    ]
    assert "mail.lantern.example" in injected.source
    assert "env:OFFICE_SMTP" in injected.source
    assert not project.sockets()


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"aply": True}, "aply: no such parameter; did you mean apply?"),
        ({"apply": "true"}, "apply: expected bool, saw str"),
        ({"apply": 1}, "apply: expected bool, saw int"),
        ({"wait": -1}, "wait: expected 0 or more, saw -1"),
        ({"wait": 1.5}, "wait: expected int, saw float"),
        ({"wait": True}, "wait: expected int, saw bool"),
        ({"site": 5}, "site: expected dict or str, saw int"),
        ({"site": "missing.yaml"}, "missing.yaml: 1 problem"),
        ({"site": given(server__ipv4=198)}, "server.ipv4: expected text"),
        ({"site": given(relays__office__password="hunter2-hunter2")}, "a secret is never written here"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(
    project: Project, parameters: dict[str, Any], said: str
) -> None:
    path = project.stage("01-a", WITNESS)
    with pytest.raises(signature.ParameterError, match=re.escape(said)) as refused:
        papermill.execute_notebook(str(path), "out.ipynb", parameters, progress_bar=False)
    assert "hunter2" not in str(refused.value)
    assert not (project.root / "executed").exists()
    assert not (project.root / "out.ipynb").exists()
    assert not list(project.temporary.iterdir())


def test_the_plain_command_refuses_a_misspelt_parameter_with_status_2(project: Project) -> None:
    project.stage("01-a", WITNESS)
    status, said = project.run("papermill", "notebooks/01-a.ipynb", "out.ipynb", "-p", "aply", "True")
    assert status == 2
    assert "aply: no such parameter; did you mean apply?" in said
    assert "Traceback" not in said
    assert not (project.root / "executed").exists()


def test_the_refusal_lists_what_the_notebook_takes(project: Project) -> None:
    path = project.stage("01-a", WITNESS)
    with pytest.raises(signature.ParameterError, match=r"takes site \(dict or str\), apply \(bool\), wait \(int\)"):
        papermill.execute_notebook(str(path), "out.ipynb", {"aply": True, "wait": -3}, progress_bar=False)


def test_a_notebook_without_our_metadata_goes_to_papermills_own_engine(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    class Before:
        @staticmethod
        def execute_notebook(nb: nbformat.NotebookNode, kernel_name: str, **_options: object) -> nbformat.NotebookNode:
            seen.append(kernel_name)
            return nb

    monkeypatch.setattr(engine, "_before", Before)
    path = project.book("plain", WITNESS)
    papermill.execute_notebook(str(path), "out.ipynb", {"anything": 1}, progress_bar=False)
    assert seen == ["python3"]
    assert not (project.root / "executed").exists()


def test_four_runs_at_once_in_one_folder(project: Project) -> None:
    project.stage("01-a", {"site": LOAD, "who": "import os\nos.getpid()"})
    four = [project.start("papermill", "notebooks/01-a.ipynb", f"out{i}.ipynb") for i in range(4)]
    said = [process.communicate(timeout=120)[0] for process in four]
    assert [process.returncode for process in four] == [0] * 4, said
    assert len({outputs(project.root / f"out{i}.ipynb")[-1].data["text/plain"] for i in range(4)}) == 4
    assert not list(project.temporary.iterdir())


def test_a_killed_runner_leaves_a_readable_notebook_no_socket_and_no_kernel(project: Project) -> None:
    project.stage("01-a", {**SLOW, "fast": "import os\nos.getpid()"})
    out = project.root / "out.ipynb"
    runner = project.start("papermill", "notebooks/01-a.ipynb", "out.ipynb", "--autosave-cell-every", "1")
    until(lambda: out.exists() and readable(out) and [o for o in outputs(out) if o.output_type == "execute_result"])
    child = int(outputs(out)[0].data["text/plain"])
    assert project.sockets()
    runner.kill()
    runner.communicate()
    until(lambda: not list(project.temporary.iterdir()))
    until(lambda: not Path(f"/proc/{child}").exists())
    assert readable(out)


def test_a_kill_at_any_moment_leaves_a_readable_notebook(project: Project) -> None:
    noise = "from IPython.display import display\ndisplay('x' * 50_000)"
    project.stage("01-a", {f"c{i}": noise for i in range(30)})
    for i in range(2):
        out = project.root / f"out{i}.ipynb"
        runner = project.start("papermill", "notebooks/01-a.ipynb", out.name)
        until(out.exists)
        time.sleep(0.2 + 0.5 * i)
        runner.kill()
        runner.communicate()
        assert readable(out)


def test_an_interrupt_reaches_the_cell_and_the_notebook_says_so(project: Project) -> None:
    tidy = (
        "import time\ntry:\n    open('begun', 'w').close(); time.sleep(60)\nfinally:\n    open('tidied', 'w').close()"
    )
    project.stage("01-a", {"slow": tidy, "after": "open('after', 'w').close()"})
    out = project.root / "out.ipynb"
    runner = project.start("papermill", "notebooks/01-a.ipynb", "out.ipynb")
    until((project.root / "begun").exists)
    runner.send_signal(signal.SIGINT)
    said, _ = runner.communicate(timeout=30)
    assert runner.returncode == 1, said
    assert (project.root / "tidied").exists()
    assert not (project.root / "after").exists()
    assert outputs(out)[-1].ename == "KeyboardInterrupt"
    assert not list(project.temporary.iterdir())


def test_a_cell_that_swallows_the_interrupt_is_still_the_last(project: Project) -> None:
    deaf = "import time\ntry:\n    open('begun', 'w').close(); time.sleep(60)\nexcept KeyboardInterrupt:\n    'so what'"
    project.stage("01-a", {"deaf": deaf, "after": "open('after', 'w').close()"})
    runner = project.start("papermill", "notebooks/01-a.ipynb", "out.ipynb")
    until((project.root / "begun").exists)
    runner.send_signal(signal.SIGTERM)
    said, _ = runner.communicate(timeout=30)
    assert runner.returncode == 1, said
    assert not (project.root / "after").exists()
    assert readable(project.root / "out.ipynb")


def test_a_folder_whose_runner_died_early_is_swept_and_a_living_one_is_not(project: Project) -> None:
    stale = project.temporary / "runbook-stale"
    stale.mkdir()
    (stale / "s-1").touch()
    old = time.time() - kernel.NEW - 1
    os.utime(stale, (old, old))
    living = kernel.start("python3")
    os.utime(living.folder, (old, old))
    kernel.sweep()
    assert not stale.exists()
    assert living.folder.exists()
    assert living.folder.stat().st_mode & 0o777 == 0o700
    kernel.stop(living)
    assert not living.folder.exists()


def test_a_long_temporary_folder_is_no_place_for_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("d" * 90)))
    assert kernel.parent_folder() == "/tmp"  # noqa: S108 - as a user would find it


def test_two_kernels_started_ahead_are_used_in_turn(project: Project) -> None:
    kernel.prepare("python3", [(), ("spf",)])
    ahead = list(project.temporary.iterdir())
    with kernel.lent("python3") as first:
        assert Path(first.connection_file).parent in ahead
    assert len(list(project.temporary.iterdir())) == 1
    kernel.dismiss()
    assert not list(project.temporary.iterdir())


def test_parameters_are_read_as_papermill_reads_them(project: Project) -> None:
    known = signature.declared(nbformat.read(project.stage("01-a", {}), 4))
    assert {name: p.types for name, p in known.items()} == {"site": (dict, str), "apply": (bool,), "wait": (int,)}
    assert known["apply"].help == "False shows the plan and changes nothing"


def test_files_that_are_no_runbook_are_written_as_papermill_does(project: Project) -> None:
    papermill_io.write(json.dumps({"metadata": {}, "about": "runbook"}), str(project.root / "x.ipynb"))
    assert json.loads((project.root / "x.ipynb").read_text()) == {"metadata": {}, "about": "runbook"}
