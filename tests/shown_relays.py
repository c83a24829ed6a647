"""Evidence of relays: name, port, TLS, login, what they refuse: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

from shown_mailflow import REPLIES, gave_back, waits

HOP, OTHER = "[smtp.relay.example]:587", "[smtp.other.example]:587"
HI, ADA = "hi@lantern.example", "ada@lantern.example"
TAKEN = {"code": 250, "said": "250 2.1.5 Ok"}
OK = {"state": "ok", "said": "took the login", "answers": {HI: TAKEN, "": TAKEN}}
VERIFIED = {"status": "verified", "trusted": True, "missing": []}
KNOWN = {"state": "ok", "said": "answers", "domains": {"lantern.example": VERIFIED}, "suppressed": [], "used": {}}
WAY = {"hop": HOP, "line": True, "implicit": False, "login": "same"}

HEALTHY: dict[str, Any] = {
    "relay smarthost": OK,
    "provider smarthost": KNOWN,
    "sending": {"lantern.example": WAY, "<>": {"hop": HOP, "line": True, "implicit": False, "login": "same"}},
}


def relay(state: str) -> dict[str, Any]:
    return {"relay smarthost": {"state": state, "said": "smtp.relay.example:587"}}


def answers(code: int, words: str, sender: str = HI) -> dict[str, Any]:
    said = {"code": code, "said": f"MAIL FROM:<{sender}>: {code} {words}"}
    return {"relay smarthost": OK | {"answers": {HI: TAKEN, "": TAKEN, sender: said}}}


def provider(**told: Any) -> dict[str, Any]:
    return {"provider smarthost": KNOWN | told}


def way(**told: Any) -> dict[str, Any]:
    return {"sending": HEALTHY["sending"] | {"lantern.example": WAY | told}}


def asks_first(first: tuple[int, str], last: tuple[int, str]) -> dict[str, Any]:
    """A relay that asks the recipient's server before it answers: what it says at first, and to the last sender."""
    of_one, of_none = ({"code": c, "said": f"RCPT TO:<you@stranger.example>: {c} {w}"} for c, w in (first, last))
    return {"relay smarthost": OK | {"answers": {HI: of_one, "": of_none}}}


VERIFYING = 450, "4.1.1 Recipient address rejected: unverified address: Address verification in progress"
REFUSED_THERE = "5.1.1 Recipient address rejected: undeliverable address: host mx[{}] said: 550 5.7.1 Refused by policy"
V4, V6 = (550, REFUSED_THERE.format("192.0.2.7")), (550, REFUSED_THERE.format("2001:db8::7"))
UNVERIFIED = answers(550, "The lantern.example domain is not verified. Please, add and verify your domain")
FAILED = {"status": "failed", "trusted": False, "missing": ["TXT send.lantern.example: failed"]}
ABSENT = {"status": "absent", "trusted": False, "missing": []}
SUPPRESSED = {"address": "you@stranger.example", "origin": "complaint", "since": "2026-11-20"}

