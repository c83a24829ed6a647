"""The double of mailcow where the transcripts say nothing: who is turned away, how it starts, what stands behind it."""

from __future__ import annotations

import html
import importlib
import re
import ssl
from collections.abc import Iterator
from typing import Any

import cows
import httpx
import pytest
from cows import Cow
from scripts import SILENCE, Script

ROUTE, VERSION = "/api/v1/get/domain/all", "/api/v1/get/status/version"
WRONG = "WRONG0-WRONG0"
QUEUED = {
    "queue_name": "deferred",
    "queue_id": "4F2A",
    "arrival_time": 1795281875,
    "message_size": 321,
    "sender": "hi@lantern.example",
    "recipients": [{"address": "a@b.example", "delay_reason": "refused"}, {"address": "c@d.example"}],
}


@pytest.fixture
def cow() -> Iterator[Cow]:
    with cows.double() as found:
        yield found


def ask(cow: Cow, path: str, key: str = cows.KEY, **query: Any) -> httpx.Response:
    trusted = ssl.create_default_context(cafile=str(cow.ca))
    return httpx.get(f"{cow.url}{path}", headers={"X-API-Key": key}, params=query, verify=trusted, timeout=20)


def lines(cow: Cow, hostname: str, username: str = "u") -> list[str]:
    """What the relay test shows of a new row, in lines."""
    row = {"hostname": hostname, "username": username, "password": "p", "active": 1}
    with cow.store.open() as db:
        number = db.insert("relayhosts", row)
    page = ask(cow, "/inc/ajax/transport_check.php", transport_id=number, transport_type="sender-dependent").text
    return [html.unescape(re.sub(r"<[^>]+>", "", line)) for line in page.split("<br>") if line]


def test_ten_wrong_keys_shut_an_address_out() -> None:
    with cows.double(public=True) as cow:
        assert {ask(cow, ROUTE, WRONG).status_code for _ in range(10)} == {401}
        with pytest.raises(httpx.RemoteProtocolError):
            ask(cow, ROUTE)


def test_loopback_is_never_shut_out(cow: Cow) -> None:
    assert {ask(cow, ROUTE, WRONG).status_code for _ in range(12)} == {401}
    assert ask(cow, ROUTE).status_code == 200


def test_a_key_is_good_only_from_where_it_is_allowed(cow: Cow) -> None:
    cow.with_keys("172.22.1.1,192.0.2.0/24")
    answer = ask(cow, ROUTE)
    assert (answer.status_code, answer.json()["msg"]) == (401, "api access denied for ip 127.0.0.1")
    cow.with_keys("127.0.0.0/8")
    assert ask(cow, ROUTE).status_code == 200


def test_characters_that_no_key_has_are_dropped(cow: Cow) -> None:
    assert ask(cow, VERSION, f"_{cows.KEY.lower()}!").json() == {"version": "2026-07a"}


def test_a_start_is_seen_stage_by_stage(cow: Cow) -> None:
    cow.starting("refused", "gateway", "database")
    cow.without_keys()
    with pytest.raises(httpx.RemoteProtocolError):
        ask(cow, "/", "")
    assert [ask(cow, "/", "").status_code for _ in range(3)] == [502, 500, 200]
    assert ask(cow, VERSION).status_code == 401
    cow.with_keys()
    assert ask(cow, VERSION).status_code == 200


def test_a_relay_that_never_greets_is_waited_for_and_told_as_nothing() -> None:
    """Appendix A, whose 300 s are `patience` here."""
    with Script([SILENCE]) as relay, cows.double(patience=0.3) as cow:
        told = lines(cow, f"[127.0.0.1]:{relay.port}")
    assert told[-4:] == [
        "SERVER -> CLIENT: ",
        "Connection: closing due to error",
        "Connection: closed",
        "\xa0\xa0\xa0\xa0↪ SMTP connect() failed. https://github.com/PHPMailer/PHPMailer/wiki/Troubleshooting",
    ]


def test_any_mechanism_will_do_for_the_test_though_not_for_postfix(cow: Cow) -> None:
    with Script(["220 hi", "250-hi\n250 AUTH CRAM-MD5", "334 PDFAYj4=", "235 ok", "550 no", "221 bye"]) as relay:
        told = lines(cow, f"[127.0.0.1]:{relay.port}")
    assert "CLIENT -> SERVER: AUTH CRAM-MD5" in told
    assert "SERVER -> CLIENT: 235 ok" in told


def test_a_name_without_brackets_is_looked_up_as_a_mail_domain(cow: Cow) -> None:
    cow.behind.mx["relay.example"] = ["127.0.0.1"]
    assert lines(cow, "relay.example")[0] == 'Using first matched primary MX for "relay.example": 127.0.0.1'


def test_the_queue_and_the_log_have_mailcows_shape(cow: Cow) -> None:
    cow.behind.waiting = [QUEUED]
    (entry,) = ask(cow, "/api/v1/get/mailq/all").json()
    assert entry["recipients"] == ["a@b.example (refused)", "c@d.example"]
    written = [{"time": str(n), "priority": "info", "program": "postfix/qmgr", "message": "x"} for n in range(9)]
    cow.behind.lines["postfix"] = written
    assert ask(cow, "/api/v1/get/logs/postfix/3").json() == written[:3]
    assert ask(cow, "/api/v1/get/logs/postfix/2-4").json() == written[1:4]
    assert ask(cow, "/api/v1/get/logs/dovecot").json() == {}
    assert ask(cow, "/api/v1/get/logs/nosuch").status_code == 404


def test_a_line_of_a_service_becomes_an_entry_of_the_log() -> None:
    entry = importlib.import_module("mailcow.journal").entry  # which the double's program has put in reach
    told = entry("Nov 22 02:28:40 mail postfix/sogo/smtpd[12]: 4B75: client=a[192.0.2.1]", "postfix")
    assert (told["program"], told["message"]) == ("postfix/sogo/smtpd", "4B75: client=a[192.0.2.1]")
    assert entry("Nov  2 02:28:40 lmtp(1): Info: x", "dovecot")["message"] == "lmtp(1): Info: x"
    assert entry("Nov 22 02:28:40 mail postfix/smtp[1]: warning: y", "postfix")["priority"] == "warning"
