"""One SMTP dialogue as PHPMailer 6.6 holds and narrates it; mailcow's relay test shows the narration.

It speaks TLS only after STARTTLS, checks no certificate, tries any mechanism it knows, and waits 300 s for a reply.
"""

from __future__ import annotations

import base64
import hmac
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from secrets import token_urlsafe

SOURCE = "[/web/inc/lib/vendor/phpmailer/phpmailer/src/SMTP.php line 388]"
HELP = "https://github.com/PHPMailer/PHPMailer/wiki/Troubleshooting"
OPTIONS = """array (
  'ssl' =>\x20
  array (
    'verify_peer' => false,
    'verify_peer_name' => false,
    'allow_self_signed' => true,
  ),
)"""
CONNECT_SECONDS = 15
MECHANISMS = ("CRAM-MD5", "LOGIN", "PLAIN")
HIDDEN = ("Username", "Password", "User & Password")
OURS = "localhost.localdomain"


class StoppedError(Exception):
    """Nothing more is tried; its text is told."""


@dataclass
class Mailer:
    """Sends one test message and keeps what was said."""

    host: str
    port: int
    username: str
    password: str
    patience: float = 300.0  # seconds for one reply
    said: list[str] = field(default_factory=list)
    sock: socket.socket | None = None
    offers: dict[str, str] = field(default_factory=dict)
    last: str = ""  # reply

    def send(self, sender: str, recipient: str) -> list[str]:
        """Everything that is said, in lines."""
        try:
            self._connect()
            self._open()
            self._hand_over(sender, recipient)
        except StoppedError as stopped:
            self._say(str(stopped))
        self._quit()
        return self.said

    def _say(self, text: str) -> None:
        self.said += [line for line in re.split(r"\r?\n|\r", text) if line]

    def _connect(self) -> None:
        self._say(f"Connection: opening to {self.host}:{self.port}, timeout={CONNECT_SECONDS}, options={OPTIONS}")
        try:
            self.sock = socket.create_connection((self.host.strip("[]"), self.port), timeout=CONNECT_SECONDS)
        except OSError as error:
            self._say(self._unreached(error))
            raise StoppedError(f"SMTP connect() failed. {HELP}") from None
        self._say("Connection: opened")
        reply = self._reply()
        self._say(f"SERVER -> CLIENT: {reply}")
        if not reply.startswith("220"):
            self._say("Connection: closing due to error")
            self._close()
            raise StoppedError(f"SMTP connect() failed. {HELP}")

    def _unreached(self, error: OSError) -> str:
        where = f"Connection failed. Error #2: stream_socket_client(): Unable to connect to {self.host}:{self.port}"
        if isinstance(error, socket.gaierror):
            why = f"php_network_getaddresses: getaddrinfo for {self.host} failed: {error.strerror}"
            first = f"Connection failed. Error #2: stream_socket_client(): {why} {SOURCE}"
            return f"{first}\n{where} ({why}) {SOURCE}\nSMTP ERROR: Failed to connect to server: {why} (0)"
        late = isinstance(error, TimeoutError)
        number, why = (110, "Connection timed out") if late else (error.errno or 0, str(error.strerror))
        return f"{where} ({why}) {SOURCE}\nSMTP ERROR: Failed to connect to server: {why} ({number})"

    def _open(self) -> None:
        """Greets, goes over to TLS where it is offered, logs in where there is a name."""
        try:
            self._hello()
            if "STARTTLS" in self.offers:
                self._start_tls()
                self._hello()
            if self.username and not self._log_in():
                self._stop("SMTP Error: Could not authenticate.")
        except StoppedError as stopped:
            self._say(str(stopped))
            self._quit()
            raise StoppedError(f"SMTP connect() failed. {HELP}") from None

    def _stop(self, why: str) -> None:
        raise StoppedError(why)

    def _hello(self) -> None:
        reply = self._command("EHLO", f"EHLO {OURS}", "250")
        if reply is None:
            self._command("HELO", f"HELO {OURS}", "250")
        lines = [line[4:] for line in (reply or "").splitlines()[1:]]
        self.offers = {line.split(" ")[0].upper(): line.partition(" ")[2] for line in lines if line}

    def _start_tls(self) -> None:
        if self._command("STARTTLS", "STARTTLS", "220") is None:
            self._stop("SMTP Error: Could not connect to SMTP host.")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            self.sock = context.wrap_socket(self._line(), server_hostname=self.host.strip("[]"))
        except OSError:
            self._stop("SMTP Error: Could not connect to SMTP host.")

    def _log_in(self) -> bool:
        offered = self.offers.get("AUTH", "").split()
        mechanism = next((name for name in MECHANISMS if name in offered), "")
        if mechanism == "LOGIN":
            steps = [("Username", _encoded(self.username), "334"), ("Password", _encoded(self.password), "235")]
            return self._exchange(mechanism, steps)
        if mechanism == "PLAIN":
            both = _encoded(f"\0{self.username}\0{self.password}")
            return self._exchange(mechanism, [("User & Password", both, "235")])
        return mechanism == "CRAM-MD5" and self._challenge()

    def _exchange(self, mechanism: str, steps: list[tuple[str, str, str]]) -> bool:
        if self._command("AUTH", f"AUTH {mechanism}", "334") is None:
            return False
        return all(self._command(*step) is not None for step in steps)

    def _challenge(self) -> bool:
        """CRAM-MD5 (RFC 2195)."""
        asked = self._command("AUTH CRAM-MD5", "AUTH CRAM-MD5", "334")
        if asked is None:
            return False
        digest = hmac.new(self.password.encode(), base64.b64decode(asked[4:]), "md5").hexdigest()
        return self._command("Username", _encoded(f"{self.username} {digest}"), "235") is not None

    def _hand_over(self, sender: str, recipient: str) -> None:
        if self._command("MAIL FROM", f"MAIL FROM:<{sender}>", "250") is None:
            raise StoppedError(self._from_failed(sender))
        if self._command("RCPT TO", f"RCPT TO:<{recipient}>", "250") is None:
            detail, _, _ = _parts(self.last)
            self._quit()
            raise StoppedError(f"SMTP Error: The following recipients failed: {recipient}: {detail}")
        if self._command("DATA", "DATA", "354") is None:
            raise StoppedError("SMTP Error: data not accepted.")
        for line in _message(sender, recipient):
            self._write(line)
        if self._command("DATA END", ".", "250") is None:
            raise StoppedError("SMTP Error: data not accepted.")

    def _from_failed(self, sender: str) -> str:
        detail, code, extended = _parts(self.last)
        failed = "MAIL FROM command failed"
        return (
            f"The following From address failed: {sender} : {failed},{detail}\n,{code},{extended}"
            f"SMTP server error: {failed} Detail: {detail}\n SMTP code: {code}"
            + (f" Additional SMTP info: {extended}" if extended else "")
        )

    def _command(self, label: str, line: str, expected: str) -> str | None:
        """The reply, or None for one that was not expected."""
        self._write(line, hidden=label in HIDDEN)
        self.last = self._reply()
        self._say(f"SERVER -> CLIENT: {self.last}")
        if self.last.startswith(expected):
            return self.last
        if label != "QUIT":
            self._say(f"SMTP ERROR: {label} command failed: {self.last}")
        return None

    def _write(self, line: str, *, hidden: bool = False) -> None:
        self.said.append(f"CLIENT -> SERVER: {'[credentials hidden]' if hidden else line}")
        with suppress(OSError):  # the reply that does not come tells it
            self._line().sendall(f"{line}\r\n".encode())

    def _reply(self) -> str:
        """Lines up to the last of a reply; what there is when the other side says no more."""
        until, got = time.monotonic() + self.patience, b""
        while not re.search(rb"(^|\n)\d{3}( [^\n]*)?\r?\n$", got):
            try:
                self._line().settimeout(max(0.01, until - time.monotonic()))
                more = self._line().recv(4096)
            except OSError:
                break
            if not more:
                break
            got += more
        return got.decode("utf-8", "replace")

    def _line(self) -> socket.socket:
        if self.sock is None:
            raise ConnectionError
        return self.sock

    def _quit(self) -> None:
        if self.sock is not None:
            self._command("QUIT", "QUIT", "221")
            self._close()

    def _close(self) -> None:
        if self.sock is not None:
            self.sock.close()
            self.sock = None
            self._say("Connection: closed")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _parts(reply: str) -> tuple[str, str, str]:
    """A reply's words, code and extended code (RFC 3463)."""
    found = re.match(r"(\d{3})[ -](?:(\d\.\d\.\d{1,2}) )?(.*)", reply)
    return (found[3].strip(), found[1], found[2] or "") if found else (reply.strip(), "", "")


def _message(sender: str, recipient: str) -> list[str]:
    return [
        f"Date: {formatdate()[:-5]}+0000",
        f"To: Joe Null <{recipient}>",
        f"From: Mailer <{sender}>",
        "Subject: A subject for a SMTP test",
        f"Message-ID: <{token_urlsafe(30).replace('-', '0').replace('_', '1')}@{OURS}>",
        "X-Mailer: PHPMailer 6.6.0 (https://github.com/PHPMailer/PHPMailer)",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=iso-8859-1",
        "",
        "This is our test body",
        "",
    ]
