"""What params say of scoring: an rspamd to ask, and addresses of testers that are written to by hand."""

from __future__ import annotations

import pytest
from sites import given, make
from test_params import problems

from runbooklib.params import Rspamd, Site, load


def test_an_rspamd_is_named_by_its_address_alone_or_with_a_password() -> None:
    assert make(test={"rspamd": "http://127.0.0.1:11334/"}).test.rspamd == Rspamd(url="http://127.0.0.1:11334")
    told = {"url": "https://mail.example.org/rspamd", "password": "env:RSPAMD", "ca": "ca.pem"}
    site: Site = make(test={"rspamd": told})
    assert load(site.model_dump(mode="json", exclude_none=True)) == site


@pytest.mark.parametrize(
    ("told", "where"),
    [
        ("http://rspamd.example.org:11334", "url"),  # messages and the password would go there in clear
        ({"url": "http://127.0.0.1:11334", "password": "q1"}, "password"),
        ({"password": "env:RSPAMD"}, "url"),
    ],
)
def test_what_cannot_be_asked_is_refused(told: object, where: str) -> None:
    assert list(problems(given(test={"rspamd": told}))) == [f"test.rspamd.{where}"]


def test_testers_are_addresses() -> None:
    assert make(test={"testers": ["test-x1y2@srv1.mail-tester.com"]}).test.testers == (
        "test-x1y2@srv1.mail-tester.com",
    )
    assert list(problems(given(test={"testers": ["mail-tester.com"]}))) == ["test.testers[0]"]
