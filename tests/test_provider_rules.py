"""What the testbed's Resend and MXRoute answer in SMTP, rule by rule, and what their log tells them."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from doubles import SERVICES

AUTHOR, FRIEND, BOX = "hi@lantern.example", "friend@stranger.example", "no-reply@blog.lantern.example"
KEYS = [
    {"id": "any", "token": "re_any", "permission": "sending_access", "domain_id": None},
    {"id": "bound", "token": "re_bound", "permission": "sending_access", "domain_id": "d-pier"},
]
DOMAINS = {
    "lantern.example": {"id": "d-lantern", "status": "verified", "return_path": "send"},
    "pier.example": {"id": "d-pier", "status": "verified", "return_path": "out"},
    "new.example": {"id": "d-new", "status": "pending", "return_path": "send"},
}


@pytest.fixture(scope="module", autouse=True)
def _programs() -> Iterator[None]:
    """The containers' programs can be imported as they are there."""
    sys.path.insert(0, str(SERVICES))
    yield
    sys.path.remove(str(SERVICES))


def rules(name: str) -> ModuleType:
    return importlib.import_module(f"{name}.rules")


@pytest.fixture
def resend() -> dict[str, Any]:
    return {"keys": KEYS, "domains": DOMAINS, "emails": [], "suppressions": [], "quota": {"daily": 2, "used": 0}}


@pytest.fixture
def mxroute() -> dict[str, Any]:
    account = {"address": BOX, "password": "p:w d", "catch_all": False}
    return {"domains": {"blog.lantern.example": {"mail_hosting": True}}, "accounts": [account], "emails": []}


@pytest.mark.parametrize(
    ("name", "password", "identity"),
    [("resend", "re_any", "any"), ("resend", "re_bound", "bound"), ("resend", "re_an", ""), ("Resend", "re_any", "")],
)
def test_who_logs_in_at_resend_is_the_key(resend: dict[str, Any], name: str, password: str, identity: str) -> None:
    assert rules("resend").login(resend, name, password) == identity


@pytest.mark.parametrize(
    ("identity", "sender", "said"),
    [
        ("any", AUTHOR, ""),
        ("any", "HI@Lantern.Example", ""),
        ("any", "hi@new.example", "550 The new.example domain is not verified"),
        ("any", "hi@sub.lantern.example", "550 The sub.lantern.example domain is not verified"),
        ("any", "", "501 Invalid MAIL FROM address"),
        ("bound", "post@pier.example", ""),
        ("bound", AUTHOR, "550 This API key is not authorized to send emails from lantern.example"),
        ("", AUTHOR, "530 Authentication required"),
        ("", "", ""),
    ],
)
def test_whom_resend_lets_send(resend: dict[str, Any], identity: str, sender: str, said: str) -> None:
    assert answer(rules("resend").sender(resend, identity, sender)).startswith(said)
    assert bool(said) == bool(answer(rules("resend").sender(resend, identity, sender)))


def answer(refusal: Any) -> str:
    return f"{refusal.code} {refusal.text}" if refusal else ""


def letter(*headers: tuple[str, str], sender: str = AUTHOR, to: tuple[str, ...] = (FRIEND,), who: str = "any") -> Any:
    return importlib.import_module("provider.rules").Letter(who, sender, to, headers, "Q1")


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ([("From", AUTHOR)], ""),
        ([("From", f"Friend <{FRIEND}>")], f"554 Message rejected: Email address is not verified. {FRIEND}"),
        ([("From", f"{AUTHOR}, {FRIEND}")], f"554 Message rejected: Email address is not verified. {FRIEND}"),
        ([], "554 Message rejected: Email address is not verified. "),
        ([("From", AUTHOR), ("DKIM-Signature", "a")], ""),
        ([("From", AUTHOR), ("DKIM-Signature", "a"), ("dkim-signature", "b")], "554 Transaction failed: Duplicate"),
    ],
)
def test_what_resend_looks_at_in_a_message(resend: dict[str, Any], headers: list[tuple[str, str]], said: str) -> None:
    seen = answer(rules("resend").content(resend, letter(*headers)))
    assert bool(said) == bool(seen)
    assert seen.replace("The following identities failed the check: ", "").startswith(said)


def test_resend_counts_recipients_until_the_days_limit(resend: dict[str, Any]) -> None:
    rules("resend").take(resend, letter(("From", AUTHOR), to=(FRIEND, BOX)))
    assert answer(rules("resend").sender(resend, "any", AUTHOR)).startswith("454 Throttling failure")


