"""What a run would send: each letter once, under a name and number that the next run finds again."""

from __future__ import annotations

from typing import Any

import pytest
from test_delivery import FRIEND, TEST, site

from runbooklib.delivery import messages, planning
from runbooklib.delivery.messages import Form, Letter, Letters, Route
from runbooklib.params import Site

RUN = "20261121T201613Z"
REHEARSED = {"host": "198.18.0.10", "hostname": "mail.lantern.example", "ipv4": "198.18.0.10"}
RESEND = {"provider": "resend", "password": "env:K"}
HI, SALES, THEM = "hi@lantern.example", "sales@lantern.example", "friend@stranger.example"


def test_a_letter_s_number_follows_from_its_name_alone() -> None:
    first, second = (planning.plan(site(), run) for run in (RUN, "20261122T101500Z"))
    assert [a.number for a in first] == [b.number for b in second]
    assert len({a.number for a in first}) == len(first)
    assert {len(str(a.number)) for a in first} == {messages.DIGITS}


def test_fewer_messages_are_the_same_messages() -> None:
    plan = planning.plan(site(), RUN)
    few = plan.only(lambda letter: letter.route is Route.OUTBOUND)
    assert (few.run, few.marker, few.questions) == (plan.run, plan.marker, ())
    assert few.letters == plan.letters[:1]


def of(plan: Letters, *routes: Route) -> list[Letter]:
    return [letter for letter in plan if letter.route in routes]


def rehearsed(**changes: Any) -> Letters:
    return planning.plan(site(**({"server": REHEARSED} | changes)), RUN)


def test_the_testbed_s_stranger_gets_every_form_by_both_ports() -> None:
    wide = "jürgen@stranger.example"
    letters = of(rehearsed(test=TEST | {"recipients": [FRIEND | {"smtputf8": wide}]}), Route.OUTBOUND)
    assert {(a.form, a.port) for a in letters} == {(form, port) for form in Form for port in (587, 465)}
    assert len(letters) == len({a.number for a in letters}) == 14
    assert {a.form: (a.sender, a.submitter, a.recipient) for a in letters} == {
        Form.PLAIN: (HI, HI, THEM),
        Form.HTML: (HI, HI, THEM),
        Form.ATTACHMENT: (HI, HI, THEM),
        Form.NON_ASCII: (HI, HI, THEM),
        Form.SMTPUTF8: (HI, HI, wide),
        Form.SUB_ADDRESS: ("hi+runbook@lantern.example", HI, THEM),
        Form.ALIAS: (SALES, HI, THEM),
    }
    assert {a.lands for a in letters} == {THEM}
    assert [a.name for a in letters if a.answered_in] == [f"outbound lantern.example {THEM}"]


def test_a_form_that_params_do_not_make_possible_is_left_out_and_said() -> None:
    plan = rehearsed(domains__0__aliases={})
    assert {a.form for a in of(plan, Route.OUTBOUND)} == set(Form) - {Form.ALIAS, Form.SMTPUTF8}
    assert "no recipient has one; name it as smtputf8" in str(plan)


def test_a_real_recipient_gets_one_message_a_domain_and_run() -> None:
    real = FRIEND | {"address": "friend@lantern.dev"}
    for changes in ({}, {"server": REHEARSED}):
        plan = planning.plan(site(test=TEST | {"recipients": [real]}, **changes), RUN)
        (letter,) = of(plan, Route.OUTBOUND)
        assert (letter.form, letter.port, letter.recipient) == (Form.PLAIN, 587, "friend@lantern.dev")
        assert "friend@lantern.dev gets one message a domain and run, by 587; at 465 a login is tried" in str(plan)
    whole = planning.plan(site(test=TEST | {"recipients": [real], "matrix": True}), RUN)
    assert len(of(whole, Route.OUTBOUND)) == 12
    assert "gets one message" not in str(whole)


def test_the_testbed_s_names_are_nobody_s_outside_of_it() -> None:
    assert len(of(planning.plan(site(), RUN), Route.OUTBOUND)) == 1