# Rule → the facts that differ; for every mail server, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {
    "relay-name": relay("name"),
    "relay-name-unanswered": relay("unanswered"),
    "relay-unreachable": relay("unreachable"),
    "relay-greeting": relay("greeting"),
    "relay-tls": relay("tls"),
    "relay-certificate": relay("certificate"),
    "relay-login": relay("login"),
    "relay-domain-unknown": provider(domains={"lantern.example": ABSENT}) | UNVERIFIED,
    "relay-domain-unverified": provider(domains={"lantern.example": FAILED}) | UNVERIFIED,
    "relay-sender-not-owned": answers(553, "5.7.1 Sender address rejected: not owned by user u", ADA),
    "relay-rate-limit": answers(450, "4.7.1 Error: too much mail from 203.0.113.10"),
    "relay-refuses": answers(554, "5.7.1 No thanks"),
    "recipient-suppressed": provider(suppressed=[SUPPRESSED]),
    "provider-key-refused": {"provider smarthost": {"state": "key", "said": "GET /domains: HTTP 403 invalid_api_key"}},
    "relay-route": {"routes": {"lantern.example": OTHER}},
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {}
# Where Postfix's own tables can be read; mailcow's are asked in its own way.
ON_A_HOST_OR_IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "relay-not-assigned": way(line=False, hop=OTHER, login="none") | {"routes": {"lantern.example": OTHER}},
    "relay-implicit-tls": way(hop="[smtp.relay.example]:465", login="none")
    | {"routes": {"lantern.example": "[smtp.relay.example]:465"}},
    "relay-login-differs": way(login="another"),
    "relay-login-missing": way(login="none"),
    "null-sender-refused": answers(501, "Invalid MAIL FROM address provided", ""),
}
# Where one thing breaks several facts, or another takes its words away: the facts, and all that is named.
TOGETHER: dict[str, tuple[dict[str, Any], list[str]]] = {
    "by SMTP alone": (UNVERIFIED, ["relay-domain-unverified"]),
    "by its API alone": (provider(domains={"lantern.example": FAILED}), ["relay-domain-unverified"]),
    "a key of another domain": (
        answers(550, "This API key is not authorized to send emails from lantern.example"),
        ["relay-sender-not-owned"],
    ),
    "the day's messages are sent": (provider(used={"today": 100}), ["relay-rate-limit"]),
    "a plan whose limit nobody tells": (provider(used={"this month": 3000}), []),
    "a recipient refused by name": (answers(550, "5.1.1 is on your suppression list"), ["recipient-suppressed"]),
    "refused by the recipient's server, which the relay asks": (asks_first(VERIFYING, (550, "5.7.1 Refused")), []),
    "and asks again, over the other family": (asks_first(V4, V6), []),
    "put off in other words": (answers(451, "4.3.0 Try again later"), []),
    "a login wanted": (answers(530, "5.7.0 Authentication required"), ["relay-login"]),
    "the relay refuses the login of params, and the server has another": (
        relay("login") | way(login="another"),
        ["relay-login"],
    ),
    "implicit TLS where params say so": (
        way(hop="[smtp.relay.example]:465", implicit=True)
        | {"routes": {"lantern.example": "[smtp.relay.example]:465"}},
        ["relay-route"],
    ),
    "TLS at once at a port of STARTTLS": (way(implicit=True), ["relay-implicit-tls"]),
    "another relay, with its own login": (
        way(hop=OTHER, login="another") | {"routes": {"lantern.example": OTHER}},
        ["relay-route"],
    ),
    "mail waits for the login": (relay("login") | waits(REPLIES["login"]), ["relay-login"]),
    "mail waits for the same relay in other words": (relay("certificate") | waits("timed out"), ["relay-certificate"]),
    "a mailbox still to be made logs in nowhere": (
        provider(domains={"lantern.example": ABSENT}) | relay("login"),
        ["relay-domain-unknown"],
    ),
    "mail came back": (UNVERIFIED | gave_back(REPLIES["not-verified"]), ["relay-domain-unverified"]),
    "mail came back from another domain's relay": (
        way(line=False, hop=OTHER, login="none")
        | {"routes": {"lantern.example": OTHER}}
        | gave_back(REPLIES["not-verified"]),
        ["relay-not-assigned"],
    ),
    "mail of a login for one mailbox came back": (
        answers(553, "5.7.1 Sender address rejected: not owned by user u", ADA)
        | gave_back("553 5.7.1 Sender address rejected: not owned by user u"),
        ["relay-sender-not-owned"],
    ),
    "no mail may be sent today": (
        answers(454, "Throttling failure: Daily message quota exceeded") | waits("454 Daily message quota exceeded"),
        ["relay-rate-limit"],
    ),
    "mail without a sender is put off": (answers(451, "4.7.1 Try again later", ""), []),
}