def test_resend_sends_under_the_return_path_and_drops_who_is_suppressed(resend: dict[str, Any]) -> None:
    resend["suppressions"] = [{"email": FRIEND.upper()}]
    taken = rules("resend").take(
        resend, letter(("From", "post@pier.example"), sender="x@pier.example", to=(FRIEND, BOX))
    )
    assert taken.sender.endswith("@out.pier.example")
    assert taken.dropped == (FRIEND,)
    assert taken.signed_for == "pier.example"
    (email,) = resend["emails"]
    assert email["last_event"] == "sent"
    assert taken.headers["Message-ID"] == email["message_id"]
    assert rules("resend").recipient(resend, "", taken.sender) is None
    assert answer(rules("resend").recipient(resend, "", AUTHOR)).startswith("550")


def test_resend_takes_a_key_of_idempotency_once_and_shows_it_to_nobody(resend: dict[str, Any]) -> None:
    once = letter(("From", "post@pier.example"), ("Resend-Idempotency-Key", "run-1"), sender="x@pier.example")
    first, second = (rules("resend").take(resend, once) for _ in range(2))
    assert first.dropped == ()
    assert first.headers["Resend-Idempotency-Key"] == ""
    assert second.dropped == once.recipients
    assert len(resend["emails"]) == 1


@pytest.mark.parametrize(
    ("address", "event"),
    [
        ("bounced@resend.dev", "bounced"),
        ("Delivered+x@resend.dev", "delivered"),
        ("complained@resend.dev", "complained"),
    ],
)
def test_resend_has_addresses_whose_fate_is_known(resend: dict[str, Any], address: str, event: str) -> None:
    taken = rules("resend").take(resend, letter(("From", "post@pier.example"), sender="x@pier.example", to=(address,)))
    assert taken.dropped == (address,)
    assert [email["last_event"] for email in resend["emails"]] == [event]
    assert resend["suppressions"] == []


@pytest.mark.parametrize(
    ("name", "password", "identity"), [(BOX.upper(), "p:w d", BOX), (BOX, "p:w", ""), ("no-reply", "p:w d", "")]
)
def test_who_logs_in_at_mxroute_is_a_mailbox(mxroute: dict[str, Any], name: str, password: str, identity: str) -> None:
    assert rules("mxroute").login(mxroute, name, password) == identity


@pytest.mark.parametrize(
    ("sender", "catch_all", "said"),
    [
        (BOX, False, ""),
        ("", False, ""),
        ("post@blog.lantern.example", False, "550 Sender verify failed"),
        ("post@blog.lantern.example", True, ""),
        (AUTHOR, True, "550 You are not authorized to send from lantern.example"),
    ],
)
def test_whom_mxroute_lets_send(mxroute: dict[str, Any], sender: str, catch_all: bool, said: str) -> None:
    mxroute["accounts"][0]["catch_all"] = catch_all
    seen = answer(rules("mxroute").sender(mxroute, BOX, sender))
    assert bool(said) == bool(seen)
    assert seen.startswith(said)


@pytest.mark.parametrize(("hosting", "event"), [(True, "hosted here"), (False, "sent")])
def test_mxroute_keeps_mail_to_what_it_hosts(mxroute: dict[str, Any], hosting: bool, event: str) -> None:
    mxroute["domains"]["blog.lantern.example"]["mail_hosting"] = hosting
    taken = rules("mxroute").take(mxroute, letter(("From", FRIEND), sender=BOX, to=(BOX,), who=BOX))
    assert taken.dropped == ((BOX,) if hosting else ())
    assert mxroute["emails"][0]["last_event"] == event
    assert taken.signed_for == ""  # the author is not a customer
    assert mxroute["accounts"][0]["sent"] == 1


@pytest.mark.parametrize(
    ("status", "event", "suppressed"),
    [("sent", "delivered", []), ("deferred", "delivery_delayed", []), ("bounced", "bounced", [FRIEND])],
)
def test_outcomes_are_read_from_the_log(resend: dict[str, Any], status: str, event: str, suppressed: list[str]) -> None:
    outcomes = importlib.import_module("provider.outcomes")
    line = f"Nov 21 22:59:47 smtp postfix/smtp[174]: Q1: to=<{FRIEND}>, relay=mx, dsn=2.0.0, status={status} (250 ok)"
    rules("resend").take(resend, letter(("From", AUTHOR)))
    found = outcomes.LINE.search(line)
    outcomes.note(resend, found["queue"], found["to"], outcomes.EVENTS[found["status"]])
    assert resend["emails"][0]["last_event"] == event
    assert [held["email"] for held in resend["suppressions"]] == suppressed
