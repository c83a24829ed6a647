"""A stand-in of Cloudflare's DNS API on loopback, reached as the real one is: by HTTPS, here through a proxy.

It keeps zones and records as the API's version 4 does; faults are scripted.
"""

from __future__ import annotations

import itertools
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from runbooklib.records import quoted
from runbooklib.testbed import authority

HOST, TOKEN = "api.cloudflare.com", "cf_made_up_token_0123456789"
EXISTS, CONFLICT, INVALID, DENIED = 81058, 81053, 9005, 10000  # Cloudflare's codes of errors
SOA = "@ 3600 SOA ns1.provider.example. hostmaster.provider.example. 1 3600 600 604800 60\n"


@dataclass
class Cloudflare:
    """Zones by id, records by id; `script` says what happens to the next writes: a status, `forget`, or nothing."""

    zones: dict[str, str] = field(default_factory=lambda: {"z1": "lantern.example"})
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    script: list[int | str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    silent: threading.Event | None = None  # set: nothing is answered until then
    page: int = 100
    ids: Iterator[int] = field(default_factory=itertools.count)

    def put(self, kind: str, name: str, content: str, ttl: int = 300, **more: Any) -> str:
        """A record that stands already."""
        at = f"r{next(self.ids)}"
        self.records[at] = {"id": at, "type": kind, "name": name, "content": content, "ttl": ttl, **more}
        return at

    @property
    def writes(self) -> list[str]:
        return [line for line in self.asked if not line.startswith("GET")]

    def zone_text(self) -> str:
        """What its name servers would answer with."""
        lines = [f"{r['name']}. {r['ttl']} {r['type']} {_rdata(r)}" for r in self.records.values()]
        return SOA + "@ 3600 NS ns1.provider.example.\n" + "\n".join(lines) + "\n"

    def answer(self, method: str, path: str, query: dict[str, str], sent: Any, token: str) -> tuple[int, Any]:
        """The status and the body."""
        self.asked.append(f"{method} {path}")
        if token != TOKEN:
            return 403, _refused(DENIED, "Authentication error")
        parts = path.removeprefix("/client/v4/zones").strip("/").split("/")
        if method == "GET":
            return 200, self._read(parts, query)
        fault = self.script.pop(0) if self.script else ""
        if isinstance(fault, int):
            return fault, _refused(INVALID, "made to fail")
        return 200 if fault == "forget" else 0, self._write(method, parts, sent, forget=fault == "forget")

    def _read(self, parts: list[str], query: dict[str, str]) -> Any:
        if parts == [""]:
            return _paged([{"id": i, "name": n} for i, n in self.zones.items()], query, self.page)
        found = [r for r in self.records.values() if all(r[k] == v for k, v in query.items() if k in {"type", "name"})]
        return _paged(found, query, self.page)

    def _write(self, method: str, parts: list[str], sent: Any, *, forget: bool) -> Any:
        at = parts[2] if len(parts) > 2 else ""
        if method == "DELETE":
            return _done(self.records.get(at) if forget else self.records.pop(at, None))
        record = {k: v for k, v in sent.items() if v is not None}
        if record.get("data"):
            record["content"] = " ".join(str(v) for v in record["data"].values())
        if record["type"] == "MX" and "priority" not in record:
            return _refused(INVALID, "priority is a required field")
        if type(record.get("ttl")) is not int or type(record.get("priority", 0)) is not int:
            return _refused(INVALID, "ttl and priority are numbers")
        others = [r for i, r in self.records.items() if r["name"] == record["name"] and i != at]
        if any({r["type"], record["type"]} != {"CNAME"} and "CNAME" in {r["type"], record["type"]} for r in others):
            return _refused(CONFLICT, "An A, AAAA, or CNAME record with that host already exists.")
        if any((r["type"], r["content"]) == (record["type"], record["content"]) for r in others):
            return _refused(EXISTS, "An identical record already exists.")
        at = at or f"r{next(self.ids)}"
        if not forget:
            self.records[at] = {**record, "id": at}
        return _done({**record, "id": at})


def _rdata(record: dict[str, Any]) -> str:
    if record["type"] == "TXT":
        return record["content"] if record["content"].startswith('"') else quoted(record["content"])
    if record["type"] == "MX":
        return f"{record['priority']} {record['content']}."
    return f"{record['content']}." if record["type"] in {"CNAME", "SRV"} else record["content"]


def _paged(found: list[Any], query: dict[str, str], size: int) -> Any:
    page = int(query.get("page", 1))
    pages = max(1, -(-len(found) // size))
    part = found[(page - 1) * size : page * size]
    return {"success": True, "errors": [], "result": part, "result_info": {"page": page, "total_pages": pages}}


def _done(record: Any) -> Any:
    return {"success": True, "errors": [], "result": record}


def _refused(code: int, message: str) -> Any:
    return {"success": False, "errors": [{"code": code, "message": message}], "result": None}


class _Handler(BaseHTTPRequestHandler):
    """A proxy for one host that answers for it itself, behind a certificate of its name."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes
    server: _Server

    def do_CONNECT(self) -> None:
        if self.path != f"{HOST}:443":
            self.send_error(403)
            return
        self.send_response(200)
        self.end_headers()
        self.connection = self.request = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        if self.server.api.silent:
            self.server.api.silent.wait()
        where = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(where.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length) or "{}")
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, said = self.server.api.answer(self.command, where.path, query, sent, token)
        body = json.dumps(said).encode()
        self.send_response(status or (200 if said["success"] else 400))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names the library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing: the tests read `asked`."""

    def finish(self) -> None:
        super().finish()
        self.connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: Cloudflare
    context: ssl.SSLContext


@contextmanager
def listening(api: Cloudflare, folder: Path) -> Iterator[dict[str, str]]:
    """The environment by which a client comes here instead of to the real one."""
    ca = authority.create()
    issued = ca.issue(HOST)
    (folder / "ca.pem").write_text(ca.pem)
    (folder / "pair.pem").write_text(issued.key + issued.certificate)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.api, server.context = api, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.context.load_cert_chain(folder / "pair.pem")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        proxy = f"http://127.0.0.1:{server.server_address[1]}"
        yield {"HTTPS_PROXY": proxy, "https_proxy": proxy, "REQUESTS_CA_BUNDLE": str(folder / "ca.pem")}
    finally:
        server.shutdown()
        server.server_close()
