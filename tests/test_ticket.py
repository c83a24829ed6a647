"""The request for a PTR record: shown where one is missing or wrong, filled in for this server, in two languages."""

from __future__ import annotations

from typing import Any

import pytest
from test_records import AUTHORITY, GOOD, HEAD, RESOLVER, REVERSE, site

from runbooklib import records, zone
from runbooklib.answers import Word
from runbooklib.records import Ticket
from runbooklib.results import MIME

SIX = {"8.b.d.0.1.0.0.2.ip6.arpa": "@ 60 SOA a. h. 1 2 3 4 60"}
OTHER = {"113.0.203.in-addr.arpa": "@ 60 SOA a. h. 1 2 3 4 60\n10 60 PTR vps-17.provider.example."}


def asked(reverse: dict[str, str], text: str = GOOD, outage: Word | None = None, **changes: Any) -> Ticket:
    here = site(**changes)
    outages = {(RESOLVER, "10.113.0.203.in-addr.arpa"): outage} if outage else {}
    servers = {AUTHORITY: {"lantern.example": HEAD + text}, "192.0.2.3": reverse}
    wire = zone.Literal(servers, {RESOLVER}, outages)
    want = records.desired(here)
    return records.ticket(want, zone.observe(here, want, wire=wire))


def test_where_the_address_has_its_name_nothing_is_asked() -> None:
    found = asked(REVERSE)
    assert not found
    assert "nothing to ask" in str(found)
    assert found.parts()[2] == []


@pytest.mark.parametrize("word", [Word.TIMEOUT, Word.SERVFAIL])
def test_where_nobody_could_tell_nothing_is_asked(word: Word) -> None:
    assert not asked(OTHER, outage=word)


def test_the_request_names_address_host_and_what_stands_now() -> None:
    (english, chinese) = asked(OTHER).texts()
    assert english[1] == "Reverse DNS (PTR record) for 203.0.113.10"
    assert "203.0.113.10 → mail.lantern.example (now: vps-17.provider.example)" in english[2]
    assert "leads to these addresses already" in english[2]
    assert chinese[1] == "请为 203.0.113.10 设置反向解析（PTR 记录）"
    assert "203.0.113.10 → mail.lantern.example（当前：vps-17.provider.example）" in chinese[2]
    assert "已指向上述地址" in chinese[2]


def test_both_families_stand_in_one_request() -> None:
    text = f"{GOOD}mail 300 AAAA 2001:db8::10\n"
    found = asked(OTHER | SIX, text, server__ipv6="2001:db8::10")
    assert [(item.address, item.now) for item in found.lacking] == [
        ("203.0.113.10", "vps-17.provider.example"),
        ("2001:db8::10", ""),
    ]
    assert "2001:db8::10 → mail.lantern.example (now: none)" in found.texts()[0][2]
    assert "2001:db8::10 → mail.lantern.example（当前：未设置）" in found.texts()[1][2]


def test_forward_dns_that_is_still_to_come_is_said_so() -> None:
    english, chinese = asked(OTHER, "").texts()
    assert "will lead to these addresses" in english[2]
    assert "即将指向上述地址" in chinese[2]


def test_a_notebook_shows_the_texts_as_they_are_to_be_sent() -> None:
    bundle = asked(OTHER)._repr_mimebundle_()
    assert "<pre" in bundle["text/html"]
    assert len(bundle[MIME]["rows"]) == 3
    assert "反向解析" in str(asked(OTHER))
