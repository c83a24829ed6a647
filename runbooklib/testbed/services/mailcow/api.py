#!/usr/bin/python3
"""mailcow's API as its own transcripts show it: status 200 on failure, no ids, success that did nothing."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

# What all programs of the testbed share stands beside this program's folder, wherever that is.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from provider.ledger import Ledger
from provider.serving import Answer, Request, serve

from mailcow.backend import Backend
from mailcow.callers import Bans, recognize
from mailcow.php import FatalError, encoded
from mailcow.relaytest import page
from mailcow.routes import act
from mailcow.session import Session
from mailcow.store import Store
from mailcow.views import GET

PREFIX, RELAY_TEST = "/api/v1/", "/inc/ajax/transport_check.php"
JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html; charset=utf-8"}
INCOMPLETE = "Cannot find attributes in post data"
UNKNOWN = "route not found"
WRITES = ("add", "edit", "delete")


@dataclass
class Api:
    """One mailcow: its store, what stands behind it, and whom it does not answer."""

    store: Store
    hostname: str
    backend: Backend = field(default_factory=Backend)
    bans: Bans = field(default_factory=Bans)
    patience: float = 300.0  # seconds the relay test waits for a reply

    def __call__(self, request: Request) -> Answer | None:
        if self.bans.banned(request.remote):
            return None
        with self.store.open() as db:
            caller = recognize(db, request.headers, request.remote, self.bans)
            session = Session(db, self.backend, self.hostname, caller.access)
            if caller.refusal or not request.path.startswith(PREFIX):
                return caller.refusal or self._page(session, request)
            if request.headers.get("sec-fetch-dest", "empty") != "empty":
                return Answer(403, "", JSON)
            try:
                return _route(session, request)
            except FatalError:
                return Answer(200, "", JSON)

    def _page(self, session: Session, request: Request) -> Answer:
        """What is no API: the relay test, and a page to log in."""
        if request.path == RELAY_TEST:
            return Answer(200, page(session, dict(request.query), self.patience), HTML)
        known = request.path in {"/", "/api", "/index.php"}
        return Answer(200 if known else 404, "<!doctype html><title>mailcow UI</title>", HTML)


def _route(session: Session, request: Request) -> Answer:
    action, category, name, extra = ([*request.path.removeprefix(PREFIX).split("/"), "", "", ""])[:4]
    form = _form(request, action)
    if form is None:
        return _error(400, "Request body doesn't contain valid json!")
    _note(session, request, form)
    if action == "get":
        return _get(session, request, category, (unquote(name), unquote(extra)))
    if action not in WRITES:
        return _error(404, UNKNOWN)
    return _unfit(session, request, action, form) or _write(session, action, category, form)


def _unfit(session: Session, request: Request, action: str, form: dict[str, str]) -> Answer | None:
    """Why a write is not even tried."""
    if session.access == "ro" or (action != "add" and not session.admin):
        return _error(403, "API read/write access denied")
    if ("items" if action == "delete" else "attr") not in form:
        return _error(200, INCOMPLETE)
    return None if request.method == "POST" else _error(405, "only POST method is allowed")


def _write(session: Session, action: str, category: str, form: dict[str, str]) -> Answer:
    body = act(session, action, category, _decoded(form.get("attr")), _decoded(form.get("items")))
    return _error(404, UNKNOWN) if body is None else Answer(200, body, JSON)


def _form(request: Request, action: str) -> dict[str, str] | None:
    """The request as a form: a JSON body becomes its fields; None for a body that is no JSON."""
    if "application/json" not in request.headers.get("content-type", ""):
        fields = parse_qs(request.raw.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[-1] for name, values in fields.items() if name in {"attr", "items"}}
    body = _decoded(request.raw.decode("utf-8", "replace"))
    if action == "get":
        return {}
    if body is None:
        return None
    if action == "edit":
        parts = body if isinstance(body, dict) else {}
        return {name: encoded(parts.get(name)) for name in ("attr", "items")}
    return {"add": {"attr": encoded(body)}, "delete": {"items": encoded(body)}}.get(action, {})


def _decoded(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _note(session: Session, request: Request, form: dict[str, str]) -> None:
    """The API's own log; keys that sound like passwords are masked, others are not."""
    data = ", ".join(f"{name}='{_masked(text)}'" for name, text in form.items())
    line = {"time": int(time.time()), "uri": request.uri, "method": request.method, "remote": request.remote}
    session.db.insert("log", {"line": json.dumps({**line, "data": data})})


def _masked(text: str) -> str:
    value = _decoded(text)
    if isinstance(value, dict):
        value = {name: "*" if "pass" in name.lower() else item for name, item in value.items()}
    return encoded(value)


def _get(session: Session, request: Request, category: str, names: tuple[str, str]) -> Answer:
    if request.method != "GET":
        return _error(405, "only GET method is allowed")
    if not session.admin:
        return Answer(200, "", JSON)
    body = GET[category](session, *names) if category in GET else None
    return _error(404, UNKNOWN) if body is None else Answer(200, body, JSON)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="JSON: hostname, keys (rw, ro), allow_from")
    parser.add_argument("--data", type=Path, required=True, help="folder of the database and the logs")
    parser.add_argument("--listen", action="append", required=True, help="address:port, [address]:port; repeatable")
    parser.add_argument("--certificate", required=True, help="PEM")
    parser.add_argument("--key", required=True, help="PEM of its private key")
    return parser.parse_args()


def main() -> None:
    """Serves until the process ends; the keys are written anew at every start."""
    from mailcow.behind import Services  # noqa: PLC0415 - its libraries are the container's

    asked = _arguments()
    known = json.loads(asked.state.read_text())
    store, script = Store(asked.data / "mailcow.db"), asked.data / "script.json"
    store.path.touch(0o666)  # the files beside it get its mode, and its readers write their locks there
    store.create()
    store.insert_keys(known["keys"], known["allow_from"])
    if not script.exists():
        script.write_text('{"script": []}')
    backend = Services(asked.data)
    backend.sign(store.rows("SELECT domain, selector, private FROM dkim"))
    api = Api(store, known["hostname"], backend)
    with store.open():  # one connection stays, so that readers always find the files beside the database
        serve(api, Ledger(script), asked.listen, (asked.certificate, asked.key))
        (asked.data / "ready").touch()
        threading.Event().wait()


def _error(status: int, message: str) -> Answer:
    return Answer(status, encoded({"type": "error", "msg": message}), JSON)


if __name__ == "__main__":
    main()
