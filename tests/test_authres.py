"""Authentication-Results as receivers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import authres
from runbooklib.authres import Method

RSPAMD = """mx.stranger.example;
 dkim=pass header.d=lantern.example header.s=mail header.b=SxZ1;
 spf=pass (mx.stranger.example: domain of hi@lantern.example designates 198.18.7.5 as permitted sender)
 smtp.mailfrom=hi@lantern.example; dmarc=pass (policy=none) header.from=lantern.example"""
OPENDMARC = "mail.lantern.example; dmarc=fail (p=reject dis=none) header.from=stranger.example"
GMAIL = """mx.google.com;
       dkim=pass header.i=@lantern.example header.s=mail header.b="a;b)c";
       spf=pass (google.com: domain of x@send.lantern.example designates 1.2.3.4 as permitted sender)
        smtp.mailfrom=x@send.lantern.example;
       dmarc=pass (p=NONE sp=NONE dis=NONE) header.from=lantern.example"""


@pytest.mark.parametrize(
    ("value", "server", "results"),
    [
        (RSPAMD, "mx.stranger.example", {"dkim": "pass", "spf": "pass", "dmarc": "pass"}),
        (OPENDMARC, "mail.lantern.example", {"dmarc": "fail"}),
        (GMAIL, "mx.google.com", {"dkim": "pass", "spf": "pass", "dmarc": "pass"}),
        ("Example.COM 1; none", "example.com", {}),
        ("example.com (a; spf=pass smtp.mailfrom=x); spf=fail", "example.com", {"spf": "fail"}),
        ('example.com; auth=pass reason="said; spf=pass" smtp.auth=x', "example.com", {"auth": "pass"}),
        (r"example.com (nested (comment) with \) inside; dkim=pass); dkim=FAIL", "example.com", {"dkim": "fail"}),
        ("example.com; dkim/1=temperror", "example.com", {"dkim": "temperror"}),
    ],
)
def test_what_receivers_write_is_read(value: str, server: str, results: dict[str, str]) -> None:
    found = authres.parse(value)
    assert found.authserv_id == server
    assert {method.name: method.result for method in found.methods} == results


def test_properties_give_domains() -> None:
    dkim, spf, dmarc = authres.parse(RSPAMD).methods
    assert (dkim.domain("header.d"), dkim.properties["header.s"]) == ("lantern.example", "mail")
    assert spf.domain("smtp.mailfrom", "smtp.helo") == "lantern.example"
    assert dmarc.domain("header.from") == "lantern.example"
    assert authres.parse(GMAIL).methods[0].domain("header.d", "header.i") == "lantern.example"
    assert authres.parse(GMAIL).methods[0].properties["header.b"] == "a;b)c"


def test_a_reason_is_not_a_property() -> None:
    (method,) = authres.parse('x.example; spf=fail reason="not \\"listed\\"" smtp.helo=y').methods
    assert method == Method("spf", "fail", 'not "listed"', {"smtp.helo": "y"})


def test_received_spf_is_the_same_method() -> None:
    said = (
        "Pass (mailfrom) identity=mailfrom; client-ip=198.18.7.6; helo=mx.stranger.example; "
        "envelope-from=friend@stranger.example; receiver=lantern.example"
    )
    found = authres.parse_received_spf(said)
    assert (found.name, found.result, found.domain("smtp.mailfrom")) == ("spf", "pass", "stranger.example")
    assert authres.parse_received_spf("").result == "none"


@given(st.text() | st.from_regex(r'[a-z.]*[;"()\\=a-z. ]{0,80}', fullmatch=True))
def test_nothing_a_stranger_writes_raises(text: str) -> None:
    authres.parse(text)
    authres.parse_received_spf(text)
