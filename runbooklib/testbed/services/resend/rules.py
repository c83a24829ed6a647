"""What Resend takes by SMTP, and what Amazon SES behind it makes of a message.

Texts and codes are those of shared reports where the documentation has none: whoever reads them goes by the words.
"""

from __future__ import annotations

import time
import uuid
from email.utils import formatdate, getaddresses

from provider.rules import LOGIN, Letter, Refusal, State, Taken, domain_of, noted

UNVERIFIED = "The {} domain is not verified. Please, add and verify your domain on https://resend.com/domains"
NOT_OURS = "Message rejected: Email address is not verified. The following identities failed the check: {}"
ONCE = "Resend-Idempotency-Key"  # a key that was used is answered as the first time, and nothing is sent again
FATES = {f"{fate}@resend.dev": fate for fate in ("delivered", "bounced", "complained", "suppressed")}  # for tests
REWRITTEN = "email.resend.example"  # right of the @ in every Message-ID


def login(state: State, name: str, password: str) -> str:
    """The id of the key that is the password; one made a moment ago works at once."""
    found = (key["id"] for key in state["keys"] if key["token"] == password)
    return next(found, "") if name == "resend" else ""


def sender(state: State, identity: str, address: str) -> Refusal | None:
    """MAIL FROM of a verified domain the key may send for; without a login only bounces come in."""
    if not identity:
        return Refusal(*LOGIN) if address else None
    if not address:
        return Refusal(501, "Invalid MAIL FROM address provided")
    quota = state.get("quota", {})
    if quota.get("used", 0) >= quota.get("daily", float("inf")):
        return Refusal(454, "Throttling failure: Daily message quota exceeded")
    return _refused(state, identity, domain_of(address))


def _refused(state: State, identity: str, domain: str) -> Refusal | None:
    known = state["domains"].get(domain, {})
    if known.get("status") != "verified":
        return Refusal(550, UNVERIFIED.format(domain))
    bound = next((key.get("domain_id") for key in state["keys"] if key["id"] == identity), None)
    if bound and bound != known["id"]:
        return Refusal(550, f"This API key is not authorized to send emails from {domain}")
    return None


def recipient(state: State, identity: str, address: str) -> Refusal | None:
    """Anybody for those who logged in; for others only the addresses bounces return to."""
    if identity or _bounced(state, address):
        return None
    return Refusal(550, "Requested action not taken: mailbox unavailable")


def content(state: State, letter: Letter) -> Refusal | None:
    """The author must be ours too, and no signature may stand twice."""
    if not letter.identity:
        return None
    authors = [address for _, address in getaddresses(letter.all("From"))]
    foreign = [address for address in authors if _refused(state, letter.identity, domain_of(address))]
    if foreign or not authors:
        return Refusal(554, NOT_OURS.format(", ".join(foreign)))
    if len(letter.all("DKIM-Signature")) > 1:
        return Refusal(554, "Transaction failed: Duplicate header 'DKIM-Signature'")
    return None


def take(state: State, letter: Letter) -> Taken:
    """Envelope sender, Message-ID and Date become the provider's; who is suppressed gets nothing, without a word."""
    if not letter.identity:
        return _bounce(state, letter)
    once, used = letter.first(ONCE), state.setdefault("idempotency", [])
    if once in used:
        return Taken("", letter.recipients)
    used += [once] * bool(once)
    domain = domain_of(letter.sender)
    unique = f"0100{int(time.time() * 1000):012x}-{uuid.uuid4()}-000000"
    fates = [_fate(state, address) for address in letter.recipients]
    dropped = tuple(address for address, fate in zip(letter.recipients, fates, strict=True) if fate)
    event = fates[0] if len(dropped) == len(letter.recipients) else "sent"
    message_id = f"<{unique}@{REWRITTEN}>"
    state["emails"].append(noted(letter, identity=str(uuid.uuid4()), message_id=message_id, event=event))
    for counter in {"used", "used_month"} & set(state.get("quota", {})):
        state["quota"][counter] += len(letter.recipients)  # each of them counts
    author = domain_of(getaddresses(letter.all("From"))[0][1])
    return_path = f"{state['domains'][domain].get('return_path', 'send')}.{domain}"
    headers = {"Message-ID": message_id, "Date": formatdate(usegmt=True), "Feedback-ID": f"::1.{author}:AmazonSES"}
    headers |= {ONCE: ""} if once else {}  # no recipient sees it
    return Taken(f"{unique}@{return_path}", dropped, headers, author)


def _fate(state: State, address: str) -> str:
    """What becomes of mail to an address that gets none: one of those for tests, or one that is suppressed."""
    local, _, domain = address.lower().partition("@")
    held = {held["email"].lower() for held in state["suppressions"]}
    return FATES.get(f"{local.partition('+')[0]}@{domain}", "suppressed" if address.lower() in held else "")


def _bounced(state: State, address: str) -> State | None:
    """The message a return address was made for."""
    unique = address.partition("@")[0]
    return next((email for email in state["emails"] if email.get("message_id") == f"<{unique}@{REWRITTEN}>"), None)


def _bounce(state: State, letter: Letter) -> Taken:
    """A bounce ends here: it is noted, and the author never sees it."""
    for address in letter.recipients:
        email = _bounced(state, address)
        if email:
            email["last_event"] = "bounced"
    return Taken("", letter.recipients)
