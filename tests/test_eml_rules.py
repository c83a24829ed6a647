"""What the big receivers ask of senders: each rule is kept by a good message and broken by the matching bad one."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import dkim
import pytest
from letters import ADDRESSES, POINTERS, TAKEN, TEXTS, Out, Zone, key, zone
from proofs import proof, row, with_field

from runbooklib.answers import Answer, Question, Word
from runbooklib.eml import Authentication, rules, unsubscribe
from runbooklib.eml.reverse import Reverse, confirm
from runbooklib.eml.rules import BULK, GMAIL, OUTLOOK, RULES, YAHOO
from runbooklib.results import Check, Status

PASS, WARN, FAIL, UNKNOWN = Status.PASS, Status.WARN, Status.FAIL, Status.UNKNOWN


def judged(told: Authentication) -> list[Check]:
    return rules.judge(told, "x")


def broken(told: Authentication) -> dict[str, Status]:
    """The rules that stand alone."""
    return {c.name.split()[0].removeprefix("delivery.rules."): c.status for c in judged(told) if c.status is not PASS}


def test_a_good_message_keeps_every_rule() -> None:
    found = judged(proof())
    assert broken(proof()) == {}
    assert [c.name for c in found] == [
        f"delivery.rules.{name} x" for name in ("gmail", "gmail-bulk", "yahoo", "yahoo-bulk", "microsoft-bulk")
    ]
    assert row(found, "rules.gmail").observed == "authenticated; ptr; tls; format; own-from"


def test_what_binds_above_5000_a_day_is_marked_and_what_no_message_shows_is_named() -> None:
    for check in judged(proof()):
        assert ("-bulk" in check.name) == check.expected.startswith(BULK)
        assert "not seen here: " in check.expected
        assert check.ref.startswith("https://")


def test_every_rule_binds_somebody_and_says_what_to_do() -> None:
    assert all((rule.everybody or rule.bulk) and rule.text and rule.fix for rule in RULES)
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert not rules.everybody(OUTLOOK)
    assert all(rules.above(receiver) for receiver in (GMAIL, YAHOO, OUTLOOK))


NO_POLICY = zone(_dmarc=None)
CLEAR = re.sub(r" \(using.*\n", "", TAKEN.replace("ESMTPS", "ESMTP"))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (proof(Out(selectors=()), zone(lantern="v=spf1 -all")), {
            "gmail.authenticated": FAIL, "yahoo.authenticated": FAIL,
            "gmail-bulk.spf-and-dkim": WARN, "yahoo-bulk.spf-and-dkim": WARN, "microsoft-bulk.spf-and-dkim": WARN,
            "gmail-bulk.aligned": WARN, "yahoo-bulk.aligned": WARN, "microsoft-bulk.aligned": WARN,
        }),
        (proof(Out(selectors=())), {
            "gmail-bulk.spf-and-dkim": WARN, "yahoo-bulk.spf-and-dkim": WARN, "microsoft-bulk.spf-and-dkim": WARN,
        }),
        (proof(look=NO_POLICY), {
            "gmail-bulk.dmarc": WARN, "yahoo-bulk.dmarc": WARN, "microsoft-bulk.dmarc": WARN,
        }),
        (replace(proof(), reverse=Reverse("198.51.100.5")), {"gmail.ptr": FAIL, "yahoo.ptr": FAIL}),
        (replace(proof(), reverse=Reverse("198.51.100.5", ("a.example",))), {"gmail.ptr": FAIL, "yahoo.ptr": FAIL}),
        (replace(proof(), reverse=Reverse("198.51.100.5", silent="PTR: timeout")), {
            "gmail.ptr": UNKNOWN, "yahoo.ptr": UNKNOWN,
        }),
        (replace(proof(), reverse=None), {"gmail.ptr": UNKNOWN, "yahoo.ptr": UNKNOWN}),
        (proof(Out(taken=CLEAR)), {"gmail.tls": WARN}),
        (proof(Out(ident="")), {"gmail.format": FAIL, "yahoo.format": FAIL}),
        (proof(Out(sender="From: hi@gmail.com")), {
            "gmail.own-from": FAIL, "gmail-bulk.dmarc": WARN, "yahoo-bulk.dmarc": WARN, "microsoft-bulk.dmarc": WARN,
            "gmail-bulk.aligned": WARN, "yahoo-bulk.aligned": WARN, "microsoft-bulk.aligned": WARN,
        }),
        (proof(with_field("Precedence: bulk")), {"gmail-bulk.one-click": WARN, "yahoo-bulk.one-click": WARN}),
        (proof(with_field("List-Unsubscribe: <mailto:x@lantern.example>")), {
            "gmail-bulk.one-click": WARN, "yahoo-bulk.one-click": WARN,
        }),
    ],
    ids=["nothing passes", "no signature", "no DMARC", "no PTR", "a PTR that does not lead back", "a silent PTR",
         "no client", "no TLS", "form", "Gmail's name", "a campaign", "an unsubscribe of two clicks"],
)  # fmt: skip
def test_each_rule_turns_on_the_matching_message(told: Authentication, expected: dict[str, Status]) -> None:
    assert broken(told) == expected


def test_what_is_not_known_is_never_broken() -> None:
    found = broken(proof(look=Zone(TEXTS, ("*",))))
    assert set(found.values()) == {UNKNOWN}
    assert {"gmail.authenticated", "gmail.ptr", "gmail-bulk.dmarc", "gmail-bulk.aligned"} <= set(found)
    assert all(c.advisory for c in judged(proof(look=Zone(TEXTS, ("*",)))) if c.status is UNKNOWN)


def test_whether_gmail_sent_it_is_not_known_without_dns() -> None:
    told = proof(Out(sender="From: hi@gmail.com"), Zone(TEXTS, ("*",)))
    assert broken(told)["gmail.own-from"] is UNKNOWN


def test_a_message_without_a_border_is_not_judged_by_its_client() -> None:
    found = broken(proof(b"From: hi@lantern.example\r\nMessage-ID: <1@a.example>\r\nDate: " + DATED))
    assert (found["gmail.ptr"], found["gmail.tls"], found["gmail.authenticated"]) == (UNKNOWN, UNKNOWN, UNKNOWN)


DATED = b"Sat, 21 Nov 2026 20:16:13 +0000\r\nTo: a@a.example\r\n\r\nx\r\n"

# FCrDNS


def reverse(look: Zone, address: str = "198.51.100.5") -> Reverse:
    return asyncio.run(confirm(look, address))


def test_a_name_that_leads_back_is_confirmed() -> None:
    found = reverse(zone())
    assert (found.confirmed, str(found)) == (("smtp.example.net",), "198.51.100.5 is smtp.example.net")


class Other(Zone):
    """The pointer's name leads elsewhere."""

    async def __call__(self, name: str, kind: str) -> Answer:
        if kind == "A":
            return Answer(Question(name, kind), "192.0.2.53", Word.NOERROR, values=("192.0.2.1",))
        return await super().__call__(name, kind)


