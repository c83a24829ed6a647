"""What waits and what came back beside other evidence: one cause is named once, and by the relay it is about."""

from __future__ import annotations

from typing import Any

import pytest
from shown_mailflow import HOST, LISTED, REPLIES, gave_back, group, waits
from test_diagnosis import SITE, names, seen

from runbooklib.diagnosis import Evidence, Fact, diagnose, symptoms

HI = "hi@lantern.example"
CALLOUT = (
    "550 5.1.1 <you@stranger.example>: Recipient address rejected: undeliverable address: host mx.stranger.example"
    "[198.51.100.6] said: 550 5.7.1 Refused by policy (in reply to RCPT TO command)"
)
BLOCKED = "554 5.7.1 Service unavailable; Client host [203.0.113.10] blocked using dnsbl.example"


def answers(said: str, code: int) -> dict[str, Any]:
    """What the relay says to whoever sends, with an address or without."""
    told = {"code": code, "said": said}
    return {"relay smarthost": {"state": "ok", "said": "took the login", "answers": {HI: told, "": told}}}


TOGETHER: dict[str, tuple[dict[str, Any], list[str]]] = {
    "the relay passes on what the recipient's server says": (
        answers(CALLOUT, 550) | gave_back(f"host {HOST} said: {CALLOUT}"),
        ["bounced-policy"],
    ),
    "the relay asks a list that holds our address": (answers(BLOCKED, 554) | LISTED, ["dnsbl-listed"]),
    "so it came back": (LISTED | gave_back(REPLIES["listed"]), ["dnsbl-listed"]),
    "another's address is listed": (gave_back(REPLIES["listed"]), ["bounced-listed"]),
    "the same words about what waits and what came back": (
        waits(REPLIES["limit"]) | gave_back(REPLIES["limit"]),
        ["queue-limit", "bounced-limit"],
    ),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_one_cause_is_named_once(case: str) -> None:
    changes, expected = TOGETHER[case]
    assert names(diagnose(seen(changes))) == [f"diagnosis.{cause}" for cause in expected]


def test_mail_that_leaves_directly_shows_a_listed_address_to_everybody() -> None:
    domain = seen({}).domains[0]
    direct = [domain | {"next_hop": "", "relay": "direct"}]
    evidence = Evidence(SITE | {"domains": direct}, {name: Fact(value) for name, value in LISTED.items()})
    assert [check.name for check in diagnose(evidence)][:1] == ["diagnosis.dnsbl-listed"]


def test_what_is_being_tried_again_was_answered_before() -> None:
    queue = {"queue": {"count": 1, "read": 1, "oldest": 9000, "held": 0, "untried": ["4F3A2B1"], "groups": []}}
    put_off = group("450 4.7.1 later", "deferred") | {"ids": ["4F3A2B1"]}
    assert not names(diagnose(seen(queue | {"log": {"lines": [], "groups": [put_off]}})))
    assert names(diagnose(seen(queue))) == ["diagnosis.queue-untried"]


ABOUT: dict[str, tuple[dict[str, str], str]] = {
    "a sender of ours": ({"relay": "none"}, "smarthost"),
    "a bounce of ours, by the relay it went to": ({"sender": ""}, "smarthost"),
    "a stranger's, forwarded by that relay": ({"sender": "other.example"}, "smarthost"),
    "a stranger's, for a mailbox here": (
        {"sender": "other.example", "relay": "mail.lantern.example[private/dovecot-lmtp]"},
        "stranger.example",
    ),
    "nobody knows": ({"sender": "other.example", "relay": ""}, ""),
}


@pytest.mark.parametrize("case", ABOUT)
def test_a_group_is_about_the_relay_by_which_such_mail_leaves(case: str) -> None:
    told, about = ABOUT[case]
    evidence = seen({"queue": {"groups": [group("451 later", "deferred", **told)]}})
    assert [sign.about for sign in symptoms.waiting("later")(evidence)] == [about]


def test_a_refusal_of_our_own_server_is_told_apart() -> None:
    evidence = seen({"log": {"lines": [], "groups": [group("452 4.2.2 Mailbox full", "rejected", sender="a.example")]}})
    assert [sign.said for sign in symptoms.rejected(r"4\.2\.2")(evidence)] == ["2 × 452 4.2.2 Mailbox full"]
    assert not list(symptoms.bounced(r"4\.2\.2")(evidence))
