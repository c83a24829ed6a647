"""Resend: its API read strictly, every bad day of it named, and what the stages make of it."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from doubles import KEY, MANAGING, SENDING, Double, resend_state, running
from sites import make

from runbooklib import credentials, relays
from runbooklib.credentials import Secret
from runbooklib.params import Site
from runbooklib.relays import told
from runbooklib.relays.calls import (
    Api,
    ConflictError,
    ForbiddenError,
    InvalidError,
    KeyRefusedError,
    MalformedError,
    MissingError,
    ProviderError,
    RateLimitedError,
    RestrictedKeyError,
    UnavailableError,
    UntrustedError,
)
from runbooklib.relays.resend import Record, Resend
from runbooklib.results import Check, Checklist, Status

DOMAIN = "lantern.example"
FRIEND = "friend@stranger.example"


@pytest.fixture
def resend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("RESEND_ADMIN_KEY", MANAGING)
    monkeypatch.setenv("RESEND_SENDING_KEY", SENDING)
    with running("resend", tmp_path, resend_state()) as double:
        yield double
    credentials.forget()


def site(double: Double, **changes: object) -> Site:
    relay = {"provider": "resend", "api": double.url, "ca": str(double.ca)}
    relay |= {"api_key": "env:RESEND_ADMIN_KEY", "password": "env:RESEND_SENDING_KEY", **changes}
    given = {k: v for k, v in relay.items() if v is not None}
    return make(domains__0__relay="resend", relays={"resend": given}, test={"recipients": [{"address": FRIEND}]})


def client(double: Double, key: str = MANAGING, **settings: object) -> Resend:
    """The client with short pauses."""
    headers = {"Authorization": f"Bearer {key}"}
    return Resend(Api(double.url, headers, str(double.ca), own=True, **{"pauses": (0.0, 0.0), **settings}))


def row(checks: Checklist, name: str) -> Check:
    return checks[name]


def do(here: Site) -> None:
    """Applies what is planned, as 02 does, without the server that API changes do not need."""
    for change in relays.plan(here, relays.observe(here)):
        change.do()  # type: ignore[attr-defined]


def publish(double: Double, here: Site) -> None:
    """Puts what the relay wants into what the provider sees of DNS."""
    double.publish(*((w.name, w.type, w.values[0]) for w in relays.records(here, relays.observe(here))))


# the API, answer by answer

FAULTS = [
    (401, {"name": "missing_api_key", "message": "Missing API key"}, KeyRefusedError, Status.FAIL),
    (401, {"name": "restricted_api_key", "message": "This API key is restricted"}, RestrictedKeyError, Status.FAIL),
    (403, {"name": "restricted_api_key", "message": "API key is not active"}, KeyRefusedError, Status.FAIL),
    (403, {"name": "suspended_api_key", "message": "This API key is suspended"}, KeyRefusedError, Status.FAIL),
    (403, {"name": "validation_error", "message": "API key is invalid"}, KeyRefusedError, Status.FAIL),
    (403, {"name": "invalid_permission", "message": "missing scopes"}, ForbiddenError, Status.FAIL),
    (404, {"name": "not_found", "message": "no such endpoint"}, MissingError, Status.FAIL),
    (409, {"name": "resource_locked", "message": "Another request is updating"}, ConflictError, Status.FAIL),
    (422, {"name": "invalid_parameter", "message": "region"}, InvalidError, Status.FAIL),
    (429, {"name": "rate_limit_exceeded", "message": "Too many requests"}, RateLimitedError, Status.UNKNOWN),
    (500, {"name": "application_error", "message": "unexpected"}, UnavailableError, Status.UNKNOWN),
    (503, "<html>upstream is down</html>", UnavailableError, Status.UNKNOWN),
    (302, "", MalformedError, Status.UNKNOWN),
    (200, "<html>a login page of a captive portal</html>", MalformedError, Status.UNKNOWN),
    (200, "{not json", MalformedError, Status.UNKNOWN),
    (200, [], MalformedError, Status.UNKNOWN),
    (200, {"data": "text"}, MalformedError, Status.UNKNOWN),
    (200, {"data": [{"id": 7, "name": DOMAIN, "status": "verified"}]}, MalformedError, Status.UNKNOWN),
]


@pytest.mark.parametrize(("status", "body", "error", "means"), FAULTS)
def test_every_bad_answer_has_its_own_error(
    resend: Double, status: int, body: object, error: type[ProviderError], means: Status
) -> None:
    resend.fault(path="/domains", status=status, body=body, times=9)
    with pytest.raises(ProviderError) as raised:
        client(resend).domains()
    assert type(raised.value) is error
    assert raised.value.status is means
    assert MANAGING not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429])
@pytest.mark.parametrize("written", [MANAGING, quote(MANAGING), b64encode(MANAGING.encode()).decode()])
def test_an_answer_that_repeats_the_key_shows_its_reference_only(resend: Double, status: int, written: str) -> None:
    here = site(resend)
    body = {"name": "refused", "message": f"the key {written} may not"}
    resend.fault(method="GET", path="/domains", status=status, body=body, times=9)
    accounts = relays.observe(here)
    checks = relays.account_checks(here, accounts)
    shown = f"{accounts} {accounts!r} {checks} {checks.data()} {relays.confirm(here, accounts, apply=True, wait=0)}"
    assert written not in shown
    assert "env:RESEND_ADMIN_KEY" in shown


def test_retry_after_is_honoured_also_for_what_changes_something(resend: Double) -> None:
    limit = {"name": "rate_limit_exceeded", "message": "Too many requests"}
    resend.fault(method="POST", path="/domains", status=429, body=limit, headers={"retry-after": "1"})
    slept: list[float] = []
    assert client(resend, sleep=slept.append).add(DOMAIN, "eu-west-1", "send").name == DOMAIN
    assert 1 in slept
    assert resend.asked("POST", "/domains") == 2


def test_a_retry_after_of_an_hour_is_not_waited_for(resend: Double) -> None:
    resend.fault(path="/domains", status=429, body={}, headers={"retry-after": "3600"})
    with pytest.raises(RateLimitedError):
        client(resend).domains()
    assert resend.asked("GET") == 1


def test_the_last_request_of_a_window_is_followed_by_a_pause(resend: Double) -> None:
    headers = {"ratelimit-remaining": "0", "ratelimit-reset": "60"}
    resend.fault(path="/domains", status=200, body={"data": []}, headers=headers)
    slept: list[float] = []
    team = client(resend, sleep=slept.append)
    team.domains()
    assert slept == [0]
    team.domains()
    assert 30 < slept[-1] <= 60


def test_a_reading_is_tried_again_a_change_is_not(resend: Double) -> None:
    resend.fault(method="GET", path="/domains", status=502, body="", times=2)
    assert client(resend).domains() == []
    resend.fault(method="PATCH", path="/domains", status=502, body="", times=1)
    with pytest.raises(UnavailableError):
        client(resend).track_nothing("some-id")
    assert resend.asked("PATCH") == 1


@pytest.mark.parametrize(("fault", "timeout"), [({"drop": True}, 15), ({"delay": 20}, 1.5)])
def test_a_domain_added_without_our_hearing_of_it_is_found(
    resend: Double, fault: dict[str, object], timeout: float
) -> None:
    resend.fault(method="POST", path="/domains", after=True, **fault)
    added = client(resend, timeout=timeout).add(DOMAIN, "us-east-1", "send")
    assert (added.name, resend.asked("POST", "/domains")) == (DOMAIN, 1)


def test_a_timeout_before_the_domain_was_added_is_unknown_and_the_next_run_adds_it(resend: Double) -> None:
    resend.fault(method="POST", path="/domains", drop=True)
    with pytest.raises(UnavailableError):
        client(resend).add(DOMAIN, "us-east-1", "send")
    assert client(resend).add(DOMAIN, "us-east-1", "send").name == DOMAIN
    assert list(resend.state["domains"]) == [DOMAIN]


def test_the_api_dying_in_the_middle_of_adding_is_a_row_and_the_re_run_finds_the_domain(resend: Double) -> None:
    here = site(resend)
    (change,) = relays.plan(here, relays.observe(here))
    resend.fault(method="POST", path="/domains", drop=True, after=True)
    resend.fault(method="GET", path="/domains", status=503, body="", times=3)
    with pytest.raises(UnavailableError):
        change.do()  # type: ignore[attr-defined]
    again = relays.observe(here)
    assert again.of(DOMAIN).status == "not_started"  # type: ignore[union-attr]
    assert not relays.plan(here, again)


def test_a_domain_of_another_team_is_a_conflict(resend: Double) -> None:
    said = {"name": "validation_error", "message": f"The `{DOMAIN}` domain has been registered already."}
    resend.fault(method="POST", path="/domains", status=403, body=said)
    with pytest.raises(ConflictError, match="registered already"):
        client(resend).add(DOMAIN, "us-east-1", "send")


def test_a_certificate_of_nobody_gets_no_key(resend: Double) -> None:
    with pytest.raises(UntrustedError):
        Resend(Api(resend.url, {"Authorization": "Bearer x"}, None, own=True)).domains()
    assert resend.server.seen == []


def test_a_long_list_is_read_to_its_end(resend: Double) -> None:
    team = client(resend)
    resend.set(emails=[{"id": str(i), "to": ["a@b.example"], "subject": f"n{i}"} for i in range(130)])
    assert len(team.emails()) == 130


# records

NAMES = [
    ("send", "example.org", "send.example.org"),
    ("send.news", "news.example.org", "send.news.example.org"),
    ("resend._domainkey.news", "news.example.org", "resend._domainkey.news.example.org"),
    ("send.a.b", "a.b.example.org", "send.a.b.example.org"),
    ("send.send", "send.example.org", "send.send.example.org"),
    ("send.example.org", "example.org", "send.example.org"),
    ("Send.Example.Org.", "example.org", "send.example.org"),
    ("news", "news.example.org", "news.example.org"),
    ("example", "example.org", "example.example.org"),
    ("@", "example.org", "example.org"),
    ("", "example.org", "example.org"),
]


@pytest.mark.parametrize(("name", "domain", "whole"), NAMES)
def test_relative_names_become_absolute(name: str, domain: str, whole: str) -> None:
    assert told.absolute(name, domain) == whole


def record(purpose: str, name: str, kind: str, value: str, priority: int | None = None) -> Record:
    return Record(purpose, name, kind, value, "pending", priority)


def test_the_three_cnames_are_wanted_without_final_dots() -> None:
    given = tuple(record("DKIM", f"{s}._domainkey", "CNAME", f"{s}.dkim.amazonses.com.") for s in "abc")
    wanted = list(told.by_resend("resend", DOMAIN, given))
    assert [(w.name, w.type, w.values) for w in wanted] == [
        (f"{s}._domainkey.{DOMAIN}", "CNAME", (f"{s}.dkim.amazonses.com",)) for s in "abc"
    ]


def test_a_return_path_may_be_told_as_an_alias() -> None:
    (wanted,) = told.by_resend("resend", DOMAIN, (record("SPF", "send", "CNAME", "x.send.resend-dns.com."),))
    assert (wanted.name, wanted.type, wanted.values) == (f"send.{DOMAIN}", "CNAME", ("x.send.resend-dns.com",))
    assert (wanted.kind, wanted.returns) == ("alias", True)


def test_the_domain_s_own_mx_is_never_the_provider_s() -> None:
    old = record("SPF", "news", "MX", "feedback-smtp.us-east-1.amazonses.com", 10)
    with pytest.raises(ConflictError, match="custom return path"):
        list(told.by_resend("resend", "news.lantern.example", (old,)))


@pytest.mark.parametrize("value", ['"v=spf1 include:amazonses.com ~all"', "v=spf1 include:amazonses.com ~all"])
def test_a_txt_value_may_come_quoted(value: str) -> None:
    (wanted,) = told.by_resend("resend", DOMAIN, (record("SPF", "send", "TXT", value),))
    assert wanted.values == ("v=spf1 include:amazonses.com ~all",)


def test_tracking_and_receiving_are_offered_and_not_wanted() -> None:
    given = (
        record("Tracking", "links.lantern.example", "CNAME", "links1.resend-dns.com"),
        record("Receiving", "@", "MX", "inbound.resend.com", 10),
        record("TrackingCAA", "@", "CAA", '0 issue "amazon.com"'),
    )
    assert list(told.by_resend("resend", DOMAIN, given)) == []
    assert len(list(told.unneeded(given))) == 3


@pytest.mark.parametrize(
    "bad", [record("DKIM", "x._domainkey", "TXT", "p=???"), record("SPF", "send", "TXT", "include:amazonses.com")]
)
def test_a_value_no_verifier_could_read_is_not_published(bad: Record) -> None:
    with pytest.raises(MalformedError):
        list(told.by_resend("resend", DOMAIN, (bad,)))


# the stages


def test_a_new_domain_is_added_published_verified(resend: Double) -> None:
    here = site(resend, region="eu-west-1", return_path="bounce")
    before = relays.observe(here)
    assert before.of(DOMAIN).status == "absent"  # type: ignore[union-attr]
    assert row(relays.account_checks(here, before), f"relay.domain {DOMAIN}").waits_for == "04-dns"
    assert all(w.known_after == "02-relay" and not w.values for w in relays.records(here, before))
    do(here)
    accounts = relays.observe(here)
    wanted = {(w.name, w.type): w.values[0] for w in relays.records(here, accounts)}
    assert wanted == {
        (f"bounce.{DOMAIN}", "MX"): "10 feedback-smtp.eu-west-1.amazonses.com",
        (f"bounce.{DOMAIN}", "TXT"): "v=spf1 include:amazonses.com ~all",
        (f"resend._domainkey.{DOMAIN}", "TXT"): f"p={KEY}==",
    }
    publish(resend, here)
    verdict = relays.confirm(here, accounts, apply=True, wait=20)
    assert row(verdict, f"relay.verified {DOMAIN}").status is Status.PASS
    assert not relays.plan(here, relays.observe(here))


def test_without_apply_nobody_is_asked_and_nobody_waits(resend: Double) -> None:
    here = site(resend)
    do(here)
    changed = resend.asked("POST")
    began = time.monotonic()
    verdict = relays.confirm(here, relays.observe(here), apply=False, wait=900)
    assert row(verdict, f"relay.verified {DOMAIN}").status is Status.PENDING
    assert (resend.asked("POST"), time.monotonic() - began < 60) == (changed, True)


def test_what_does_not_stand_in_dns_is_not_asked_about(resend: Double) -> None:
    here = site(resend)
    do(here)
    dns = Checklist("DNS", (Check(f"dns.spf send.{DOMAIN}", Status.PENDING, "", ""),))
    verdict = relays.confirm(here, relays.observe(here), apply=True, wait=900, dns=dns)
    assert f"dns.spf send.{DOMAIN}" in row(verdict, f"relay.verified {DOMAIN}").observed
    assert resend.asked("POST", "/domains/") == 0


def test_a_record_the_provider_misses_is_named_and_pending(resend: Double) -> None:
    here = site(resend)
    do(here)
    publish(resend, here)
    resend.zone.records.pop((f"send.{DOMAIN}", "MX"))
    check = row(relays.confirm(here, relays.observe(here), apply=True, wait=2), f"relay.verified {DOMAIN}")
    assert check.status is Status.PENDING
    assert check.observed == f"pending: MX send.{DOMAIN}: pending"


STATUSES = [
    ("verified", Status.PASS),
    ("not_started", Status.PENDING),
    ("pending", Status.PENDING),
    ("failed", Status.FAIL),
    ("partially_failed", Status.FAIL),
    ("temporary_failure", Status.FAIL),
    ("partially_verified", Status.PENDING),
    ("levitating", Status.UNKNOWN),
]


@pytest.mark.parametrize(("status", "means"), STATUSES)
def test_every_status_means_something(resend: Double, status: str, means: Status) -> None:
    here = site(resend)
    do(here)
    with resend.ledger.change() as state:
        state["domains"][DOMAIN]["status"] = status
    check = row(relays.confirm(here, relays.observe(here), apply=False, wait=0), f"relay.verified {DOMAIN}")
    assert check.status is means
    assert status in check.observed
    assert check.status is not Status.UNKNOWN or not check.blocks


def test_a_domain_partly_verified_is_trusted_where_all_that_sending_needs_is(resend: Double) -> None:
    here = site(resend)
    do(here)
    with resend.ledger.change() as state:
        domain = state["domains"][DOMAIN]
        domain["status"] = "partially_verified"
        for held in domain["records"]:
            held["status"] = "verified"
        domain["records"].append({**domain["records"][0], "record": "Tracking", "status": "pending"})
    check = row(relays.confirm(here, relays.observe(here), apply=True, wait=9), f"relay.verified {DOMAIN}")
    assert (check.status, resend.asked("POST", "/domains/")) == (Status.PASS, 0)


def test_a_failure_told_after_asking_names_what_is_missed(resend: Double) -> None:
    here = site(resend)
    do(here)
    with resend.ledger.change() as state:
        state["domains"][DOMAIN]["status"] = "failed"
    accounts = relays.observe(here)
    resend.fault(method="POST", path="/domains/", status=200, body={"object": "domain", "id": "x"})
    check = row(relays.confirm(here, accounts, apply=True, wait=20), f"relay.verified {DOMAIN}")
    assert check.status is Status.FAIL
    assert f"TXT send.{DOMAIN}" in check.observed


def test_the_api_failing_while_it_is_watched_is_unknown(resend: Double) -> None:
    here = site(resend)
    do(here)
    accounts = relays.observe(here)
    resend.fault(method="POST", path="/domains/", status=500, body={"name": "application_error", "message": "oops"})
    check = row(relays.confirm(here, accounts, apply=True, wait=5), f"relay.verified {DOMAIN}")
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)


def test_tracking_is_switched_off_by_plan_and_not_twice(resend: Double) -> None:
    here = site(resend)
    do(here)
    with resend.ledger.change() as state:
        state["domains"][DOMAIN] |= {"open_tracking": True, "click_tracking": True}
    accounts = relays.observe(here)
    assert row(relays.account_checks(here, accounts), f"relay.tracking {DOMAIN}").status is Status.PENDING
    (change,) = relays.plan(here, accounts)
    assert (change.before, change.after) == ("open and click tracking on", "off")
    do(here)
    assert resend.asked("PATCH") == 1
    accounts = relays.observe(here)
    assert row(relays.account_checks(here, accounts), f"relay.tracking {DOMAIN}").status is Status.PASS
    assert not relays.plan(here, accounts)


def test_a_key_that_only_sends_is_the_right_one_for_the_server(resend: Double) -> None:
    here = site(resend)
    checks = relays.account_checks(here, relays.observe(here))
    assert row(checks, "relay.key-scope resend").status is Status.PASS
    assert row(checks, "relay.api resend").status is Status.PASS


def test_a_full_access_key_as_smtp_password_is_a_warning_with_its_reason(resend: Double) -> None:
    here = site(resend, password="env:RESEND_ADMIN_KEY")
    check = row(relays.account_checks(here, relays.observe(here)), "relay.key-scope resend")
    assert check.status is Status.WARN
    assert "whoever reads the server's files" in check.observed


def test_a_password_resend_does_not_know_is_wrong(resend: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_SENDING_KEY", "re_revoked_0123456789")
    check = row(relays.account_checks(site(resend), relays.observe(site(resend))), "relay.key-scope resend")
    assert check.status is Status.FAIL


def test_a_sending_only_api_key_leads_to_the_dashboard(resend: Double) -> None:
    here = site(resend, api_key="env:RESEND_SENDING_KEY")
    accounts = relays.observe(here)
    checks = relays.account_checks(here, accounts)
    assert row(checks, "relay.api resend").status is Status.WARN
    assert "https://resend.com/domains" in row(checks, f"relay.domain {DOMAIN}").fix
    assert not relays.plan(here, accounts)
    assert not any(c.blocks for c in checks)


def test_without_a_key_the_stage_is_a_checklist(resend: Double) -> None:
    here = site(resend, api_key=None)
    accounts = relays.observe(here)
    checks = relays.account_checks(here, accounts)
    statuses = {c.name: c.status for c in checks}
    assert statuses == {
        "relay.key-scope resend": Status.PASS,
        "relay.allowance resend": Status.UNKNOWN,
        "relay.suppression resend": Status.UNKNOWN,
        f"relay.domain {DOMAIN}": Status.PENDING,
        f"relay.tracking {DOMAIN}": Status.UNKNOWN,
    }
    assert all(c.fix for c in checks if c.status is not Status.PASS)
    assert checks.require() is checks
    check = row(relays.confirm(here, accounts, apply=True, wait=900), f"relay.verified {DOMAIN}")
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)


def test_with_the_dashboard_s_key_in_params_the_domain_is_taken_as_added(resend: Double) -> None:
    here = site(resend, api_key=None, dkim=[{"selector": "resend", "value": f"p={KEY}=="}])
    checks = relays.account_checks(here, relays.observe(here))
    assert row(checks, f"relay.domain {DOMAIN}").status is Status.PASS
    assert f"resend._domainkey.{DOMAIN}" in [w.name for w in relays.records(here, relays.observe(here)) if w.values]


def test_a_refused_managing_key_fails_and_nothing_is_guessed(resend: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESEND_ADMIN_KEY", "re_unknown_0123456789")
    here = site(resend)
    accounts = relays.observe(here)
    assert row(relays.account_checks(here, accounts), "relay.api resend").status is Status.FAIL
    assert not relays.plan(here, accounts)
    assert all(not w.values for w in relays.records(here, accounts))


def test_a_silent_api_is_unknown_and_does_not_stop_the_stage(resend: Double) -> None:
    here = site(resend)
    resend.fault(path="/", drop=True, times=99)
    checks = relays.account_checks(here, relays.observe(here))
    assert row(checks, "relay.api resend").status is Status.UNKNOWN
    assert checks.require() is checks


def test_a_missing_managing_key_is_a_row(resend: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESEND_ADMIN_KEY")
    checks = relays.account_checks(site(resend), relays.observe(site(resend)))
    assert "RESEND_ADMIN_KEY is not set" in row(checks, "relay.api resend").observed


ALLOWANCES = [
    ({"used": 3, "used_month": 41}, Status.PASS, "3 of 100 today, 41 of 3000 this month"),
    ({"used": 85, "used_month": 90}, Status.WARN, "85 of 100 today"),
    ({"used": 100, "used_month": 100}, Status.FAIL, "further mail is refused"),
    ({"used_month": 4100}, Status.PASS, "4100 this month; the plan's limit"),
    ({}, Status.UNKNOWN, "no answer told"),
]


@pytest.mark.parametrize(("quota", "means", "said"), ALLOWANCES)
def test_how_much_of_the_allowance_is_used_is_shown(
    resend: Double, quota: dict[str, int], means: Status, said: str
) -> None:
    resend.set(quota=quota)
    check = row(relays.account_checks(site(resend), relays.observe(site(resend))), "relay.allowance resend")
    assert check.status is means
    assert said in check.observed


def test_a_suppressed_recipient_is_seen_before_anything_is_sent(resend: Double) -> None:
    resend.set(suppressions=[{"email": FRIEND, "reason": "complaint", "created_at": "2026-11-01 10:00:00+00"}])
    here = site(resend)
    check = row(relays.account_checks(here, relays.observe(here)), f"relay.suppression resend {FRIEND}")
    assert check.status is Status.WARN
    assert "complaint, since 2026-11-01" in check.observed


def test_an_api_without_suppressions_is_unknown(resend: Double) -> None:
    said = {"statusCode": 404, "name": "not_found", "message": "The requested endpoint does not exist."}
    resend.fault(path="/suppressions", status=404, body=said)
    check = row(relays.account_checks(site(resend), relays.observe(site(resend))), f"relay.suppression resend {FRIEND}")
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)


def test_a_sending_key_is_made_for_the_domain_where_params_name_a_file(resend: Double, tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "resend"
    here = site(resend, password=f"file:{path}")
    checks = relays.account_checks(here, relays.observe(here))
    assert row(checks, "relay.key-scope resend").status is Status.PENDING
    do(here)
    made = resend.state["keys"][-1]
    assert path.stat().st_mode & 0o777 == 0o600
    assert Secret(f"file:{path}").reveal() == made["token"]
    assert (made["permission"], made["domain_id"]) == ("sending_access", resend.state["domains"][DOMAIN]["id"])
    accounts = relays.observe(here)
    assert not relays.plan(here, accounts)
    assert row(relays.account_checks(here, accounts), "relay.key-scope resend").status is Status.PASS


def test_a_key_that_could_not_be_made_leaves_no_file(resend: Double, tmp_path: Path) -> None:
    path = tmp_path / "resend-key"
    here = site(resend, password=f"file:{path}")
    resend.fault(method="POST", path="/api-keys", status=422, body={"name": "invalid", "message": "no"})
    with pytest.raises(InvalidError):
        do(here)
    assert not path.exists()


def test_neither_plan_nor_rows_nor_errors_hold_a_key(resend: Double) -> None:
    here = site(resend)
    accounts = relays.observe(here)
    shown = [str(x) + repr(x) + str(x.data()) for x in (accounts, relays.plan(here, accounts))]
    shown.append(str(relays.account_checks(here, accounts).data()))
    assert all(key not in text for text in shown for key in (MANAGING, SENDING))
