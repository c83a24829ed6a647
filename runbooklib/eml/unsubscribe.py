"""List-Unsubscribe: right to be missing on personal mail, and of use only where it is well-formed and signed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from dkim.util import InvalidTagValueList, parse_tag_value

from runbooklib.eml.authentication import Authentication
from runbooklib.results import Check, Status

UNSUBSCRIBE, POST = "list-unsubscribe", "list-unsubscribe-post"
ONE_CLICK = "list-unsubscribe=one-click"  # RFC 8058 3.1
SIGNED = "one click, signed"
ADDRESSES = re.compile(r"<([^<>]*)>")
# What a list or a campaign says of itself; Feedback-ID is none, Amazon SES writes it on all that it relays.
CAMPAIGN = ("list-id", "x-campaign", "x-campaignid", "x-mailer-campaign", "x-csa-complaints")


def judge(proof: Authentication, about: str) -> Check:
    """Missing on personal mail, else what makes the button work that readers are shown."""
    name, ref = f"delivery.unsubscribe {about}", "RFC 8058 3.1"
    expected = "no List-Unsubscribe on personal mail; where there is one, with one click and signed"
    if not proof.mail.all(UNSUBSCRIBE):
        return _missing(proof, name, expected)
    seen, said = one_click(proof)
    status = Status.WARN if seen is Status.FAIL else seen
    fix = "write List-Unsubscribe: <https://...> and List-Unsubscribe-Post: List-Unsubscribe=One-Click, and sign both"
    return Check(name, status, expected, said, fix if said != SIGNED else "", ref, advisory=True)


def _missing(proof: Authentication, name: str, expected: str) -> Check:
    if not subscribed(proof):
        return Check(name, Status.PASS, expected, "none, and none is asked for", ref="RFC 8058 3.1")
    said = "it says it is a list's or a campaign's, and offers no way out of it"
    return Check(name, Status.WARN, expected, said, "add List-Unsubscribe and List-Unsubscribe-Post", "RFC 2369 3.2")


def subscribed(proof: Authentication) -> bool:
    """Whether the message says of itself that it goes to many who asked for it."""
    bulk = any(value.lower() in {"bulk", "list"} for value in proof.mail.all("precedence"))
    return bulk or any(proof.mail.all(name) for name in CAMPAIGN)


def one_click(proof: Authentication) -> tuple[Status, str]:
    """What Gmail and Yahoo ask of marketing; personal mail passes without."""
    if not proof.mail.all(UNSUBSCRIBE) and not subscribed(proof):
        return Status.PASS, "personal mail"
    wrong = list(problems(proof)) if proof.mail.all(UNSUBSCRIBE) else ["no List-Unsubscribe"]
    if wrong:
        return Status.FAIL, "; ".join(wrong)
    silent = _uncovered(proof, {Status.PASS})
    said = f"the signature that covers {silent} could not be verified: {proof.trouble}"
    return (Status.UNKNOWN, said) if silent else (Status.PASS, SIGNED)


def problems(proof: Authentication) -> Iterator[str]:
    """What keeps the button from working."""
    values = proof.mail.all(UNSUBSCRIBE)
    targets = [target.strip() for target in ADDRESSES.findall(values[0])]
    if len(values) > 1:
        yield f"{len(values)} List-Unsubscribe fields (RFC 2369 2)"
    if not targets:
        yield f"no address in angle brackets: {values[0][:60]!r} (RFC 2369 2)"
        return
    secure = [target for target in targets if _scheme(target) == "https"]
    yield from (f"an address nobody can use: {t[:60]!r}" for t in targets if _scheme(t) not in {"https", "mailto"})
    post = proof.mail.all(POST)
    if not post:
        yield "no List-Unsubscribe-Post, so it takes more than one click"
    elif post[0].replace(" ", "").lower() != ONE_CLICK:
        yield f"List-Unsubscribe-Post is {post[0][:60]!r}"
    if post and not secure:
        yield "one click needs an https address"
    if unsigned := _uncovered(proof, {Status.PASS, Status.UNKNOWN}):
        yield f"no valid DKIM signature covers {unsigned}"


def _scheme(target: str) -> str:
    try:
        return urlsplit(target).scheme.lower()
    except ValueError:
        return ""


def _uncovered(proof: Authentication, statuses: set[Status]) -> str:
    """Which of the two fields no signature that ended so covers (RFC 8058 4)."""
    signed = {name for s in proof.signatures if s.status in statuses for name in _covered(s.value)}
    return " and ".join(name for name in (UNSUBSCRIBE, POST) if proof.mail.all(name) and name not in signed)


def _covered(value: bytes) -> set[str]:
    try:
        tags = parse_tag_value(value)
    except InvalidTagValueList:
        return set()
    return {name.strip().decode("ascii", "replace").lower() for name in tags.get(b"h", b"").split(b":")}
