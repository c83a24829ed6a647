"""A login that is still to be made at the provider is not tried, and the proof says what comes before it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sites import make

from runbooklib.relays.accounts import ABSENT, VERIFIED, Account, Accounts
from runbooklib.relays.planning import login_to_come

LOGIN = "post@lantern.example"
MXROUTE = {
    "provider": "mxroute",
    "host": "name.mxrouting.net",
    "username": LOGIN,
    "password": "env:OFFICE_SMTP",
    "api_user": "u",
    "api_key": "env:API",
}
ACCOUNT = Account("lantern.example", "office", managed=True, status=VERIFIED)


@pytest.mark.parametrize(
    ("account", "why", "stage"),
    [
        (Account("lantern.example", "office", managed=True, status=ABSENT), "once lantern.example is known", "04-dns"),
        (ACCOUNT, "is not made yet", ""),
        (Account("lantern.example", "office", managed=True, status=VERIFIED, mailboxes=(LOGIN,)), "", ""),
        (Account("lantern.example", "office"), "", ""),
        (Account("pier.example", "office", managed=True, status=ABSENT), "", ""),
    ],
    ids=["domain to be added", "mailbox to be made", "there", "nobody to be asked", "a mailbox of another domain"],
)
def test_a_mailbox_of_the_domain_at_mxroute(account: Account, why: str, stage: str) -> None:
    found = login_to_come("office", make(relays__office=MXROUTE).relays["office"], Accounts((account,)))
    assert bool(found[0]) is bool(why)
    assert why in found[0]
    assert found[1] == stage


def test_a_sending_key_that_this_stage_makes(tmp_path: Path) -> None:
    resend = {"provider": "resend", "password": f"file:{tmp_path}/key", "api_key": "env:API"}
    relay = make(relays__office=resend).relays["office"]
    assert "is not made yet" in login_to_come("office", relay, Accounts())[0]
    (tmp_path / "key").write_text("re_something")
    assert login_to_come("office", relay, Accounts()) == ("", "")
