"""mailcow's own relay test, read strictly: the page always answers 200 and tells no verdict, only the dialogue.

The relay took the message when the line right after the final dot is a reply 2yz.

RelayTestError  it did not, or it cannot be told
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbooklib import endpoint
from runbooklib.endpoint import PERMANENT, TEMPORARY, Reply
from runbooklib.results import Check, RunbookError, Status, passed
from runbooklib.servers.mailcow.api import Api, MailcowError

PAGE = "/inc/ajax/transport_check.php"  # since 2021 or so; before that relay_check.php
PATIENCE = 30.0  # seconds; a port with implicit TLS would hold the page for 300
SERVER, CLIENT = "SERVER -> CLIENT: ", "CLIENT -> SERVER: "
DOT = "."
BREAK, TAG = re.compile(r"<br\s*/?>", re.IGNORECASE), re.compile(r"<[^<>]*>")
CODE = re.compile(r"(\d{3})(?=[ -]|$)")
ACCEPTED = re.compile(r"2\d\d(?=[ -]|$)")  # RFC 5321 4.2.1
SHOWN = 300  # characters of a relay's words
# What the page's own check (PHP's FILTER_VALIDATE_EMAIL) takes for certain; for others it puts in its defaults.
PLAIN = re.compile(r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?")
LOCAL_MOST = 64  # RFC 5321 4.5.3.1.1
REF = "RFC 5321 4.2.5"


class RelayTestError(RunbookError):
    """The test was not passed; `status` tells *wrong* from *not yet* and *could not tell*, `fix` what to do."""

    def __init__(self, check: Check) -> None:
        super().__init__(check.observed)
        self.status, self.fix, self.waits_for = check.status, check.fix, check.waits_for


@dataclass(frozen=True)
class Line:
    """One line of the dialogue: the relay's, mailcow's, or a remark of the program that holds it."""

    said_by: str  # SERVER, CLIENT, or empty for a remark
    text: str


@dataclass(frozen=True)
class Dialogue:
    """What the page showed, line by line."""

    lines: tuple[Line, ...]

    @property
    def answer(self) -> str | None:
        """What the relay said right after the only final dot; None where it said nothing there."""
        dots = [i for i, line in enumerate(self.lines) if line == Line(CLIENT, DOT)]
        after = self.lines[dots[0] + 1 : dots[0] + 2] if len(dots) == 1 else ()
        return after[0].text if after and after[0].said_by == SERVER else None

    @property
    def accepted(self) -> bool:
        """Whether the relay took the message."""
        return self.answer is not None and ACCEPTED.match(self.answer) is not None

    def between(self, sender: str, recipient: str) -> bool:
        """Whether it was about these two, and not the addresses that the page puts in for what it cannot read."""
        commands = [line.text.lower() for line in self.lines if line.said_by == CLIENT]
        named = [c for c in commands if c.startswith(("mail from:", "rcpt to:"))]
        wanted = (f"mail from:<{sender}>", f"rcpt to:<{recipient}>")
        return len(named) == len(wanted) and all(map(str.startswith, named, wanted))

    @property
    def refusal(self) -> Reply | None:
        """The first command that was answered 4yz or 5yz; a refused EHLO is followed by a HELO."""
        return next((r for r in self._replies() if r.code >= TEMPORARY and not r.command.startswith("EHLO")), None)

    def _replies(self) -> Iterator[Reply]:
        command, login = "the greeting", False
        for line in self.lines:
            if line.said_by == CLIENT:
                login = line.text.startswith("AUTH") or (login and line.text.startswith("["))
                command = AUTH if login else END if line.text == DOT else line.text[:SHOWN]
            elif line.said_by == SERVER and (code := CODE.match(line.text)):
                yield Reply(command, int(code[1]), line.text[:SHOWN])

    def remarked(self, words: str) -> str:
        """The first remark that holds these words."""
        found = (x.text for x in self.lines if not x.said_by and re.search(words, x.text, re.IGNORECASE))
        return next(found, "")[:SHOWN]


AUTH, END = "AUTH", "the message"


def parse(page: str) -> Dialogue:
    """The dialogue from the page's HTML: spans, breaks and entities go, each line keeps its words."""
    lines = (" ".join(html.unescape(TAG.sub("", piece)).split()) for piece in BREAK.split(page))
    return Dialogue(tuple(_line(line) for line in lines if line))


def _line(text: str) -> Line:
    for said_by in (SERVER, CLIENT):
        if f"{text} ".startswith(said_by):
            return Line(said_by, text.removeprefix(said_by.rstrip()).strip())
    return Line("", text)


