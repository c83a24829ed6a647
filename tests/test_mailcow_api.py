"""mailcow's API: no status and no success is believed, every refusal has its name, no key is tried twice."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cows import Cow
from cowsites import client, grazing, site
from hypothesis import given
from hypothesis import strategies as st

from runbooklib import credentials, servers
from runbooklib.results import Status
from runbooklib.servers.mailcow import answers, readiness
from runbooklib.servers.mailcow.api import (
    AddressRefusedError,
    EmptyError,
    KeyRefusedError,
    MailcowError,
    MalformedError,
    NothingDoneError,
    NotReadyError,
    ReadOnlyError,
    RefusedError,
    RouteMissingError,
    UnavailableError,
    UntrustedError,
)
from runbooklib.servers.mailcow.writes import Write

ADDED = '[{"type":"success","log":["mailbox","add","domain",{"domain":"a"},null],"msg":["domain_added","a"]}]'
COMPLETED = '{"type":"success","msg":"Task completed"}'


@pytest.fixture
def cow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cow]:
    with grazing(monkeypatch) as cow:
        yield cow


@pytest.mark.parametrize(
    ("body", "good", "word"),
    [
        (ADDED, True, ""),
        (COMPLETED, True, ""),  # claimed; only reading back shows whether it was done
        ('[{"type":"danger","log":[],"msg":["domain_exists","a.example"]}]', False, "domain_exists"),
        (
            '[{"type":"danger","log":["password_check",null,null],"msg":"password_mismatch"}]',
            False,
            "password_mismatch",
        ),
        (
            '[{"type":"success","log":[],"msg":["rl_saved","a"]},{"type":"danger","log":[],"msg":"domain_invalid"}]',
            False,
            "domain_invalid",
        ),
        (
            '[{"type":"warning","log":[],"msg":"domain_added_sogo_failed"},{"type":"success","msg":["domain_added","a"]}]',
            True,
            "",
        ),
        ('{"type":"error","msg":"Cannot find attributes in post data"}', False, "Cannot find attributes in post data"),
        ('[{"type":"warning","log":[],"msg":"x"}]', False, ""),
        ("[]", False, ""),
        ("{}", False, ""),
        ("null", False, ""),
        ('"success"', False, ""),
    ],
)
def test_a_write_succeeded_only_where_something_was_done_and_nothing_refused(body: str, good: bool, word: str) -> None:
    said = answers.entries(json.loads(body))
    bad = answers.failed(said)
    assert answers.succeeded(said) is good
    assert (bad.word if bad else "") == word


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["success", "danger", "type"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "msg", "log"]), inner),
)


@given(anything)
def test_no_body_succeeds_without_saying_so(body: Any) -> None:
    said = answers.entries(body)
    told = body if isinstance(body, list) else [body]
    kinds = [each.get("type") for each in told if isinstance(each, dict)]
    if answers.succeeded(said):
        assert "success" in kinds
        assert not {"danger", "error"} & {k for k in kinds if isinstance(k, str)}


def test_what_an_answer_echoes_is_not_kept() -> None:
    body = [{"type": "danger", "log": ["relayhost", "add", {"password": "relay-secret"}], "msg": ["invalid_host", ""]}]
    sql = [{"type": "danger", "log": [], "msg": ["mysql_error", {"values": "relay-secret"}, "relay-secret"]}]
    assert "relay-secret" not in repr(answers.entries(body)) + repr(answers.entries(sql))


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ({"status": 401, "body": '{"type":"error","msg":"authentication failed"}'}, KeyRefusedError, Status.FAIL),
        (
            {"status": 401, "body": '{"type":"error","msg":"api access denied for ip 192.0.2.7"}'},
            AddressRefusedError,
            Status.FAIL,
        ),
        ({"status": 401, "body": "<html>who are you?</html>"}, MalformedError, Status.UNKNOWN),
        (
            {"status": 403, "body": '{"type":"error","msg":"API read\\/write access denied"}'},
            ReadOnlyError,
            Status.FAIL,
        ),
        ({"status": 403, "body": ""}, MalformedError, Status.UNKNOWN),
        ({"status": 404, "body": '{"type":"error","msg":"route not found"}'}, RouteMissingError, Status.FAIL),
        ({"status": 404, "body": "<html>no such page</html>"}, MalformedError, Status.UNKNOWN),
        ({"status": 302, "headers": {"location": "/"}, "body": ""}, MalformedError, Status.UNKNOWN),
        ({"status": 200, "body": '{"type":"error","msg":"what?"}'}, RefusedError, Status.FAIL),
        ({"status": 200, "body": ""}, EmptyError, Status.UNKNOWN),
        ({"status": 200, "body": "<html>hello</html>"}, MalformedError, Status.UNKNOWN),
        ({"status": 502, "body": "<html>starting</html>"}, NotReadyError, Status.UNKNOWN),
        ({"status": 500, "body": "Connection to Redis failed"}, NotReadyError, Status.UNKNOWN),
        ({"status": 500, "body": ""}, UnavailableError, Status.UNKNOWN),
        ({"drop": True}, UnavailableError, Status.UNKNOWN),
    ],
)
def test_every_way_an_answer_can_fail_has_its_name(
    cow: Cow, fault: dict[str, Any], error: type[MailcowError], status: Status
) -> None:
    cow.script(**fault, times=9)
    with pytest.raises(error) as raised:
        client(cow).items("domain", "all")
    assert type(raised.value) is error
    assert raised.value.status is status
    assert raised.value.fix


def test_a_read_is_asked_again_and_a_write_is_not(cow: Cow) -> None:
    cow.script(status=500, body="", times=2)
    assert client(cow).items("domain", "all") == []
    assert cow.asked("GET") == 3
    cow.script(method="POST", status=500, body="")
    with pytest.raises(UnavailableError):
        client(cow).post("add/domain", {"domain": "a.example"})
    assert cow.asked("POST") == 1


def test_silence_ends_at_our_own_deadline(cow: Cow) -> None:
    cow.script(delay=60, status=200, body="[]")
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"no answer within 0\.2 s"):
        client(cow, pauses=(), timeout=0.2).items("domain", "all")
    assert time.monotonic() - began < 30


def test_a_certificate_that_is_not_to_be_trusted_gets_no_key(cow: Cow) -> None:
    with pytest.raises(UntrustedError, match="certificate refused"):
        client(cow).__class__(cow.url, client(cow).key).items("domain", "all")
    assert cow.asked("GET") == 0


def test_a_refused_key_is_not_sent_again_by_this_process(cow: Cow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COW_KEY", "WRONG0-WRONG0-WRONG0")
    for _ in range(4):
        with pytest.raises(KeyRefusedError):
            client(cow).items("domain", "all")
    assert cow.asked("GET") == 1
    monkeypatch.setenv("COW_KEY", cow.key)
    assert client(cow).items("domain", "all") == []


def test_a_key_of_other_characters_is_not_sent_at_all(cow: Cow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COW_KEY", "key with blanks")
    with pytest.raises(KeyRefusedError, match="would drop the rest"):
        client(cow).items("domain", "all")
    assert cow.asked("GET") == 0


def test_success_that_did_nothing_is_found_out(cow: Cow) -> None:
    cow.script(method="POST", status=200, body=COMPLETED)
    with pytest.raises(NothingDoneError):
        made("a.example").do(client(cow))


def test_a_write_whose_answer_is_lost_is_looked_for(cow: Cow) -> None:
    cow.script(method="POST", status=500, body="", after=True, drop=True)
    made("a.example").do(client(cow))
    assert [row["domain"] for row in cow.rows("domain")] == ["a.example"]
    cow.script(method="POST", drop=True)
    with pytest.raises(UnavailableError):
        made("b.example").do(client(cow))


def test_what_is_there_already_is_not_written(cow: Cow) -> None:
    made("a.example").do(client(cow))
    made("a.example").do(client(cow))
    assert cow.asked("POST") == 1


def test_a_refusal_is_told_in_our_words_with_what_it_is_about(cow: Cow) -> None:
    with pytest.raises(RefusedError, match="no domain that mailcow knows or takes") as raised:
        client(cow).post("add/domain", {"domain": "not a domain"})
    assert raised.value.word == "domain_invalid"
    client(cow).post("add/domain", {"domain": "a.example"})
    with pytest.raises(RefusedError, match=r"there already.*a\.example"):
        client(cow).post("add/domain", {"domain": "a.example"})


def test_passwords_of_relays_come_back_in_clear_and_are_masked(cow: Cow) -> None:
    relay = {"hostname": "[relay.example]:587", "username": "u", "password": "relay-Passw0rd"}
    client(cow).post("add/relayhost", relay)
    (told,) = client(cow).items("relayhost", "all")
    assert told["password"] == "relay-Passw0rd"
    assert credentials.mask("it is relay-Passw0rd") == "it is ‹mailcow:relayhost/all›"
    assert "password_short" not in told


def made(domain: str) -> Write:
    """The change that makes a domain."""
    body, shows = {"domain": domain}, {"domain_name": domain}
    return Write(1, domain, "absent", "made", "", path="add/domain", body=body, read=("domain", "all"), shows=shows)


def test_before_anything_the_way_in_is_tried_and_nothing_changed(cow: Cow) -> None:
    before = [cow.rows(table) for table in ("domain", "mailbox", "alias", "relayhosts")]
    found = servers.preflight(site(cow))
    assert {c.name: c.status for c in found} == {
        "mailcow.reach": Status.PASS,
        "mailcow.key": Status.PASS,
        "mailcow.version": Status.PASS,
        "mailcow.key.writes": Status.PASS,
        "server.containers": Status.PASS,
    }
    assert [cow.rows(table) for table in ("domain", "mailbox", "alias", "relayhosts")] == before


def test_a_key_that_may_only_read_is_found_without_a_change(cow: Cow) -> None:
    found = servers.preflight(site(cow, mail__api_key="env:COW_RO"))
    assert found["mailcow.key"].status is Status.PASS
    assert found["mailcow.key.writes"].status is Status.FAIL
    assert "read-write key" in found["mailcow.key.writes"].fix


def test_an_address_that_may_not_ask_is_told_where_to_be_let_in(cow: Cow) -> None:
    cow.with_keys("192.0.2.1")
    row = servers.preflight(site(cow))["mailcow.key"]
    assert row.status is Status.FAIL
    assert "127.0.0.1" in row.observed
    assert "API_ALLOW_FROM" in row.fix


@pytest.mark.parametrize(
    ("version", "status"), [("2026-07a", Status.PASS), ("2025-03", Status.WARN), ("", Status.WARN)]
)
def test_another_release_is_a_warning(version: str, status: Status) -> None:
    assert readiness.version_row(version).status is status


@pytest.mark.parametrize(
    ("containers", "status"),
    [
        ({"postfix-mailcow": "running", "dovecot-mailcow": "running"}, Status.PASS),
        ({"postfix-mailcow": "exited", "dovecot-mailcow": "running"}, Status.FAIL),
        ({}, Status.UNKNOWN),
    ],
)
def test_containers_that_do_not_run_are_named(containers: dict[str, str], status: Status) -> None:
    row = readiness.containers_row(containers)
    assert row.status is status
    assert ("postfix-mailcow exited" in row.observed) is (status is Status.FAIL)


def test_a_mailcow_that_starts_is_waited_for_without_the_key(cow: Cow) -> None:
    cow.starting("refused", "gateway", "database")
    assert readiness.await_ready(site(cow), wait=60, poll=0.01).status is Status.PASS
    assert cow.asked("GET", "/api") == 1


def test_a_key_not_yet_known_is_tried_three_times_at_most(cow: Cow) -> None:
    cow.without_keys()
    row = readiness.await_ready(site(cow), wait=60, poll=0.01, retry=0.05)
    assert row.status is Status.FAIL
    assert cow.asked("GET", "/api") == readiness.TRIES


def test_a_key_is_not_tried_again_where_the_wait_is_too_short_for_the_ban(cow: Cow) -> None:
    cow.without_keys()
    row = readiness.await_ready(site(cow), wait=5)
    assert row.status is Status.FAIL
    assert cow.asked("GET", "/api") == 1


def test_pages_that_are_shut_to_us_do_not_stop_the_api(cow: Cow) -> None:
    cow.script(path="/", status=403, body="not for you")
    assert readiness.await_ready(site(cow), wait=60).status is Status.PASS


def test_a_mailcow_that_never_comes_is_unknown(cow: Cow) -> None:
    cow.script(status=502, body="", times=999)
    row = readiness.await_ready(site(cow), wait=0.1, poll=0.02)
    assert row.status is Status.UNKNOWN
    assert "502" in row.observed
