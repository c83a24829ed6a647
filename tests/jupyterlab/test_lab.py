"""Every notebook, opened in JupyterLab and run top to bottom with its defaults, and the form used by hand."""

from __future__ import annotations

from typing import Any

import lab
import pytest
from selenium.webdriver.support.ui import Select

from runbooklib import params
from runbooklib.form.entries import ENTRIES
from runbooklib.results import MIME

NOTEBOOKS = sorted(path.name for path in (lab.ROOT / "notebooks").glob("*.ipynb"))
STAGES = [name for name in NOTEBOOKS if not name.startswith("00")]
WIDGET = "application/vnd.jupyter.widget-view+json"
SILENT = {"parameters", "imports"}  # cells that answer nothing
CANARY = "c4nary-PASSWORD-zz"


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def errors(notebook: dict[str, Any]) -> list[str]:
    return [o["evalue"] for cell in code(notebook) for o in cell["outputs"] if o["output_type"] == "error"]


def shown(cell: dict[str, Any]) -> set[str]:
    return {mime for output in cell["outputs"] for mime in output.get("data", {})}


def test_there_are_all_the_notebooks() -> None:
    assert [name[:2] for name in NOTEBOOKS] == ["00", "01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_runs_top_to_bottom(browser: lab.Browser, name: str) -> None:
    browser.open(name)
    assert kernels_on_private_sockets(browser.server) == [True]
    notebook = browser.run_all(seconds=300)
    browser.shot(name)
    assert errors(notebook) == []
    counts = [cell["execution_count"] for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    assert {cell["id"] for cell in code(notebook) if MIME not in shown(cell)} == SILENT


def kernels_on_private_sockets(server: lab.Server) -> list[bool]:
    """For each kernel, whether it is spoken to over sockets in a folder only this user can enter."""
    private = server.runtime.parent.stat().st_mode & 0o077 == 0
    return [private and any(server.runtime.glob(f"kernel-{k['id']}-ipc-*")) for k in server.kernels()]


def test_the_form_writes_a_params_file(browser: lab.Browser) -> None:
    browser.open("00-start.ipynb")
    notebook = browser.run_all(seconds=300)
    assert errors(notebook) == []
    cells = {cell["id"]: cell for cell in code(notebook)}
    assert WIDGET in shown(cells["form"])
    assert MIME in shown(cells["standing"])
    browser.reveal("form")
    fill(browser)
    text = browser.whole_text()
    asked = [e.label for e in ENTRIES if e.when is None and "docker-mailserver" in (e.servers or ["docker-mailserver"])]
    assert [label for label in asked if label not in text] == []
    browser.shot("00-start")
    written = browser.server.root / "params/harbour.yaml"
    button(browser).click()
    lab.until(60, f"{written.name} is written", written.is_file)
    site = params.load(written)
    assert (site.server.hostname, site.mailboxes["hi@harbour.example"].password.reference) == (
        "mail.harbour.example",
        "env:HI_PASSWORD",
    )


def button(browser: lab.Browser) -> Any:
    return next(b for b in browser.find(".jupyter-button") if b.text.strip() == "Write")


def fill(browser: lab.Browser) -> None:
    """As a person: an empty form, a literal password refused, then its reference; the button wakes at the end."""
    lab.until(60, "the form shows", lambda: "start from" in browser.page())
    Select(browser.field("start from")).select_by_visible_text("an empty form")
    lab.until(60, "the form is empty", lambda: "field required" in browser.page())
    typed = {
        "mail domain": "harbour.example",
        "IPv4 address": "203.0.113.10",
        "certificate file": "certs/mail.pem",
        "key file": "certs/mail.key",
        "first mailbox": "hi@harbour.example",
        "its password": CANARY,
    }
    for label, value in typed.items():
        browser.field(label).send_keys(value)
    Select(browser.field("sends through")).select_by_visible_text("direct")
    lab.until(60, "the literal is refused", lambda: "a secret is never written here" in browser.page())
    assert CANARY not in browser.page()
    assert not button(browser).is_enabled()
    browser.field("its password").clear()
    browser.field("its password").send_keys("env:HI_PASSWORD")
    lab.until(60, "the button wakes", lambda: button(browser).is_enabled())


def test_badges_and_tables_are_legible_in_both_themes(browser: lab.Browser) -> None:
    browser.open(STAGES[0])
    browser.run_all(seconds=300)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        browser.theme(theme)
        browser.shot(theme)
        assert browser.contrasts("td span")
        assert min(browser.contrasts(":is(td span, td, th)")) >= 4.5  # WCAG 2.2, 1.4.3
