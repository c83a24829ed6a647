"""What a relay's answer to a sender or a message means: taken, not yet, put off or refused, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runbooklib.endpoint.errors import PERMANENT, TEMPORARY
from runbooklib.results import Check, Status, passed

SENDER = "RFC 5321 4.1.1"  # MAIL, RCPT and DATA


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
OTHERWISE = _reason("", "the relay's answer says why")


def judge(check: str, expected: str, answer: Reply, hop: str = "") -> Check:
    """The row of an answer: taken, not yet, put off or refused, and why as far as its words tell."""
    if answer.taken:
        return passed(check, expected, str(answer), SENDER)
    reason = next((r for r in REASONS if r.words.search(answer.text)), OTHERWISE)
    fix = f"{reason.fix}; the route stays {hop or 'as it is'}"
    return Check(check, reason.status or answer.status, expected, str(answer), fix, SENDER, waits_for=reason.waits_for)
