"""An HTTP API on loopback or in a container: requests in, answers out, faults on order from the state's `script`.

A fault is {"method", "path" (a prefix), "times", "delay", "after"} with either {"status", "headers", "body"} or
{"drop": true}. `after` lets the request do its work first: the answer alone is lost. `times` counts down; without it
the fault stays.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from provider.ledger import Ledger


@dataclass(frozen=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: Any = None  # JSON; None for what is none
    raw: bytes = b""
    remote: str = ""  # the client's address
    uri: str = ""  # path and query as they were written


@dataclass(frozen=True)
class Answer:
    """What it gets."""

    status: int = 200
    body: Any = None  # text as it is, everything else as JSON; None: empty
    headers: Mapping[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """A request the API does not grant."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


Handler = Callable[..., Answer]
Api = Callable[[Request], Answer | None]  # None: the connection ends without an answer


@dataclass
class Routes:
    """Which function answers which path."""

    table: list[tuple[str, re.Pattern[str], Handler]] = field(default_factory=list)

    def add(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Registers a function; `{name}` in the path is handed to it."""
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

        def register(handler: Handler) -> Handler:
            self.table.append((method, pattern, handler))
            return handler

        return register

    def answer(self, account: object, request: Request, code: str, message: str) -> Answer:
        """What the function for this path says; `code` and `message` are for a path nobody knows."""
        for verb, pattern, handler in self.table:
            matched = pattern.fullmatch(request.path)
            if matched and verb == request.method:
                return handler(account, request, **{k: unquote(v) for k, v in matched.groupdict().items()})
        raise RefusedError(404, code, message)


@dataclass
class Window:
    """How many requests one window of time still takes."""

    limit: int
    seconds: float
    began: float = 0.0
    used: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> tuple[bool, int, int]:
        """Whether one more is taken, how many are left, and the seconds until the window ends."""
        with self.lock:
            now = time.monotonic()
            if now - self.began >= self.seconds:
                self.began, self.used = now, 0
            self.used += 1
            left = max(self.limit - self.used, 0)
            return self.used <= self.limit, left, max(1, round(self.seconds - (now - self.began)))


def serve(api: Api, ledger: Ledger, listen: Sequence[str], tls: tuple[str, str] | None = None) -> list[Server]:
    """Starts a server for each address; each runs in a thread of its own."""
    servers = [Server(where, api, ledger, tls) for where in listen]
    for server in servers:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return servers


class Server(ThreadingHTTPServer):
    """One listening socket, TLS on it where there is a certificate."""

    daemon_threads = True

    def __init__(self, where: str, api: Api, ledger: Ledger, tls: tuple[str, str] | None) -> None:
        host, _, port = where.rpartition(":")
        self.address_family = socket.AF_INET6 if "[" in host else socket.AF_INET
        self.api, self.ledger, self.context = api, ledger, _context(tls)
        self.seen: list[tuple[str, str]] = []  # method and path of every request
        super().__init__((host.strip("[]"), int(port)), Exchange)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """The handshake belongs to the connection's own thread: a silent client stops nobody else."""
        with suppress(OSError):  # a client that went away, or would not have our certificate
            secured = self.context.wrap_socket(request, server_side=True) if self.context else request
            with secured:
                super().finish_request(secured, client_address)


def _context(tls: tuple[str, str] | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    return context


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    server: Server
    timeout = 30
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes; the second would wait for an ACK of the first

    def log_message(self, *_: object) -> None:
        """Says nothing: a request line may hold an address."""

    def _answer(self) -> None:
        request = self._request()
        self.server.seen.append((request.method, request.path))
        fault = _next_fault(self.server.ledger, request)
        answer = self.server.api(request) if not fault or fault.get("after") else Answer()
        if fault:
            time.sleep(fault.get("delay", 0))
            if fault.get("drop"):
                answer = None
            elif "status" in fault:
                answer = Answer(fault["status"], fault.get("body"), fault.get("headers", {}))
            elif not fault.get("after"):
                answer = self.server.api(request)
        if answer is None:
            self.close_connection = True
        else:
            self._send(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _answer  # noqa: N815 - http.server's names

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        remote = str(self.client_address[0]).removeprefix("::ffff:")
        query = dict(parse_qsl(parts.query))
        return Request(self.command, parts.path, query, headers, _json(raw), raw, remote, self.path)

    def _send(self, answer: Answer) -> None:
        raw = b"" if answer.body is None else _bytes(answer.body)
        kind = "text/html" if isinstance(answer.body, str) else "application/json"
        self.send_response(answer.status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return None


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _next_fault(ledger: Ledger, request: Request) -> dict[str, Any] | None:
    """The first fault of the script that fits, counted down."""
    if not ledger.read().get("script"):
        return None
    with ledger.change() as state:
        for fault in state.get("script", []):
            fits = fault.get("method", request.method) == request.method
            if fits and request.path.startswith(fault.get("path", "/")) and fault.get("times", 1) > 0:
                fault["times"] = fault["times"] - 1 if "times" in fault else 1
                return dict(fault)
    return None


def arguments(description: str) -> argparse.Namespace:
    """The command line of a provider's API."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state", type=Path, required=True, help="JSON file shared with the SMTP service")
    parser.add_argument("--listen", action="append", required=True, help="address:port, [address]:port; repeatable")
    parser.add_argument("--certificate", help="PEM; without one plain HTTP")
    parser.add_argument("--key", help="PEM of its private key")
    parser.add_argument("--resolver", help="address or address:port to ask instead of the system's resolvers")
    return parser.parse_args()


def run(api: Api, asked: argparse.Namespace) -> None:
    """Serves until the process ends."""
    tls = (asked.certificate, asked.key) if asked.certificate else None
    serve(api, Ledger(asked.state), asked.listen, tls)
    threading.Event().wait()