def askable(address: str) -> bool:
    """Whether the page is certain to take this address as it is."""
    local = address.lower().partition("@")[0]
    return len(local) <= LOCAL_MOST and PLAIN.fullmatch(address.lower()) is not None


def run(mailcow: Api, row: str, relay: str, sender: str, recipient: str, patience: float = PATIENCE) -> Check:
    """Has mailcow send one message by the sender-dependent transport of that id, and judges what it shows.

    It tries what is stored, over TLS where that is offered, and verifies no certificate.
    """
    query = {"transport_id": row, "transport_type": "sender-dependent", "mail_from": sender, "mail_rcpt": recipient}
    try:
        page = replace(mailcow, timeout=patience).text(PAGE, **query)
    except MailcowError as error:
        return Check(
            f"relay.test {relay}", error.status, _expected(relay, sender, recipient), str(error), error.fix, REF
        )
    return judge(relay, parse(page), sender, recipient)


def _expected(relay: str, sender: str, recipient: str) -> str:
    return f"mailcow hands {relay} a message from {sender} to {recipient}"


def judge(relay: str, dialogue: Dialogue, sender: str, recipient: str) -> Check:
    """The row of a test between these two addresses: nothing but a 2yz after the final dot passes."""
    check, expected = f"relay.test {relay}", _expected(relay, sender, recipient)
    if dialogue.accepted and dialogue.between(sender, recipient):
        return passed(check, expected, str(dialogue.answer)[:SHOWN], REF)
    if dialogue.accepted:
        said = "the page asked with other addresses than it was given"
        return Check(check, Status.UNKNOWN, expected, said, OTHER_PAGE, REF)
    if dialogue.refusal:
        return _refused(check, expected, relay, dialogue.refusal)
    for words, status, fix in REMARKS:
        if said := dialogue.remarked(words):
            return Check(check, status, expected, said, fix.format(relay=relay), REF)
    return Check(check, Status.UNKNOWN, expected, _last(dialogue), "run again; then try the test in mailcow's UI", REF)


OTHER_PAGE = "run again; if it stays so, mailcow's page for the test has changed"
ROUTE = "no route was changed"


def _refused(check: str, expected: str, relay: str, reply: Reply) -> Check:
    """A refused login is the row's credentials; of senders and messages the relay's words tell more."""
    if reply.command == AUTH:
        status = Status.FAIL if reply.code >= PERMANENT else Status.UNKNOWN  # RFC 4954 6: 454 may pass by itself
        fix = f"correct relays.{relay}.username and password; {ROUTE}"
        return Check(check, status, expected, str(reply), fix, "RFC 4954 6")
    if reply.command.startswith(("MAIL FROM", "RCPT TO", "DATA", END)):
        return endpoint.judge(check, expected, reply)
    return Check(check, reply.status, expected, str(reply), f"the relay's answer says why; {ROUTE}", REF)


# In this order: one trouble is told in several remarks, the most telling one counts.
REMARKS = (
    (r"^Permission denied\.$", Status.FAIL, "mailcow does not take mail.api_key for its test page: see that it is on"),
    (r"^Unknown transport\.$", Status.FAIL, "somebody deleted the transport meanwhile: run again, it is made anew"),
    (
        r"getaddrinfo.*(name or service not known|no address associated)",
        Status.FAIL,
        "correct relays.{relay}.host: mailcow's resolver says that the name does not exist",
    ),
    (r"getaddrinfo.*failed", Status.UNKNOWN, "mailcow's resolver (unbound-mailcow) gave no answer: see its log"),
    (
        r"connection refused",
        Status.FAIL,
        "the relay, or a firewall before it, refuses mailcow at that port: try 587, 2525 or 2587",
    ),
    (
        r"timed out|unreachable|no route",
        Status.UNKNOWN,
        "no connection from mailcow's server to that port: ask its provider, or try 2525 or 2587",
    ),
    (r"could not authenticate", Status.UNKNOWN, "the relay broke off at the login: run again"),
    (
        r"closing due to error|connect\(\) failed",
        Status.UNKNOWN,
        "the relay took the connection and said nothing: a port with implicit TLS (465) does so; use 587",
    ),
)


def _last(dialogue: Dialogue) -> str:
    """Where it broke off."""
    if dialogue.answer is not None:
        return f"after the final dot: {dialogue.answer[:SHOWN] or 'an empty line'}"
    words = [line for line in dialogue.lines if line.said_by]
    return f"no answer to the message; the dialogue ends with {words[-1].text[:SHOWN]!r}" if words else "no dialogue"
