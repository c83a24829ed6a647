"""The relays of the transcripts on loopback: each says what the one with its port said there."""

from __future__ import annotations

import base64
import socketserver
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from scripts import Authority

UNVERIFIED = "The {domain} domain is not verified. Please, add and verify your domain"
FOREIGN = "550 5.7.1 Sender address is not owned by the authenticated user"


@dataclass(frozen=True)
class Manner:
    """A password, and what is answered at one place instead of yes."""

    password: str = "relay-secret"
    at: str = ""
    says: str = ""


MANNERS = {
    2587: Manner(),
    2589: Manner("se:cr:et"),
    2450: Manner(at=".", says=f"450 {UNVERIFIED}"),
    2550: Manner(at=".", says=f"550 {UNVERIFIED}"),
    2551: Manner(at="MAIL", says=FOREIGN),
    2451: Manner(at="RCPT", says="450 4.2.0 Greylisted, please try again later"),
}


class Sink(socketserver.ThreadingTCPServer):
    """One relay on a port of its own."""

    daemon_threads = True

    def __init__(self, manner: Manner, username: str, tls: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Client)
        self.manner, self.username, self.tls = manner, username, tls


class Client(socketserver.BaseRequestHandler):
    """One connection."""

    server: Sink

    def handle(self) -> None:
        self.inside, self.known, self.domain = False, False, ""
        with suppress(OSError):
            self.say("220 sink.test ESMTP stub")
            while (line := self.hear()) and self.answer(line):
                pass
        self.request.close()  # what TLS was wrapped around is no longer the server's to close

    def answer(self, line: str) -> bool:
        """Says what belongs to a line; false after the last."""
        verb, manner = line.split(":", maxsplit=1)[0].split(" ", maxsplit=1)[0].upper(), self.server.manner
        if verb == "MAIL" and not self.known:
            self.say("530 5.7.0 Authentication required")
        elif verb == manner.at:
            self.say(manner.says)
        elif verb == "EHLO":
            self.say("250-sink.test\r\n" + ("" if self.inside else "250-STARTTLS\r\n") + "250-AUTH PLAIN LOGIN")
            self.say("250 8BITMIME")
        elif verb == "STARTTLS":
            self.say("220 2.0.0 Ready to start TLS")
            self.request, self.inside = self.server.tls.wrap_socket(self.request, server_side=True), True
        elif verb == "AUTH":
            self.authenticate()
        elif verb == "DATA":
            self.say("354 End data with <CR><LF>.<CR><LF>")
            while self.hear() != ".":
                pass
            domain = {"domain": self.domain}
            self.say(manner.says.format(**domain) if manner.at == "." else "250 2.0.0 Ok: queued as 4XSTUB01")
        else:
            self.domain = line.rpartition("@")[2].strip(">") if verb == "MAIL" else self.domain
            said = {"MAIL": "250 2.1.0 Ok", "RCPT": "250 2.1.5 Ok", "QUIT": "221 2.0.0 Bye"}
            self.say(said.get(verb, "500 5.5.2 what"))
        return verb != "QUIT"

    def authenticate(self) -> None:
        self.say("334 VXNlcm5hbWU6")
        username = base64.b64decode(self.hear()).decode()
        self.say("334 UGFzc3dvcmQ6")
        password = base64.b64decode(self.hear()).decode()
        self.known = (username, password) == (self.server.username, self.server.manner.password)
        wrong = "535 5.7.8 Error: authentication failed: Invalid credentials"
        self.say("235 2.7.0 Authentication successful" if self.known else wrong)

    def say(self, text: str) -> None:
        self.request.sendall(f"{text}\r\n".encode())

    def hear(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.request.recv(1)
            if not byte:
                raise ConnectionError
            line += byte
        return line.decode().strip("\r\n")


@contextmanager
def running(username: str, folder: Path) -> Iterator[dict[int, int]]:
    """All of them: the transcripts' port → the one it has here; 2599 leads to nobody."""
    tls = Authority(folder).serving("sink.test")
    with ExitStack() as stack:
        sinks = {port: stack.enter_context(Sink(manner, username, tls)) for port, manner in MANNERS.items()}
        for sink in sinks.values():
            Thread(target=sink.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            stack.callback(sink.shutdown)
        yield {port: sink.server_address[1] for port, sink in sinks.items()} | {2599: 1}
