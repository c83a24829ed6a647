"""How each test message is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from html import escape

from runbooklib.delivery.messages import Form, Letter, Letters
from runbooklib.eml import fields
from runbooklib.params import Site

BODY = """\
Hello,

this is a test message. The operator of the mail server {host} sends it
to see that mail from and to {domain} arrives, and how it is treated
on its way. Nothing needs to be done; it may be deleted.

Run {run}, message {number}: {route}, {form}.
"""
WIDE = "καλημέρα, привет, 你好"  # outside ASCII; rspamd takes one ü in a Latin word for a mixture of scripts
# resend.com/docs/dashboard/emails/idempotency-keys: at most 256 characters, remembered for 24 hours. The provider takes
# it out, so it must not be signed: OpenDKIM and rspamd sign the fields that RFC 6376 5.4.1 lists, and this is none.
ONCE = "Resend-Idempotency-Key"


def compose(site: Site, letters: Letters, letter: Letter) -> bytes:
    """The message as it is handed over; run and number stand in its subject and Message-ID."""
    wide = f" {WIDE}" if letter.form is Form.NON_ASCII else ""
    message = _headed(
        letter.sender,
        letter.recipient,
        f"runbook test {letters.mark(letter)} {letter.route} {letter.domain}{wide}",
        f"<{letters.marker}.{letter.number}@{letter.sender.rpartition('@')[2]}>",
    )
    message["X-Runbook-Run"] = letters.run
    if _counted_once(site, letter):
        message[ONCE] = f"{letters.marker}.{letter.number}"
    told = {"host": site.server.hostname, "domain": letter.domain, "run": letters.run}
    text = BODY.format(**told, number=letter.number, route=letter.route, form=letter.form)
    BODIES.get(letter.form, _plain)(message, text)
    return message.as_bytes()


def _counted_once(site: Site, letter: Letter) -> bool:
    """Whether it leaves by a provider that drops what comes with the same key again."""
    relay = None if letter.inbound else site.relay_of(site.domain(letter.domain))
    return relay is not None and relay.provider == "resend"


def _plain(message: EmailMessage, text: str) -> None:
    message.set_content(text)


def _html(message: EmailMessage, text: str) -> None:
    message.set_content(text)
    paragraphs = "".join(f"<p>{escape(part)}</p>\n" for part in text.strip().split("\n\n"))
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n<head><title>Test</title></head>\n<body>\n{paragraphs}</body>\n</html>\n'
    )
    message.add_alternative(page, subtype="html")


def _attachment(message: EmailMessage, text: str) -> None:
    message.set_content(text)
    message.add_attachment(pdf("A test message"), "application", "pdf", filename="test.pdf")


def _wide(message: EmailMessage, text: str) -> None:
    """Encoded for seven bits: what a relay re-encodes breaks every signature (RFC 6376 5.3)."""
    message.set_content(f"{text}\n{WIDE}\n", cte="quoted-printable")


BODIES: dict[Form, Callable[[EmailMessage, str], None]] = {
    Form.HTML: _html,
    Form.ATTACHMENT: _attachment,
    Form.NON_ASCII: _wide,
    Form.SMTPUTF8: _wide,
}


def pdf(text: str) -> bytes:
    """A PDF of one page with one line (ISO 32000-1 7.5)."""
    shown = f"BT /F 12 Tf 72 720 Td ({text}) Tj ET"
    parts = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>",
        f"<< /Length {len(shown)} >>\nstream\n{shown}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    written, starts = "%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        starts.append(len(written))
        written += f"{number} 0 obj\n{part}\nendobj\n"
    table = "".join(f"{start:010} 00000 n \n" for start in starts)
    size = len(parts) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return f"{written}{end}startxref\n{len(written)}\n%%EOF\n".encode()


def answered_to(raw: bytes) -> str:
    """The address that a person's answer to a message goes to (RFC 5322 3.6.2); empty where it names none."""
    header = fields.read(raw)
    named = [*header.mailboxes("Reply-To"), *header.mailboxes("From")]
    return named[0].address if named else ""


def compose_answer(letters: Letters, letter: Letter, raw: bytes, goes_to: str) -> bytes:
    """The answer a person would send to what arrived (RFC 5322 3.6.4)."""
    header, sender = fields.read(raw), letter.recipient
    subject = f"Re: {_line(fields.decoded(header.first('Subject')))}"
    message = _headed(sender, goes_to, subject, f"<{letters.marker}.{letter.number}.re@{sender.rpartition('@')[2]}>")
    message["In-Reply-To"] = message["References"] = _line(header.first("Message-ID"))
    message["X-Runbook-Run"] = letters.run
    message.set_content("Hello,\n\nyour test message arrived; this is the answer to it.\n")
    return message.as_bytes()


def _line(text: str) -> str:
    """What can stand in a header again: encoded words may hide the end of a line, which begins another header."""
    return " ".join(text.encode("utf-8", "replace").decode().replace("=?", "= ?").split())


def _headed(sender: str, recipient: str, subject: str, message_id: str) -> EmailMessage:
    message = EmailMessage(SMTP if recipient.isascii() else SMTPUTF8)
    message["From"], message["To"], message["Subject"] = sender, recipient, subject
    message["Date"], message["Message-ID"] = format_datetime(datetime.now(UTC)), message_id
    return message
