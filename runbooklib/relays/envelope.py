"""Whether a relay takes our login, our domains as sender, and mail without a sender; nothing is sent."""

from __future__ import annotations

import smtplib

from runbooklib import endpoint
from runbooklib.endpoint import EndpointError, Reply, judge
from runbooklib.params import Relay, Site
from runbooklib.results import Check, Checklist, Status, passed

PATIENCE = 30.0  # seconds for an answer: some relays call the sender's MX back before they give one
REFUSED = "refused"


def be_patient(client: smtplib.SMTP) -> None:
    """From here on the relay may take its time."""
    if client.sock is not None:
        client.sock.settimeout(PATIENCE)


def login(name: str, relay: Relay, client: smtplib.SMTP) -> Check:
    """One login, by the mechanism the relay offers inside TLS."""
    check, expected = f"relay.login {name}", f"login as {relay.username}" if relay.username else "no login asked for"
    if relay.username is None or relay.password is None:
        return passed(check, expected, "none in params: the relay has to know our address")
    try:
        endpoint.login(client, relay.username, relay.password)
    except EndpointError as error:
        return Check(check, error.status, expected, str(error), error.fix, "RFC 4954 6")
    return passed(check, expected, "accepted", "RFC 4954 6")


def sender(site: Site, name: str, domain: str, client: smtplib.SMTP, hop: str) -> Check:
    """Whether the relay takes this domain in MAIL FROM, and a recipient after it; `hop` is where it leaves today."""
    check, expected = f"relay.sender {domain}", f"{name} accepts MAIL FROM this domain"
    address = next((a for a in site.mailboxes if a.endswith(f"@{domain}")), f"postmaster@{domain}")
    try:
        answer = ask(site, client, address)
    except OSError as error:
        return Check(check, Status.UNKNOWN, expected, f"the dialogue broke: {error}", "run again", endpoint.SENDER)
    return judge(check, expected, answer, hop)


def ask(site: Site, client: smtplib.SMTP, address: str) -> Reply:
    """MAIL FROM and RCPT TO as a real message would say them, then RSET: nothing is sent.

    Raises OSError when there is no answer.
    """
    answer = Reply(f"MAIL FROM:<{address}>", *_words(client.mail(address)))
    if answer.taken and site.test.recipients:
        to = site.test.recipients[0].address
        answer = Reply(f"RCPT TO:<{to}>", *_words(client.rcpt(to)))
    try:
        client.rset()
    except OSError:
        if answer.taken:
            raise  # after a 421 the relay hangs up (RFC 5321 3.8); its answer is known all the same
    return answer


def _words(said: tuple[int, bytes]) -> tuple[int, str]:
    return said[0], endpoint.reply(*said)


def null_sender(site: Site, name: str, client: smtplib.SMTP) -> Check:
    """Whether the relay takes mail without a sender, as bounces and receipts are (RFC 5321 4.5.5).

    A refusal is no fault, as such mail is routed by what is known here: it only has to be known.
    """
    check, ref = f"relay.null-sender {name}", "RFC 5321 4.5.5, 6.1"
    expected = "known whether MAIL FROM:<> is taken"
    try:
        answer = ask(site, client, "")
    except OSError as error:
        said = f"the dialogue broke: {error}"
        return Check(check, Status.UNKNOWN, expected, said, "run again", ref, advisory=True)
    if answer.status is Status.UNKNOWN:
        return Check(check, Status.UNKNOWN, expected, str(answer), "run again later", ref, advisory=True)
    said = str(answer) if answer.taken else f"{REFUSED}: {answer}; bounces and receipts take another way"
    return passed(check, expected, said, ref)


def takes_null_sender(proofs: Checklist, relay: str) -> bool | None:
    """What the proofs found out about mail without a sender; None: nothing."""
    row = next((c for c in proofs if c.name == f"relay.null-sender {relay}" and c.status is Status.PASS), None)
    return None if row is None else not row.observed.startswith(REFUSED)
