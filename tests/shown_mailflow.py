"""Evidence of queue, log, and what recipients answer: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

from runbooklib.diagnosis.pasted import pasted

ARRIVED = """Authentication-Results: mx.stranger.example; spf=pass smtp.mailfrom=hi@lantern.example;
\tdkim=pass header.d=lantern.example header.s=mail; dmarc=pass header.from=lantern.example
DKIM-Signature: v=1; a=rsa-sha256; d=lantern.example; s=mail; h=from; bh=x; b=y
From: Hi <hi@lantern.example>
To: you@stranger.example
Subject: hello

Hello.
"""
LISTING = "10.113.0.203.dnsbl.example"
HOST = "smtp.relay.example[198.51.100.5]"


def group(said: str, status: str, *, sender: str = "lantern.example", relay: str = f"{HOST}:587") -> dict[str, Any]:
    """Messages that the same words keep from getting through."""
    people = {"senders": [sender], "recipients": ["stranger.example"]}
    return {"said": said, "status": status, "count": 2, **people, "relay": relay}


def waits(said: str, **told: str) -> dict[str, Any]:
    return {"queue": {"count": 2, "oldest": 90, "held": 0, "groups": [group(said, "deferred", **told)]}}


def gave_back(said: str, **told: str) -> dict[str, Any]:
    return {"log": {"lines": [], "groups": [group(said, "bounced", **told)]}}


def paste(said: str, status: str, *, final: bool) -> dict[str, Any]:
    told = {"said": said, "status": status, "to": "you@stranger.example", "by": "mx.stranger.example", "final": final}
    return {"pasted": {"kind": "an answer", "told": [told]}}


REPLIES = {
    "mechanism": f"SASL authentication failed; server {HOST} offered no compatible "
    "authentication mechanisms for this type of connection security level",
    "login": f"SASL authentication failed; server {HOST} said: 535 5.7.8 Error",
    "no-login": f"host {HOST} said: 530 5.7.0 Authentication required",
    "not-verified": "host smtp said: 550 5.7.1 <hi@lantern.example>: The lantern.example domain is not verified.",
    "wrappermode": 'SMTPS wrappermode (TCP port 465) requires setting "smtp_tls_wrappermode = yes"',
    "tls": f"TLS is required, but was not offered by host {HOST}",
    "certificate": "Server certificate not verified",
    "port-25": "connect to mx.stranger.example[198.51.100.6]:25: Connection timed out",
    "unreachable": f"connect to {HOST}:587: Connection refused",
    "name": "Host or domain name not found. Name service error for name=smtp.relay.example type=A: Host not found",
    "policy": "host mx.stranger.example said: 550 5.7.26 Unauthenticated email is not accepted",
    "greylisted": f"host {HOST} said: 450 4.7.1 <friend@stranger.example>: Recipient address rejected: Greylisted, "
    "see https://postgrey.schweikert.ch/help/stranger.example.html (in reply to RCPT TO command)",
    "listed": f"host {HOST} said: 554 5.7.1 Service unavailable; Client host [203.0.113.10] blocked using "
    "dnsbl.example (in reply to RCPT TO command)",
    "oversized": f"message size 21000000 exceeds size limit 10240000 of server {HOST}",
    "limit": f"host {HOST} said: 451 4.7.1 Too many messages, slow down (in reply to MAIL FROM command)",
    "not-owned": f"host {HOST} said: 553 5.7.1 <hi@lantern.example>: Sender address rejected: not owned by user u",
}
HEALTHY: dict[str, Any] = {
    "queue": {"count": 0, "oldest": 0, "held": 0, "groups": []},
    "log": {"lines": [], "groups": []},
    f"blocklist {LISTING}": {"address": "203.0.113.10", "list": "dnsbl.example", "codes": []},
}
LISTED = {f"blocklist {LISTING}": {"address": "203.0.113.10", "list": "dnsbl.example", "codes": ["127.0.0.2"]}}
# Rule → the facts that differ; for every mail server, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {
    **{f"queue-{name}": waits(said) for name, said in REPLIES.items()},
    **{f"bounced-{name}": gave_back(said) for name, said in REPLIES.items()},
    "dnsbl-listed-unseen": LISTED,
    "pasted-refused": paste("550 5.7.1 Refused by policy", "5.7.1", final=True),
    "pasted-put-off": paste("450 4.2.0 Greylisted", "4.2.0", final=False),
    "pasted-unauthentic": {"pasted": pasted(ARRIVED.replace("dkim=pass", "dkim=fail"))},
    "pasted-unread": {"pasted": {"kind": "", "told": []}},
    "dnsbl-listed": LISTED | gave_back(REPLIES["listed"]) | waits(REPLIES["listed"]),
    "queue-unknown-user": waits(f"host {HOST} said: 450 4.1.1 <you@stranger.example>: unverified address"),
    "queue-other": waits(f"host {HOST} said: 451 4.3.0 Temporary lookup failure (in reply to RCPT TO command)"),
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {}
