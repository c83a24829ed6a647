"""Canary secrets, in every form they are written in, never reach the disk: not while a run is going, not after."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import papermill
import pytest
from books import CANARIES, LOAD, Project
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import archive, credentials

SECRET = CANARIES["OFFICE_SMTP"]
SHOWN = """\
import base64, html, json, logging, os, shlex, subprocess, sys, urllib.parse
from IPython.display import display, HTML
secret = os.environ["OFFICE_SMTP"]
print(secret); print(secret, file=sys.stderr); logging.warning(secret)
display(secret); display(HTML(html.escape(secret))); display({"a": [secret]})
print(urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret), shlex.quote(secret), json.dumps(secret))
for user in ("u", "hi@a", "abc"):
    print(base64.b64encode(f"\\0{user}\\0{secret}".encode()).decode(), base64.b64encode(secret.encode()).decode())
subprocess.run(["echo", secret]); os.write(1, secret.encode())
display_id = display("x", display_id=True); display_id.update(secret)
secret"""
RAISED = "def login(password):\n    raise ValueError('535 for ' + password)\nlogin(secret)"
PIECES = "for letter in secret: print(letter, end='', flush=True)"


def written(secret: str) -> list[str]:
    """The forms a reader of a file would recognise; base64 by what stays the same whatever stands before it."""
    encoded = [base64.b64encode(b"\0" * n + secret.encode() + b"\0" * 3).decode()[4:-8] for n in range(3)]
    shapes = [secret, quote(secret, safe=""), quote(secret), quote_plus(secret), shlex.quote(secret)]
    shapes += [html.escape(secret), repr(secret)[1:-1]]
    return [*shapes, *(json.dumps(s)[1:-1] for s in shapes), *encoded]


def text_of(path: Path) -> str:
    """What stands in a file; in one that was just given its name, which it is found by at the next look, nothing."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def leaked(folder: Path) -> list[tuple[str, str]]:
    texts = {p: text_of(p) for p in (folder, *folder.rglob("*")) if p.is_file()}
    return [(p.name, s) for p, text in texts.items() for v in CANARIES.values() for s in written(v) if s in text]


@pytest.fixture
def known() -> Iterator[None]:
    for name, value in CANARIES.items():
        credentials.learn(value, f"env:{name}")
    yield
    credentials.forget()


def test_no_form_of_a_secret_reaches_the_disk_or_the_console_while_a_run_is_going_and_after(project: Project) -> None:
    slow = "import time\nfor i in range(4): print(secret, flush=True); time.sleep(0.5)"
    project.stage("01-a", {"site": LOAD, "shown": SHOWN, "slow": slow, "raised": RAISED})
    runs = project.root / "runs"
    going = project.start("runbook", "run", "params/site.yaml")
    while going.poll() is None:
        if runs.exists():
            assert not leaked(runs)
            time.sleep(0.1)
    said, _ = going.communicate()
    assert going.returncode == 1, said
    assert not leaked(runs)
    assert not [s for v in CANARIES.values() for s in written(v) if s in said]
    text = next(runs.rglob("01-a.ipynb")).read_text()
    assert text.count("‹env:OFFICE_SMTP›") > 20
    assert "535 for ‹env:OFFICE_SMTP›" in text
    assert "run.archive.secrets" not in next(runs.rglob("checks.json")).read_text()  # the kernel had masked them all


def test_a_secret_printed_in_pieces_is_masked_in_the_archive_and_gives_a_red_row(project: Project) -> None:
    project.stage("01-a", {"site": LOAD, "secret": "import os\nsecret = os.environ['OFFICE_SMTP']", "pieces": PIECES})
    status, said = project.run("runbook", "run", "params/site.yaml")
    assert status == 1
    assert not leaked(project.root / "runs")
    assert "run.archive.secrets: fail" in said
    assert "env:OFFICE_SMTP" in said


def test_plain_papermill_masks_too(project: Project) -> None:
    path = project.stage("01-a", {"site": LOAD, "secret": "import os\nos.environ['OFFICE_SMTP']"})
    papermill.execute_notebook(str(path), "out.ipynb", progress_bar=False)
    assert not leaked(project.root / "out.ipynb")
    assert "‹env:OFFICE_SMTP›" in (project.root / "out.ipynb").read_text()


