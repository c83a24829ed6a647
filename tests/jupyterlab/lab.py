"""A JupyterLab on loopback and a headless Chromium that uses it as a person would: open, Run All Cells, look."""

from __future__ import annotations

import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from selenium import webdriver
from selenium.common import JavascriptException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = (
    "--headless",
    "--no-sandbox",  # root may not use the sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,3000",
)
QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
STATE = """
const panel = window.jupyterapp.shell.currentWidget;
if (!panel || !panel.content || !panel.content.model || !panel.sessionContext) return null;
const kernel = panel.sessionContext.session && panel.sessionContext.session.kernel;
const prompts = [...panel.node.querySelectorAll('.jp-InputPrompt')].map(p => p.textContent);
return {ready: panel.context.isReady && panel.sessionContext.isReady, kernel: kernel ? kernel.status : 'none',
        running: prompts.filter(p => p.includes('*')).length, notebook: panel.content.model.toJSON()};
"""
CONTRAST = """
const channels = c => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = e => { const c = channels(getComputedStyle(e).backgroundColor);
  return c.length === 4 && c[3] === 0 && e.parentElement ? ground(e.parentElement) : c; };
return [...document.querySelectorAll(arguments[0])].map(e => {
  const pair = [light(channels(getComputedStyle(e).color)), light(ground(e))].sort((a, b) => b - a);
  return (pair[0] + 0.05) / (pair[1] + 0.05); });
"""


@dataclass(frozen=True)
class Server:
    """A running JupyterLab and the copy of the project it serves."""

    url: str
    token: str
    root: Path
    runtime: Path

    def kernels(self) -> list[dict[str, Any]]:
        """The kernels the server runs, as its REST API lists them."""
        listed: list[dict[str, Any]] = self._ask("GET", "kernels").json()
        return listed

    def end_kernels(self) -> None:
        """Ends every notebook's session and its kernel."""
        for session in self._ask("GET", "sessions").json():
            self._ask("DELETE", f"sessions/{session['id']}")

    def _ask(self, method: str, what: str) -> httpx.Response:
        known = {"Authorization": f"token {self.token}"}
        return httpx.request(method, f"{self.url}/api/{what}", headers=known, timeout=30).raise_for_status()


def until(seconds: float, what: str, look: Callable[[], Any]) -> Any:
    """The first true answer; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return found


@contextmanager
def served(testbed: Path) -> Iterator[Server]:
    """JupyterLab over a copy of the project, so that what it saves touches nobody's notebooks; kernels over IPC."""
    with tempfile.TemporaryDirectory(prefix="lab") as name:  # short: a socket's path holds 107 bytes
        home = Path(name)
        root = home / "project"
        root.mkdir()
        for part in ("notebooks", "params"):
            shutil.copytree(ROOT / part, root / part)
        shutil.copy(ROOT / "pyproject.toml", root)
        _settings(home)
        server = Server(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16), root, home / "run")
        process = _start(server, home, testbed)
        try:
            until(180, "JupyterLab answers", lambda: _answers(server, process))
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _settings(home: Path) -> None:
    for plugin, values in QUIET.items():
        package, _, name = plugin.partition(":")
        file = home / "settings" / package / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(values))


def _free_port() -> int:
    """A port that stays free until JupyterLab listens there: those from 32768 on Linux gives to whoever asks."""
    for port in random.sample(range(20000, 32768), 20):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port for JupyterLab")


def _start(server: Server, home: Path, testbed: Path) -> subprocess.Popen[bytes]:
    own = {
        "JUPYTER_RUNTIME_DIR": str(server.runtime),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "RUNBOOK_TESTBED": str(testbed),
    }
    port = server.url.rpartition(":")[2]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += [f"--IdentityProvider.token={server.token}", "--ServerApp.port_retries=0"]
    command += ["--KernelManager.transport=ipc", "--LabApp.expose_app_in_browser=True"]
    with (home / "lab.log").open("wb") as log:
        return subprocess.Popen(command, cwd=server.root, env=os.environ | own, stdout=log, stderr=log)


