"""A small mail server on loopback: submission with login, and IMAP over the messages it took, both inside TLS."""

from __future__ import annotations

import base64
import re
import shlex
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import pigeonholes

DOORS = (143, 465, 587, 993)
# What Google answers to a token that has expired, in base64 (RFC 7628 3.2.2).
REFUSED_TOKEN = '{"status":"401","schemes":"bearer","scope":"https://mail.example.org/"}'


@dataclass
class PostOffice:
    """What is submitted arrives at once, as `deliver` makes it; None loses it."""

    tls: ssl.SSLContext
    passwords: Mapping[str, str]
    deliver: Callable[[bytes], bytes | None] = lambda message: message
    refuse: str = ""  # what RCPT TO is answered instead of 250
    closed: frozenset[int] = frozenset()  # doors where nobody listens
    plain: bool = True  # whether passwords are taken
    tokens: Mapping[str, str] = field(default_factory=dict)  # by user, for XOAUTH2
    says_no: str = "[AUTHENTICATIONFAILED] no"  # to a wrong password
    sasl: bool = True  # whether IMAP offers AUTHENTICATE; else LOGIN alone
    starttls: bool = True
    asks_who: bool = False  # as NetEase: no folder is opened before the client has said who it is
    offers: str = ""  # more capabilities of IMAP
    extensions: tuple[str, ...] = ()  # more of submission's (RFC 5321 2.2)
    messages: list[bytes] = field(default_factory=list)
    folders: Mapping[str, list[bytes]] = field(default_factory=dict)  # those beside the inbox
    marks: Mapping[str, str] = field(default_factory=dict)  # what IMAP says a folder is for
    search: str = ""  # on headers: BAD or NO refuses it, nothing finds none
    breaks: int = 0  # how many searches end with the connection
    dated: str = ""  # what FETCH tells beside the message of when it came, with a blank behind
    uid_last: bool = False  # whether FETCH names the UID after the message
    asked: list[str] = field(default_factory=list)  # UID commands
    envelopes: list[str] = field(default_factory=list)  # each MAIL FROM, with its parameters
    logins: list[str] = field(default_factory=list)
    visitors: list[str] = field(default_factory=list)  # what clients said of themselves (RFC 2971)

    def __enter__(self) -> Self:
        self.servers = {door: _serving(self, TALKS[door]) for door in DOORS if door not in self.closed}
        self.ports = {door: server.server_address[1] for door, server in self.servers.items()}
        return self

    def __exit__(self, *_: object) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    @property
    def submission(self) -> int:
        return int(self.ports[587])

    @property
    def imaps(self) -> int:
        return int(self.ports[993])

    @property
    def ways(self) -> list[str]:
        return ["PLAIN"] * self.plain + ["XOAUTH2"] * bool(self.tokens)

    def opens(self, credentials: str) -> bool:
        """Whether SASL PLAIN names a user and the password (RFC 4616 2)."""
        _, user, password = base64.b64decode(credentials).decode().split("\0")
        self.logins.append(user)
        return self.plain and self.passwords.get(user) == password

    def takes(self, token: str) -> bool:
        """Whether XOAUTH2 names a user and a token that counts."""
        found = re.fullmatch("user=(.*)\1auth=Bearer (.*)\1\1", base64.b64decode(token).decode())
        assert found
        self.logins.append(found[1])
        return self.tokens.get(found[1]) == found[2]

    def arrived(self, message: bytes) -> None:
        if delivered := self.deliver(message):
            self.messages.append(delivered)


class _Handler(socketserver.StreamRequestHandler):
    """Lines in, lines out."""

    disable_nagle_algorithm = True  # two short lines in a row would wait for the client's ACK, 40 ms
    office: PostOffice
    folder: list[bytes] | None = None  # the selected one

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

    def asked_token(self, token: str, prompt: str) -> bool:
        """Whether a token counts; else why not, which the client must have heard (RFC 7628 3.2.3)."""
        if self.office.takes(token):
            return True
        self.say(f"{prompt} {base64.b64encode(REFUSED_TOKEN.encode()).decode()}")
        assert self.hear() == ""
        return False


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