def test_loading_the_site_is_enough_in_a_kernel_that_others_started(project: Project) -> None:
    """As in JupyterLab: papermill's own engine starts a kernel that knows nothing of ours."""
    path = project.book("plain", {"site": LOAD, "shown": SHOWN})
    papermill.execute_notebook(str(path), "out.ipynb", progress_bar=False)
    assert not leaked(project.root / "out.ipynb")
    assert (project.root / "out.ipynb").read_text().count("‹env:OFFICE_SMTP›") > 15


@pytest.mark.usefixtures("known")
def test_colours_that_cut_a_secret_in_two_do_not_save_it() -> None:
    cut = f"\x1b[33m{SECRET[:9]}\x1b[39m{SECRET[9:]}\x1b[0m"
    assert credentials.mask(cut) == "‹env:OFFICE_SMTP›"
    assert credentials.mask("\x1b[31mred\x1b[0m") == "\x1b[31mred\x1b[0m"


class Meanwhile(str):
    """A text during whose search somebody else learns a secret."""

    __slots__ = ()

    def __contains__(self, form: str) -> bool:
        credentials.learn(f"another secret, met beside {form}", "env:OTHER")
        return super().__contains__(form)


class MeanwhileBytes(bytes):
    """The same as octets."""

    def __contains__(self, form: object) -> bool:
        credentials.learn(f"one more secret, met beside {form!r}", "env:OTHER")
        return super().__contains__(form)  # type: ignore[operator]


@pytest.mark.usefixtures("known")
def test_secrets_learnt_by_another_thread_meanwhile_stop_no_masking() -> None:
    assert credentials.mask(Meanwhile(f"login with {SECRET}")) == "login with ‹env:OFFICE_SMTP›"
    assert credentials.leaks(MeanwhileBytes(SECRET.encode())) == ["env:OFFICE_SMTP"]


@pytest.mark.usefixtures("known")
def test_a_clean_notebook_is_left_as_it_is_and_a_leak_is_replaced_and_told(tmp_path: Path) -> None:
    clean, dirty = json.dumps({"cells": ["fine"]}), json.dumps({"cells": [{"text": shlex.quote(SECRET)}]})
    assert archive.clean(clean) == clean
    (tmp_path / "a.ipynb").write_text(clean)
    (tmp_path / "b.ipynb").write_text(dirty)
    (tmp_path / "c.log").write_text(f"login as u with {SECRET}\n")
    assert archive.sweep(tmp_path) == ["env:OFFICE_SMTP"]
    assert not leaked(tmp_path)
    assert json.loads((tmp_path / "b.ipynb").read_text())["cells"]
    assert (tmp_path / "a.ipynb").read_text() == clean
    assert archive.sweep(tmp_path) == []


def test_a_long_line_of_a_key_is_as_secret_as_the_key() -> None:
    credentials.learn("-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0\nshort\n-----END X-----", "file:key")
    assert credentials.mask("it holds MIIEvQIBADANBgkqhkiG9w0 and\n-----BEGIN X-----") == (
        "it holds ‹file:key› and\n-----BEGIN X-----"
    )
    credentials.forget()


@given(st.text(min_size=6, max_size=30), st.binary(max_size=5), st.binary(max_size=5))
def test_base64_hides_no_secret_whatever_stands_around_it(secret: str, before: bytes, after: bytes) -> None:
    credentials.learn(secret, "env:X")
    whole = base64.b64encode(before + secret.encode() + after).decode()
    assert "‹env:X›" in credentials.mask(f"AUTH PLAIN {whole}")
    credentials.forget()


@given(st.text(min_size=6, max_size=30))
def test_every_written_form_is_masked(secret: str) -> None:
    credentials.learn(secret, "env:X")
    for form in written(secret)[:7]:
        if len(form) >= credentials.SHORTEST:
            assert form not in credentials.mask(f"a {form} b") or form in "a ‹env:X› b"
    credentials.forget()
