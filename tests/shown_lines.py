"""Lines of logs as servers write them, and the rule that each leads to: through the digest, as in a diagnosis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from runbooklib import maillog
from runbooklib.probes import mailflow

NOW = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)
AT = "2026-11-21T19:40:00+00:00 mail"  # older than what is recent
HI, RELAY = "hi@lantern.example", "smtp.relay.example[198.51.100.5]"
PEOPLE = f"from=<x@other.example> to=<{HI}> proto=ESMTP helo=<other>"


def digest(*lines: str) -> dict[str, Any]:
    """The fact that such lines of a log make."""
    return mailflow.digest(maillog.parse("\n".join(f"{AT} {line}" for line in lines)), NOW)


def refused(said: str, people: str = PEOPLE, verb: str = "RCPT") -> str:
    """What smtpd writes as it refuses somebody."""
    return f"postfix/smtpd[9]: NOQUEUE: reject: {verb} from other[192.0.2.9]: {said}; {people}"


def gave_back(said: str, sender: str = HI) -> tuple[str, ...]:
    """What a log holds of a message that came back."""
    return (
        f"postfix/qmgr[9]: 4F3A2B1: from=<{sender}>, size=900, nrcpt=1 (queue active)",
        (
            f"postfix/smtp[9]: 4F3A2B1: to=<you@stranger.example>, relay={RELAY}:587, delay=1, dsn=5.0.0, "
            f"status=bounced (host {RELAY} said: {said})"
        ),
        "postfix/qmgr[9]: 4F3A2B1: removed",
    )


def sent(signature: str = "") -> tuple[str, ...]:
    """What a log holds of a message that a user sent."""
    lines = (
        "opendkim[1]: OpenDKIM Filter v2.11.0 starting (args: -f)",
        f"postfix/submission/smtpd[9]: 4F3A2B1: client=x[192.0.2.9], sasl_method=PLAIN, sasl_username={HI}",
        signature,
        f"postfix/qmgr[9]: 4F3A2B1: from=<{HI}>, size=900, nrcpt=1 (queue active)",
        (
            f"postfix/smtp[9]: 4F3A2B1: to=<you@stranger.example>, relay={RELAY}:587, delay=1, dsn=2.0.0, "
            "status=sent (250 ok)"
        ),
    )
    return tuple(filter(None, lines))


def heard(*lines: str, published: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """The fact with what DNS says of the selectors in it."""
    told = maillog.last_sent(maillog.parse("\n".join(f"{AT} {line}" for line in lines)))
    seen = {
        each.domain: {
            "time": each.time,
            "heard": each.heard,
            "selectors": [selector for _, selector in each.signed],
            "published": published or {},
        }
        for each in told
    }
    return digest(*lines) | {"sent": seen}


WRONG = "dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 2 secs): "
HEALTHY: dict[str, Any] = {"log": digest()}
INSIDE: dict[str, Any] = {"bans": {}}  # what is seen of a server that lets us in
# Rule → the lines that show it; for every mail server.
LINES: dict[str, tuple[str, ...]] = {
    "bounced-other": gave_back("554 5.0.0 we feel like it"),
    "bounced-unknown-user": gave_back("550 5.1.1 <you@stranger.example>: Recipient address rejected: User unknown"),
    "forward-refused": gave_back("550 5.7.23 SPF check failed for other.example", "x@other.example"),
    "received-full": (
        refused("452 4.3.1 Insufficient system storage", "from=<x@other.example> proto=ESMTP helo=<other>", "MAIL"),
    ),
    "received-troubled": (refused(f"451 4.3.0 <{HI}>: Temporary lookup failure"),),
    "received-blind-list": (
        refused(
            "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org; Error: open "
            "resolver; https://check.spamhaus.org/returnc/pub/192.0.2.53/"
        ),
    ),
    "received-domain-unknown": (refused(f"554 5.7.1 <{HI}>: Relay access denied"),),
    "received-mailbox-unknown": (
        refused(f"550 5.1.1 <{HI}>: Recipient address rejected: User unknown in virtual mailbox table"),
    ),
    "received-sender-domain": (refused("450 4.1.8 <x@other.example>: Sender address rejected: Domain not found"),),
    "received-helo": (refused("504 5.5.2 <other>: Helo command rejected: need fully-qualified hostname"),),
    "received-listed": (
        (
            f"postfix/postscreen[9]: NOQUEUE: reject: RCPT from [192.0.2.9]:4711: 550 5.7.1 Service unavailable; "
            f"client [192.0.2.9] blocked using bl.spamcop.net; from=<x@other.example>, to=<{HI}>, proto=ESMTP"
        ),
    ),
    "received-greylisted": (refused(f"450 4.2.0 <{HI}>: Recipient address rejected: Greylisted"),),
    "received-unknown-user": (
        refused(
            "550 5.1.1 <typo@lantern.example>: Recipient address rejected: User unknown in virtual mailbox table",
            "from=<x@other.example> to=<typo@lantern.example> proto=ESMTP helo=<other>",
        ),
    ),
    "received-refused": (
        f"postfix/cleanup[9]: 4F3A2B1: milter-reject: END-OF-MESSAGE from other[192.0.2.9]: 5.7.1 Spam; {PEOPLE}",
    ),
    "sender-without-login": (
        refused(
            "554 5.7.1 <you@stranger.example>: Relay access denied",
            f"from=<{HI}> to=<you@stranger.example> proto=ESMTP helo=<laptop>",
        ),
    ),
    "client-login-refused": (f"{WRONG}user=<{HI}>, method=PLAIN, rip=192.0.2.9, lip=203.0.113.10, TLS",),
}
NOT_OWNED = refused(
    "553 5.7.1 <boss@lantern.example>: Sender address rejected: not owned by user hi@lantern.example",
    "from=<boss@lantern.example> to=<you@stranger.example> proto=ESMTP helo=<laptop>",
)
# What every server that is well writes all day, and stage 05 provokes.
USUAL = (
    refused(
        "550 5.1.1 <info@lantern.example>: Recipient address rejected: User unknown in virtual mailbox table",
        "from=<> to=<info@lantern.example> proto=ESMTP helo=<other>",
    ),
    refused("554 5.7.1 <a@example.org>: Relay access denied", f"from=<{HI}> to=<a@example.org> proto=ESMTP helo=<x>"),
    refused(
        "554 5.7.1 <example.org!a@lantern.example>: Relay access denied",
        "from=<a@example.net> to=<example.org!a@lantern.example> proto=ESMTP helo=<x>",
    ),
    *(
        line.replace("x@other", f"{rule}@other")
        for rule in ("received-sender-domain", "received-listed", "received-refused")
        for line in LINES[rule]
    ),
    *LINES["client-login-refused"],
    f"{WRONG}user=<root>, method=PLAIN, rip=192.0.2.9, lip=203.0.113.10, TLS",
    NOT_OWNED,
)
EVERYWHERE: dict[str, dict[str, Any]] = {rule: {"log": digest(*lines)} for rule, lines in LINES.items()} | {
    "dkim-sent-unsigned": {"log": heard(*sent())},
    "dkim-sent-otherwise": {
        "log": heard(
            *sent("opendkim[1]: 4F3A2B1: DKIM-Signature field added (s=old, d=lantern.example)"),
            published={"old": []},
        )
    },
    "queue-untried": {
        "queue": {"count": 800, "read": 800, "oldest": 86400, "held": 0, "untried": ["4F3A2B1"], "groups": []}
    },
    "queue-flood": {
        "queue": {"count": 90_000, "read": 8000, "oldest": 900, "held": 0, "senders": {HI: 7990}, "groups": []}
    },
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "sender-not-owned": {"log": digest(NOT_OWNED)},
    "gateway-banned": {"bans": {"dovecot": ["172.18.0.1"]}},
}
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {"client-banned": {"bans": {"dovecot": ["192.0.2.9"]}}}
