"""Stage 05's table stays short: what passes of one message in many forms is one row, what does not stands alone."""

from __future__ import annotations

import pytest

from runbooklib.delivery.folding import fold
from runbooklib.delivery.messages import Form, Letter, Route
from runbooklib.results import Check, Status, judged

TO = "friend@stranger.example"
NAME = f"outbound lantern.example {TO}"


def letter(form: Form = Form.PLAIN, port: int = 587, door: str = "") -> Letter:
    route, to = (Route.DIRECT, "hi@lantern.example") if door else (Route.OUTBOUND, TO)
    return Letter(1, route, "lantern.example", "hi@lantern.example", to, form=form, port=port, door=door)


def row(of: Letter, observed: str, *, ok: bool = True, what: str = "arrived", about: str = "") -> tuple[Letter, Check]:
    name = " ".join(filter(None, [f"delivery.{what}", of.name, about]))
    return of, judged(name, ok, "expected", observed, "mend it")


PLAIN, HTML, LATE = letter(), letter(Form.HTML), letter(port=465)


def test_what_passes_alike_is_one_row_under_the_name_of_the_plain_message() -> None:
    (one,) = fold([row(HTML, "it does"), row(PLAIN, "it does"), row(LATE, "it does")])
    assert (one.name, one.status, one.observed) == (f"delivery.arrived {NAME}", Status.PASS, "3 messages: it does")


def test_a_single_message_keeps_its_row_as_it_is() -> None:
    rows = [row(PLAIN, "after 1.2 s"), row(letter(door="IPv4"), "after 1.2 s")]
    assert fold(rows) == [check for _, check in rows]


def test_what_does_not_pass_stands_alone_under_its_full_name() -> None:
    found = fold([row(PLAIN, "yes"), row(HTML, "no", ok=False), row(LATE, "yes")])
    assert [(c.name, c.status) for c in found] == [
        (f"delivery.arrived {NAME}", Status.PASS),
        (f"delivery.arrived {NAME} html 587", Status.FAIL),
    ]
    assert found[1].fix == "mend it"


def test_what_is_wrong_alike_is_one_row_and_what_is_wrong_otherwise_another() -> None:
    found = fold([row(HTML, "no", ok=False), row(LATE, "no", ok=False), row(PLAIN, "never", ok=False)])
    assert [(c.name.removeprefix(f"delivery.arrived {NAME}"), c.observed) for c in found] == [
        (" html 587", "2 messages: no"),
        ("", "never"),
    ]


def test_where_the_plain_message_fails_the_others_take_no_name_of_its() -> None:
    found = fold([row(PLAIN, "no", ok=False), row(HTML, "yes"), row(LATE, "yes")])
    assert [c.name for c in found] == [f"delivery.arrived {NAME}", f"delivery.arrived {NAME} html 587"]
    assert [c.status for c in found] == [Status.FAIL, Status.PASS]
    assert len({c.name for c in found}) == len(found)


def test_doors_without_a_plain_message_fold_under_what_they_are_about() -> None:
    (one,) = fold([row(letter(door="IPv4"), "198.19.20.1"), row(letter(door="IPv6"), "2001:db8::1")])
    assert one.name == "delivery.arrived direct hi@lantern.example"
    assert one.observed == "2 messages: 198.19.20.1; also 2001:db8::1"


def test_parts_of_a_message_fold_each_with_their_like() -> None:
    found = fold([row(of, "good", what="dkim", about=about) for of in (PLAIN, HTML) for about in ("mail", "relay")])
    assert [c.name for c in found] == [f"delivery.dkim {NAME} mail", f"delivery.dkim {NAME} relay"]


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        (["after 1.2 s", "after 0.4 s", "after 3.4 s"], "after 1.2 s, the slowest after 3.4 s"),
        (["after 1.2 s", "after 1.2 s"], "after 1.2 s"),
        (["1 s until it was seen", "4 s until it was seen"], "1 s until it was seen"),
        (["250 Ok: queued as AB12 (TLS)", "250 Ok: queued as CD34 (TLS)"], "250 Ok: queued as AB12 (TLS)"),
        (["kept <1@a.example>", "kept <2@a.example>"], "kept <1@a.example>"),
        (["one", "two", "one"], "one; also two"),
        (["one", "two", "three", "four"], "one; also four; also three; and others"),
    ],
)
def test_what_differs_is_said_and_what_every_message_has_for_itself_is_not(observed: list[str], said: str) -> None:
    forms = [letter(port=port) for port in range(587, 587 + len(observed))]
    (one,) = fold([row(of, text) for of, text in zip(forms, observed, strict=True)])
    assert one.observed == f"{len(observed)} messages: {said}"


def test_a_warning_is_nothing_that_passes() -> None:
    bare = HTML, Check(f"delivery.tls {HTML.name}", Status.WARN, "", "TLSv1.3")
    good = PLAIN, Check(f"delivery.tls {PLAIN.name}", Status.PASS, "", "TLSv1.3")
    assert [check.status for check in fold([good, bare])] == [Status.PASS, Status.WARN]