@pytest.mark.parametrize(
    ("changes", "recipient"),
    [
        ({"server": REHEARSED}, "nobody@stranger.example"),
        ({"server": REHEARSED, "relays__office": RESEND}, "bounced@resend.dev"),
        ({"relays__office": RESEND}, "bounced@resend.dev"),
        ({}, ""),
        ({"domains__0__relay": "direct"}, ""),
        ({"server": REHEARSED, "test": TEST | {"recipients": [FRIEND | {"address": "a@lantern.dev"}]}}, ""),
    ],
)
def test_bounces_are_proved_only_with_addresses_that_are_meant_to(changes: dict[str, Any], recipient: str) -> None:
    plan = planning.plan(site(**changes), RUN)
    assert [a.recipient for a in of(plan, Route.BOUNCE)] == [recipient] * bool(recipient)
    said = [c for c in plan.missing if c.name == "delivery.bounce lantern.example"]
    assert [c.advisory for c in said] == [True] * (not recipient)


def boxes(*names: str) -> list[dict[str, str]]:
    return [{"address": f"{name}@lantern.example", "password": "env:P"} for name in names]


def test_from_outside_to_each_address_that_somebody_has_and_to_one_that_nobody_has() -> None:
    aliases = {SALES: ["ada@lantern.example", HI], "away@lantern.example": "x@lantern.dev"}
    plan = planning.plan(site(domains__0__mailboxes=boxes("hi", "ada"), domains__0__aliases=aliases), RUN)
    assert [(a.recipient, a.lands) for a in of(plan, Route.INBOUND, Route.CATCH_ALL)] == [
        (HI, HI),
        ("ada@lantern.example", "ada@lantern.example"),
        (SALES, "ada@lantern.example"),
        ("hi+runbook@lantern.example", HI),
        ("probe-20261121t201613z@lantern.example", HI),
    ]
    assert "away@lantern.example leads out of this site" in str(plan)


def test_a_stranger_s_login_is_used_for_ten_addresses_at_most() -> None:
    plan = planning.plan(site(domains__0__mailboxes=boxes("hi", *(f"u{i}" for i in range(11)))), RUN)
    assert len(of(plan, Route.INBOUND)) == 11  # the sub-address among them
    assert "3 more mailboxes and aliases from outside" in str(plan)


def test_the_messages_about_the_same_are_one_row_and_what_they_cost_is_the_first() -> None:
    first, second = rehearsed(relays__office__allowance="1000/d").table().rows[:2]
    assert first[0] == "counted"
    assert first[3].startswith("14 recipients, 1.4 % of its allowance of 1000 a day")
    assert second[:3] == ("outbound", f"{HI}, hi+runbook@lantern.example, {SALES}", THEM)
    assert second[3].startswith(
        "12 messages: plain, html, attachment, non-ascii, sub-address, alias through 587 and 465"
    )


def where(account: messages.Account) -> tuple[int, str, str]:
    return account.endpoint.port, account.endpoint.tls, account.username


def test_each_letter_is_submitted_by_its_port_and_login() -> None:
    here: Site = site(server=REHEARSED)
    submitted = [a for a in planning.plan(here, RUN) if a.route not in {Route.DIRECT, Route.FORGED}]
    posts = {a.name: where(messages.post(here, a)) for a in submitted}
    out = f"outbound lantern.example {THEM}"
    assert posts[out] == (587, "starttls", HI)
    assert posts[f"{out} alias 587"] == (587, "starttls", HI)
    assert posts[f"{out} sub-address 465"] == (465, "implicit", HI)
    assert posts[f"inbound {HI}"] == (587, "starttls", "friend")


@pytest.mark.parametrize(
    ("aliases", "sender"), [({"a@bare.example": "hi@lantern.example"}, "a@bare.example"), ({}, "")]
)
def test_a_domain_without_a_mailbox_sends_as_its_alias_or_is_named_as_untested(
    aliases: dict[str, str], sender: str
) -> None:
    here = site()
    bare = here.domains[0].model_dump(mode="json") | {"name": "bare.example", "mailboxes": [], "aliases": aliases}
    own = here.domains[0].model_dump(mode="json")
    plan = planning.plan(site(domains=[own, bare | {"refuse": [], "catch_all": None}]))
    sent = [a for a in of(plan, Route.OUTBOUND) if a.domain == "bare.example"]
    assert [(a.sender, a.submitter, a.form) for a in sent] == [(sender, "hi@lantern.example", Form.ALIAS)] * bool(
        sender
    )
    assert ("delivery.outbound bare.example" in {c.name for c in plan.missing}) is (not sender)