@pytest.mark.parametrize(
    ("look", "known", "said"),
    [
        (Zone(TEXTS, ("in-addr.arpa",)), False, "no answer: 5.100.51.198.in-addr.arpa PTR: TIMEOUT"),
        (Zone(TEXTS, ("smtp.example.net",)), False, "no answer: smtp.example.net A: TIMEOUT"),
        (Other(TEXTS), True, "198.51.100.5 is smtp.example.net, which does not lead back to it"),
    ],
)
def test_what_is_not_confirmed(look: Zone, known: bool, said: str) -> None:
    found = reverse(look)
    assert (found.known, found.confirmed, str(found)) == (known, (), said)


@pytest.mark.parametrize("address", ["192.0.2.9", "2001:db8::9"])
def test_an_address_without_a_name(address: str) -> None:
    assert str(reverse(zone(), address)) == f"{address} has no PTR record"
    assert POINTERS.keys().isdisjoint({address})
    assert address not in ADDRESSES.values()


# List-Unsubscribe

HTTPS = "List-Unsubscribe: <https://lantern.example/u/1>, <mailto:u@lantern.example>"
POST = "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


def signed(*lines: str, covered: bool = True, look: Zone | None = None) -> Authentication:
    """A message whose signature covers these fields, or not."""
    head = [*lines, "From: hi@lantern.example", "Subject: news", "", "Hello", ""]
    letter = "\r\n".join(head).encode()
    names = [b"from", *(line.partition(":")[0].lower().encode() for line in lines if covered)]
    signature = dkim.sign(letter, b"mail", b"lantern.example", key()[0], include_headers=names)
    return proof(signature + letter, look)


def test_personal_mail_needs_no_way_out() -> None:
    found = unsubscribe.judge(proof(), "x")
    assert (found.status, found.observed) == (PASS, "none, and none is asked for")


def test_one_click_that_is_signed_passes() -> None:
    found = unsubscribe.judge(signed(HTTPS, POST), "x")
    assert (found.status, found.observed) == (PASS, "one click, signed")


def test_a_signature_that_cannot_be_verified_leaves_it_open() -> None:
    told = signed(HTTPS, POST, look=Zone(TEXTS, ("_domainkey",)))
    found = unsubscribe.judge(told, "x")
    assert (found.status, found.advisory) == (UNKNOWN, True)
    assert broken(told)["gmail-bulk.one-click"] is UNKNOWN


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (proof(with_field("List-Id: <news.lantern.example>")), "offers no way out of it"),
        (proof(with_field("Precedence: list")), "offers no way out of it"),
        (signed(HTTPS), "no List-Unsubscribe-Post"),
        (signed(HTTPS, "List-Unsubscribe-Post: yes"), "List-Unsubscribe-Post is 'yes'"),
        (signed(HTTPS, POST, covered=False), "no valid DKIM signature covers list-unsubscribe and list-"),
        (signed("List-Unsubscribe: https://lantern.example/u", POST), "no address in angle brackets"),
        (signed("List-Unsubscribe: <mailto:u@lantern.example>", POST), "one click needs an https address"),
        (signed("List-Unsubscribe: <http://lantern.example/u>", POST), "an address nobody can use"),
        (signed(HTTPS, HTTPS, POST), "2 List-Unsubscribe fields"),
    ],
)
def test_a_button_that_does_not_work(told: Authentication, said: str) -> None:
    found = unsubscribe.judge(told, "x")
    assert found.status is WARN
    assert said in found.observed
    assert found.fix