def _answers(server: Server, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, (server.runtime.parent / "lab.log").read_text()[-2000:]
    try:
        server.kernels()
    except httpx.TransportError:
        return False
    return True


class Browser:
    """A headless Chromium with an empty profile, on one JupyterLab."""

    def __init__(self, server: Server, profile: Path, shots: Path) -> None:
        self.server, self.shots = server, shots
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (*CHROMIUM, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))

    def quit(self) -> None:
        """Ends the browser."""
        self.driver.quit()

    def open(self, notebook: str) -> None:
        """Opens a notebook in a fresh workspace and waits for its kernel."""
        self.driver.get(f"{self.server.url}/lab/tree/notebooks/{notebook}?token={self.server.token}&reset")
        until(180, f"{notebook} opens with a kernel", self.ready)

    def state(self) -> dict[str, Any] | None:
        """The notebook as JupyterLab holds it in this moment, and what its kernel does."""
        with suppress(JavascriptException):  # the page is still being made
            found: dict[str, Any] | None = self.driver.execute_script(f"if (!window.jupyterapp) return null; {STATE}")
            return found
        return None

    def ready(self) -> bool:
        """Whether the notebook is loaded and its kernel waits for work."""
        state = self.state()
        return bool(state and state["ready"] and state["kernel"] == "idle")

    def run_all(self, seconds: float) -> dict[str, Any]:
        """Run > Run All Cells, clicked; the notebook once the kernel has come to rest."""
        self._menu("Run", "Run All Cells")
        until(60, "a cell has run", lambda: self._executed() > 0)
        until(seconds, "the kernel comes to rest", self._at_rest)
        return self._notebook()

    def _menu(self, *titles: str) -> None:
        for title, selector in zip(titles, (".lm-MenuBar-item", ".lm-Menu-item"), strict=True):
            until(60, title, lambda t=title, s=selector: self._clicked(s, t))

    def _clicked(self, selector: str, title: str) -> bool:
        """Clicks what bears this title; False where it is not there, or is just being drawn anew."""
        with suppress(StaleElementReferenceException):
            for item in self.find(selector):
                if item.text.split("\n")[0].strip() == title:
                    item.click()
                    return True
        return False

    def _notebook(self) -> dict[str, Any]:
        state = self.state()
        assert state is not None
        found: dict[str, Any] = state["notebook"]
        return found

    def _executed(self) -> int:
        return sum(1 for c in self._notebook()["cells"] if c["cell_type"] == "code" and c["execution_count"])

    def _at_rest(self) -> bool:
        """Idle in three looks, a tenth of a second apart: between two cells the kernel is idle for a moment."""
        looks = []
        for _ in range(3):
            state = self.state()
            looks.append(bool(state and state["kernel"] == "idle" and not state["running"]))
            time.sleep(0.1)
        return all(looks)

    def theme(self, name: str) -> None:
        """Switches between JupyterLab Light and JupyterLab Dark."""
        self.driver.execute_async_script(
            "window.jupyterapp.commands.execute('apputils:change-theme', {theme: arguments[0]}).then(arguments[1]);",
            name,
        )

    def shot(self, name: str) -> Path:
        """A picture of the page as it is."""
        path = self.shots / f"{name}.png"
        self.driver.save_screenshot(str(path))
        return path

    def reveal(self, cell_id: str) -> None:
        """Scrolls to a cell."""
        self.driver.execute_script(
            "const notebook = window.jupyterapp.shell.currentWidget.content;"
            "const at = notebook.widgets.findIndex(c => c.model.id === arguments[0]);"
            "notebook.activeCellIndex = at; return notebook.scrollToItem(at, 'start');",
            cell_id,
        )

    def find(self, selector: str) -> list[WebElement]:
        """The elements a CSS selector finds."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def field(self, label: str) -> WebElement:
        """The input of the form beside this label."""
        row = f"//*[contains(@class, 'widget-inline-hbox')][label[normalize-space() = '{label}']]"
        return self.driver.find_element(By.XPATH, f"{row}//*[self::input or self::select]")

    def page(self) -> str:
        """What can be read on the page; what stands in inputs is not part of it."""
        text: str = self.driver.execute_script("return document.body.innerText")
        return text

    def whole_text(self) -> str:
        """The notebook's text, that in closed folds too."""
        text: str = self.driver.execute_script("return document.querySelector('.jp-Notebook').textContent")
        return text

    def contrasts(self, selector: str) -> list[float]:
        """The contrast of text and ground (WCAG 2.2) of every element the selector finds in the notebook's outputs."""
        found: list[float] = self.driver.execute_script(CONTRAST, f".jp-RenderedHTML {selector}")
        return found
