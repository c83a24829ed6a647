"""What params say of test messages: how many, to whom, and to whom never."""

from __future__ import annotations

from typing import Any

import pytest
from sites import given, make
from test_params import problems

from runbooklib.params import Site, load

REAL = {"server__hostname": "mail.lantern.dev", "domains__0__name": "lantern.example"}


def test_each_provider_s_allowance_is_known_and_can_be_told_otherwise() -> None:
    relay = {"provider": "resend", "password": "env:K"}
    assert make(relays__office=relay).relays["office"].allowance == "100/d"
    assert make(relays__office=relay | {"allowance": "50000/d"}).relays["office"].allowance == "50000/d"
    mxroute = {"provider": "mxroute", "host": "name.mxrouting.net"}
    assert make(relays__office=mxroute).relays["office"].allowance == "300/h"
    assert make().relays["office"].allowance is None


@pytest.mark.parametrize("allowance", ["100", "0/d", "100/w", "100 a day", "-1/h", "1.5/d"])
def test_an_allowance_is_recipients_an_hour_or_a_day(allowance: str) -> None:
    assert "300/h or 100/d" in problems(given(relays__office__allowance=allowance))["relays.office.allowance"]


def them(**told: Any) -> dict[str, Any]:
    return {"recipients": [{"address": "friend@lantern.dev"} | told]}


def test_a_recipient_s_address_outside_ascii_is_kept_in_its_one_form() -> None:
    decomposed = "ju\u0308rgen@bücher.dev"
    site: Site = make(test=them(smtputf8=decomposed))
    assert site.test.recipients[0].smtputf8 == "jürgen@xn--bcher-kva.dev"
    assert load(site.model_dump(mode="json", exclude_none=True)) == site


@pytest.mark.parametrize(
    "address",
    ["juergen@lantern.dev", "jürgen", "jür gen@lantern.dev", "j\u0085ü@lantern.dev", "ü" * 33 + "@lantern.dev"],
)
def test_what_is_no_address_outside_ascii_is_refused(address: str) -> None:
    assert "RFC 6531" in problems(given(test=them(smtputf8=address)))["test.recipients[0].smtputf8"]


@pytest.mark.parametrize(
    "address",
    ["a@example.com", "a@mail.example.net", "a@stranger.example", "a@x.test", "a@no.invalid", "a@x.localhost"],
)
def test_nobody_is_written_to_in_a_reserved_name(address: str) -> None:
    for test in ({"recipients": [{"address": address}]}, {"reflector": address}, them(smtputf8=f"ü{address}")):
        (said,) = problems(given(**REAL, test=test)).values()
        assert f"{address}: {address.partition('@')[2]} is reserved (RFC 2606)" in said


def test_a_rehearsal_writes_to_names_that_only_it_knows() -> None:
    assert make(test={"recipients": [{"address": "friend@stranger.example"}]}).test.recipients
    assert make(**REAL, test={"recipients": [{"address": "a@notexample.com"}]}).test.recipients


@pytest.mark.parametrize(("address", "taken"), [
    ("hi@lantern.example", True),
    ("hi+tag@lantern.example", True),
    ("sales@lantern.example", True),
    ("sales+tag@lantern.example", True),
    ("nobody@lantern.example", False),
    ("leaked@lantern.example", False),
])  # fmt: skip
def test_an_address_of_our_own_that_nobody_has_is_refused(address: str, taken: bool) -> None:
    for test in ({"recipients": [{"address": address}]}, {"reflector": address}):
        closed = {"domains__0__catch_all": None, "test": test}
        if taken:
            assert make(**closed).takes(address)
        else:
            assert "takes it" in next(iter(problems(given(**closed)).values()))
    assert make().takes(address) is (address != "leaked@lantern.example")  # the catch-all does


def test_nobody_gets_two_letters_that_are_one() -> None:
    twice = [{"address": "a@stranger.example"}, {"address": "A@Stranger.example"}]
    (said,) = problems(given(test={"recipients": twice})).values()
    assert "test.recipients[1].address: a@stranger.example stands in test.recipients[0].address already" in said
    assert make(test={"recipients": [{"address": "a@stranger.example"}, {"address": "b@stranger.example"}]})
