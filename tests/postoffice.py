"""A small mail server on loopback: submission with login, and IMAP over the messages it took, both inside TLS."""

from __future__ import annotations

import base64
import re
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class PostOffice:
    """What is submitted arrives at once, as `deliver` makes it; None loses it."""

    tls: ssl.SSLContext
    passwords: Mapping[str, str]
    deliver: Callable[[bytes], bytes | None] = lambda message: message
    refuse: str = ""  # what RCPT TO is answered instead of 250
    messages: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.servers = [_serving(self, _submission), _serving(self, _imap)]
        self.submission, self.imaps = (server.server_address[1] for server in self.servers)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def opens(self, credentials: str) -> bool:
        """Whether SASL PLAIN names a user and the password (RFC 4616 2)."""
        _, user, password = base64.b64decode(credentials).decode().split("\0")
        self.logins.append(user)
        return self.passwords.get(user) == password

    def arrived(self, message: bytes) -> None:
        if delivered := self.deliver(message):
            self.messages.append(delivered)


class _Handler(socketserver.StreamRequestHandler):
    """Lines in, lines out."""

    office: PostOffice

    def say(self, *lines: str) -> None:
        for line in lines:
            self.wfile.write(f"{line}\r\n".encode())

    def hear(self) -> str:
        line = self.rfile.readline()
        if not line:
            raise EOFError
        return line.decode(errors="replace").rstrip("\r\n")

    def secure(self) -> None:
        self.request = self.office.tls.wrap_socket(self.request, server_side=True)
        self.setup()


def _serving(office: PostOffice, talk: Callable[[Any], None]) -> socketserver.ThreadingTCPServer:
    class Handler(_Handler):
        def handle(self) -> None:
            self.office = office
            with suppress(OSError, EOFError):
                talk(self)
            self.request.close()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


def _submission(client: _Handler) -> None:
    client.say("220 there ESMTP")
    while True:
        line = client.hear()
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            client.say("250-there", "250-STARTTLS", "250 AUTH PLAIN LOGIN")
        elif verb == "STARTTLS":
            client.say("220 go")
            client.secure()
        elif verb == "AUTH":
            good = client.office.opens(line.split(" ")[2])
            client.say("235 2.7.0 in" if good else "535 5.7.8 authentication failed")
        elif verb == "RCPT" and client.office.refuse:
            client.say(client.office.refuse)
        elif verb == "DATA":
            client.say("354 go on")
            text = list(iter(client.hear, "."))
            client.office.arrived("".join(f"{t.removeprefix('.')}\r\n" for t in text).encode())
            client.say("250 2.0.0 queued as ABCDEF")
        elif verb == "QUIT":
            client.say("221 bye")
            return
        else:
            client.say("250 2.1.0 well")


def _imap(client: _Handler) -> None:
    client.secure()
    client.say("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready")
    while True:
        tag, verb, rest = ([*client.hear().split(" ", 2), ""])[:3]
        answer = {"AUTHENTICATE": _authenticate, "SELECT": _select, "EXAMINE": _select, "SEARCH": _search}
        if verb == "FETCH":
            message = client.office.messages[int(rest.split(" ")[0]) - 1]
            client.wfile.write(b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(message), message))
            client.say(f"{tag} OK there")
        elif verb in answer:
            client.say(f"{tag} {answer[verb](client, rest)}")
        else:
            client.say("* CAPABILITY IMAP4rev1 AUTH=PLAIN" if verb == "CAPABILITY" else "* OK", f"{tag} OK done")
        if verb == "LOGOUT":
            return


def _authenticate(client: _Handler, _: str) -> str:
    client.say("+ ")
    return "OK in" if client.office.opens(client.hear()) else "NO [AUTHENTICATIONFAILED] no"


def _select(client: _Handler, folder: str) -> str:
    if "INBOX" not in folder:
        return "NO no such folder"
    client.say(f"* {len(client.office.messages)} EXISTS")
    return "OK [READ-ONLY] there"


def _search(client: _Handler, rest: str) -> str:
    token = re.sub(r'^SUBJECT "?|"$', "", rest).encode()
    found = [str(n) for n, m in enumerate(client.office.messages, 1) if token in m]
    client.say(" ".join(["* SEARCH", *found]))
    return "OK done"