def _submission(client: _Handler, *, implicit: bool) -> None:
    if implicit:
        client.secure()
    client.say("220 there ESMTP")
    while True:
        line = client.hear()
        verb = line.split(" ")[0].upper()
        if verb == "EHLO":
            offer = ["250-STARTTLS"] * (client.office.starttls and not implicit)
            more = [f"250-{extension}" for extension in client.office.extensions]
            client.say("250-there", *offer, *more, f"250 AUTH {' '.join(client.office.ways)} LOGIN")
        elif verb == "STARTTLS":
            client.say("220 go")
            client.secure()
        elif verb == "AUTH":
            _, way, secret = line.split(" ")
            good = client.office.opens(secret) if way == "PLAIN" else client.asked_token(secret, "334")
            client.say("235 2.7.0 in" if good else f"535 5.7.8 authentication failed {client.office.says_no}")
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
            client.office.envelopes += [line] * (verb == "MAIL")
            client.say("250 2.1.0 well")


def _imap(client: _Handler, *, implicit: bool) -> None:
    if implicit:
        client.secure()
    client.say("* OK IMAP4rev1 ready")
    while True:
        tag, verb, rest = ([*client.hear().split(" ", 2), ""])[:3]
        if verb == "FETCH":
            message = client.office.messages[int(rest.split(" ")[0]) - 1]
            client.wfile.write(b"* 1 FETCH (BODY[] {%d}\r\n%s)\r\n" % (len(message), message))
            client.say(f"{tag} OK there")
        elif verb in ANSWERS:
            client.say(f"{tag} {ANSWERS[verb](client, rest)}")
        elif verb == "STARTTLS":
            client.say(f"{tag} OK go")
            client.secure()
            implicit = True
        else:
            client.say(_capability(client.office, implicit) if verb == "CAPABILITY" else "* OK", f"{tag} OK done")
        if verb == "LOGOUT":
            return


def _capability(office: PostOffice, secured: bool) -> str:
    ways = (
        [f"AUTH={way}" for way in office.ways * office.sasl]
        if secured
        else ["LOGINDISABLED", "STARTTLS"[: 8 * office.starttls]]
    )
    return " ".join(["* CAPABILITY IMAP4rev1", *filter(None, [*ways, "ID" * office.asks_who, office.offers])])


def _authenticate(client: _Handler, way: str) -> str:
    client.say("+ ")
    answer = client.hear()
    good = client.office.opens(answer) if way == "PLAIN" else client.asked_token(answer, "+")
    return "OK in" if good else f"NO {client.office.says_no}"


def _login(client: _Handler, rest: str) -> str:
    user, password = shlex.split(rest)
    client.office.logins.append(user)
    return "OK in" if client.office.passwords.get(user) == password else f"NO {client.office.says_no}"


def _id(client: _Handler, rest: str) -> str:
    client.office.visitors.append(rest)
    if not client.office.asks_who:
        return "BAD what"
    client.say('* ID ("name" "there")')
    return "OK nice to meet you"


def _select(client: _Handler, folder: str) -> str:
    if client.office.asks_who and not client.office.visitors:
        return "NO EXAMINE Unsafe Login. Please contact the service for help"
    client.folder = pigeonholes.held(client, folder)
    if client.folder is None:
        return "NO no such folder"
    client.say(f"* {len(client.folder)} EXISTS")
    return "OK [READ-ONLY] there"


def _search(client: _Handler, rest: str) -> str:
    token = re.sub(r'^SUBJECT "?|"$', "", rest).encode()
    found = [str(n) for n, m in enumerate(client.office.messages, 1) if token in m]
    client.say(" ".join(["* SEARCH", *found]))
    return "OK done"


ANSWERS: Mapping[str, Callable[[_Handler, str], str]] = {
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "ID": _id,
    "SELECT": _select,
    "EXAMINE": _select,
    "SEARCH": _search,
    "LIST": pigeonholes.listed,
    "UID": pigeonholes.by_uid,
}
TALKS: Mapping[int, Callable[[Any], None]] = {
    143: partial(_imap, implicit=False),
    465: partial(_submission, implicit=True),
    587: partial(_submission, implicit=False),
    993: partial(_imap, implicit=True),
}
