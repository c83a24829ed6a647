"""One message over one SMTP connection: the envelope, the bytes, and what the other side answered (RFC 5321 3.3)."""

from __future__ import annotations

import re
import smtplib
import ssl

from runbooklib import endpoint
from runbooklib.delivery.handover import Fate, Handed
from runbooklib.delivery.messages import Letter
from runbooklib.endpoint import EndpointError, reply
from runbooklib.results import Status

GO_ON = 354  # RFC 5321 4.2.3
LEADING = re.compile(rb"^\.", re.MULTILINE)
QUEUED = re.compile(r"queued as ([0-9A-Za-z]+)")
AT_ONCE = 16  # connections side by side; Postfix lets one client have 50 (smtpd_client_connection_count_limit)
POSTSCREEN = 20.0  # seconds; a postscreen greets new clients after 6


def transfer(client: smtplib.SMTP, letter: Letter, sender: str, recipient: str, message: bytes) -> Handed:
    """Hands one message over; tells an answer from a connection that broke before or after the message began."""
    used = tls(client)
    try:
        refused = envelope(client, sender, recipient) or _begun(client)
        if refused:
            return Handed(letter, "refused", refused, tls=used)
    except (smtplib.SMTPException, OSError) as error:
        why, fix = f"broke off before the message: {error}", "run again; the service's log says why"
        return Handed(letter, "unsent", why, tls=used, fix=fix, verdict=Status.UNKNOWN)
    try:
        client.send(ended(message))
        code, said = client.getreply()
    except (smtplib.SMTPException, OSError) as error:
        return Handed(letter, "unknown", f"broke off in or after the message, before its answer: {error}")
    answer = reply(code, said)
    queued = QUEUED.search(answer)
    fate: Fate = "accepted" if code == endpoint.OK else "refused"
    return Handed(letter, fate, answer, queue_id=queued[1] if queued else "", tls=used)


def unsent(letter: Letter, error: EndpointError) -> Handed:
    """A message that never got so far as an envelope."""
    return Handed(letter, "unsent", str(error), fix=error.fix, verdict=error.status)


def envelope(client: smtplib.SMTP, sender: str, recipient: str) -> str:
    """Names sender and recipient; what was refused, or nothing (RFC 5321 4.2.1: 2xx is completion)."""
    wide = [] if recipient.isascii() else ["SMTPUTF8"]  # RFC 6531 3.4
    code, said = client.mail(sender, wide)
    if not 200 <= code <= 299:  # noqa: PLR2004
        return f"MAIL FROM: {reply(code, said)}"
    code, said = client.rcpt(recipient)
    return "" if 200 <= code <= 299 else f"RCPT TO: {reply(code, said)}"  # noqa: PLR2004


def _begun(client: smtplib.SMTP) -> str:
    """Asks for the message; what was refused, or nothing (RFC 5321 3.3: nothing is handed over before the 354)."""
    code, said = client.docmd("DATA")
    return "" if code == GO_ON else f"DATA: {reply(code, said)}"


def ended(message: bytes) -> bytes:
    """A message with its last dot, and another before each line that begins with one (RFC 5321 4.5.2)."""
    whole = message if message.endswith(b"\r\n") else message + b"\r\n"
    return LEADING.sub(b"..", whole) + b".\r\n"


def tls(client: smtplib.SMTP) -> str:
    """Version and cipher of the connection; empty in clear."""
    sock = client.sock
    if not isinstance(sock, ssl.SSLSocket):
        return ""
    return f"{sock.version()} {(sock.cipher() or ('',))[0]}"
