"""Whether a relay takes our login, our domains as sender, and mail without a sender; nothing is sent."""

from __future__ import annotations

import re
import smtplib
from dataclasses import dataclass

from runbooklib import endpoint
from runbooklib.endpoint import PERMANENT, TEMPORARY, EndpointError
from runbooklib.params import Relay, Site
from runbooklib.results import Check, Checklist, Status, passed

PATIENCE = 30.0  # seconds for an answer: some relays call the sender's MX back before they give one
REF = "RFC 5321 4.1.1"


@dataclass(frozen=True)
class Reply:
    """What the relay answered last, and to which command."""

    command: str
    code: int
    text: str

    @property
    def taken(self) -> bool:
        return self.code < TEMPORARY

    @property
    def status(self) -> Status:
        """RFC 5321 4.2.1: a 4yz may pass later, so nothing is known yet."""
        return Status.PASS if self.taken else Status.FAIL if self.code >= PERMANENT else Status.UNKNOWN

    def __str__(self) -> str:
        return self.text if self.taken else f"{self.command}: {self.text}"


@dataclass(frozen=True)
class Reason:
    """Why relays refuse a sender: the words they use, what it means, and what to do."""

    words: re.Pattern[str]
    fix: str
    status: Status | None = None  # None: as the code says
    waits_for: str = ""


def _reason(words: str, fix: str, status: Status | None = None, waits_for: str = "") -> Reason:
    return Reason(re.compile(words, re.IGNORECASE), fix, status, waits_for)


# The first that matches; the codes differ from relay to relay (550, 554, 450), the words much less.
REASONS = (
    _reason(
        r"api key is not authorized|not authorized to perform",
        "the relay's login may not send for this domain: make a sending key for it, name it in relays.*.password",
        Status.FAIL,
    ),
    _reason(
        r"not owned by|sender verify failed|(sender|from) address .*(not match|mismatch|not allowed)",
        "log in at the relay with a mailbox of this domain, or let its login send for all addresses of the domain "
        "(MXRoute: make it the domain's catch-all there, and turn local mail hosting off)",
        Status.FAIL,
    ),
    _reason(
        r"not (yet )?verified|verify your domain|not authorized",
        # Nothing is wrong yet: a relay trusts a domain only when its DNS stands.
        "04-dns publishes what the relay wants to see; then 02 is walked again",
        Status.PENDING,
        "04-dns",
    ),
    _reason(
        r"quota|limit|throttl|too many|exceeded",
        "the allowance is used up: wait until it is renewed, or take a larger plan",
    ),
    _reason(
        r"^53[05]|authentication (is )?required", "the relay wants a login: name username and password", Status.FAIL
    ),
)
REFUSED = "refused"
OTHERWISE = _reason("", "the relay's answer says why")


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
        return Check(check, Status.UNKNOWN, expected, f"the dialogue broke: {error}", "run again", REF)
    return judge(check, expected, answer, hop)


def judge(check: str, expected: str, answer: Reply, hop: str = "") -> Check:
    """The row of an answer: taken, not yet, put off or refused, and why as far as its words tell."""
    if answer.taken:
        return passed(check, expected, str(answer), REF)
    reason = next((r for r in REASONS if r.words.search(answer.text)), OTHERWISE)
    fix = f"{reason.fix}; the route stays {hop or 'as it is'}"
    return Check(check, reason.status or answer.status, expected, str(answer), fix, REF, waits_for=reason.waits_for)


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
