"""OpenDKIM's tables: who signs, and what a rotation makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooklib.servers.opendkim import Tables

# From a run of 15.1.0: `setup config dkim`, then the same with selector s2026.
KEY_TABLE = (
    "mail._domainkey.example.test example.test:mail:/etc/opendkim/keys/example.test/mail.private\n"
    "s2026._domainkey.example.test example.test:s2026:/etc/opendkim/keys/example.test/s2026.private\n"
)
SIGNING_TABLE = "*@example.test mail._domainkey.example.test\n*@example.test s2026._domainkey.example.test\n"
BOTH = Tables(KEY_TABLE, SIGNING_TABLE)
MAIL, S2026 = "*@example.test mail._domainkey.example.test\n", "*@example.test s2026._domainkey.example.test\n"


@pytest.mark.parametrize(
    ("rows", "signs"),
    [
        (MAIL, "mail"),
        (MAIL + S2026, "mail"),  # the second row is ignored while the first exists
        (S2026 + MAIL, "s2026"),
        ("news@example.test s2026._domainkey.example.test\n" + MAIL, "mail"),
        ("# " + S2026 + "\n" + MAIL, "mail"),
        ("* s2026._domainkey.example.test\n" + MAIL, "s2026"),
        ("*@EXAMPLE.TEST s2026._domainkey.example.test\n", "s2026"),
        ("*@example.test nobody._domainkey.example.test\n", ""),
        ("*@another.test mail._domainkey.example.test\n", ""),
        ("", ""),
    ],
)
def test_the_first_row_that_matches_signs(rows: str, signs: str) -> None:
    assert Tables(KEY_TABLE, rows).signer("example.test") == signs


def test_a_key_of_another_domain_is_not_the_domains_signer() -> None:
    foreign = "mail._domainkey.example.test other.test:mail:/etc/opendkim/keys/other.test/mail.private\n"
    assert Tables(foreign, MAIL).signer("example.test") == ""


def test_a_new_key_stands_behind_the_old_one_as_setup_leaves_it() -> None:
    assert Tables().with_key("example.test", "mail").with_key("example.test", "s2026") == BOTH
    assert BOTH.with_key("example.test", "s2026") == BOTH


def test_the_switch_leaves_one_row_for_the_domain_and_others_where_they_are() -> None:
    others = "# mine\n\nnews@example.test\tnews._domainkey.example.test\n", "*@other.test\tmail._domainkey.other.test\n"
    switched = Tables(KEY_TABLE, others[0] + MAIL + S2026 + others[1]).signed_by("example.test", "s2026")
    assert switched.rows == others[0] + S2026 + others[1]
    assert switched.keys == KEY_TABLE


def test_an_administrators_row_for_everybody_does_not_keep_the_switch_from_working() -> None:
    switched = Tables(KEY_TABLE, "* mail._domainkey.example.test\n").signed_by("example.test", "s2026")
    assert switched.signer("example.test") == "s2026"
    assert switched.signed_by("example.test", "s2026") == switched


def test_a_key_that_is_gone_has_no_row() -> None:
    gone = BOTH.without("example.test", "mail")
    assert gone == Tables(KEY_TABLE.splitlines(keepends=True)[1], S2026)
    assert gone.without("example.test", "mail") == gone


SELECTORS = st.sampled_from(["mail", "s1", "s2", "a.b"])
DOMAINS = st.sampled_from(["example.test", "sub.example.test", "other.test"])


@given(st.lists(st.tuples(DOMAINS, SELECTORS), max_size=6), DOMAINS, SELECTORS)
def test_whatever_stands_the_switch_switches_its_domain_alone(
    made: list[tuple[str, str]], domain: str, selector: str
) -> None:
    before = Tables()
    for key in made:
        before = before.with_key(*key)
    after = before.signed_by(domain, selector)
    assert after.signer(domain) == selector
    assert after.signed_by(domain, selector) == after
    others = {"example.test", "sub.example.test", "other.test"} - {domain}
    assert [after.signer(o) for o in others] == [before.signer(o) for o in others]
