"""MXRoute: the domain proved, added and set up through its API, and what is left to a person without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import KEY, LOGIN, MANAGING, Double, mxroute_state, running
from sites import make

from runbooklib import credentials, records, relays
from runbooklib.credentials import Secret
from runbooklib.params import ParamsError, Site
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
    UnavailableError,
)
from runbooklib.relays.mxroute import Mxroute
from runbooklib.results import Check, Checklist, Status

BLOG = "blog.lantern.example"
LOGIN_AS = f"no-reply@{BLOG}"
PROOF = f"_da-verify-0123456789abcdef0123456789abcdef.{BLOG}"


@pytest.fixture
def mxroute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("MXROUTE_KEY", MANAGING)
    monkeypatch.setenv("MXROUTE_LOGIN", LOGIN)
    with running("mxroute", tmp_path, mxroute_state()) as double:
        yield double
    credentials.forget()


def site(double: Double, **changes: object) -> Site:
    """A blog's comment system: a sub-domain with one mailbox."""
    relay = {"provider": "mxroute", "host": "name.mxrouting.example", "api": double.url, "ca": str(double.ca)}
    relay |= {
        "api_user": "lantern",
        "api_key": "env:MXROUTE_KEY",
        "username": LOGIN_AS,
        "password": "env:MXROUTE_LOGIN",
    }
    relay |= changes.pop("relay", {})  # type: ignore[arg-type]
    domain = {"name": BLOG, "relay": "mxroute", "mailboxes": [{"address": LOGIN_AS, "password": "env:HI_PASSWORD"}]}
    given = {k: v for k, v in relay.items() if v is not None}
    return make(domains=[domain | changes], relays={"mxroute": given})


def client(double: Double, **settings: object) -> Mxroute:
    """The client with short pauses."""
    headers = {"X-Server": "name.mxrouting.example", "X-Username": "lantern", "X-API-Key": MANAGING}
    return Mxroute(Api(double.url, headers, str(double.ca), own=True, **{"pauses": (0.0, 0.0), **settings}))


def do(here: Site) -> None:
    """Applies what is planned, as 02 does, without the server that API changes do not need."""
    for change in relays.plan(here, relays.observe(here)):
        change.do()  # type: ignore[attr-defined]


def added(double: Double, **state: object) -> None:
    """The domain as it stands when a person added it in the panel."""
    double.set(domains={BLOG: {"status": "verified", "mail_hosting": True}}, **state)


def row(checks: Checklist, name: str) -> Check:
    return checks[name]


FAULTS = [
    (400, "VALIDATION_ERROR", InvalidError, Status.FAIL),
    (401, "UNAUTHORIZED", KeyRefusedError, Status.FAIL),
    (403, "FORBIDDEN", ForbiddenError, Status.FAIL),
    (404, "NOT_FOUND", MissingError, Status.FAIL),
    (409, "CONFLICT", ConflictError, Status.FAIL),
    (422, "BUSINESS_ERROR", InvalidError, Status.FAIL),
    (429, "RATE_LIMITED", RateLimitedError, Status.UNKNOWN),
    (500, "SERVER_ERROR", UnavailableError, Status.UNKNOWN),
]


@pytest.mark.parametrize(("status", "code", "error", "means"), FAULTS)
def test_every_code_has_its_own_error(
    mxroute: Double, status: int, code: str, error: type[ProviderError], means: Status
) -> None:
    body = {"success": False, "error": {"code": code, "message": f"why, {MANAGING}"}}
    mxroute.fault(path="/domains", status=status, body=body, times=9)
    Secret("env:MXROUTE_KEY").reveal()
    with pytest.raises(ProviderError, match=code) as raised:
        client(mxroute).domains()
    assert (type(raised.value), raised.value.status) == (error, means)
    assert MANAGING not in str(raised.value)


@pytest.mark.parametrize(
    "body", ["<html>maintenance</html>", "{", {"success": True}, {"success": False, "data": []}, {"data": [1]}]
)
def test_an_answer_of_another_shape_is_malformed(mxroute: Double, body: object) -> None:
    mxroute.fault(path="/domains", status=200, body=body)
    with pytest.raises(MalformedError):
        client(mxroute).domains()


def test_the_write_limit_is_waited_out(mxroute: Double) -> None:
    added(mxroute)
    limit = {"success": False, "error": {"code": "RATE_LIMITED", "message": "later"}}
    mxroute.fault(method="PATCH", path="/domains", status=429, body=limit, headers={"Retry-After": "1"})
    slept: list[float] = []
    client(mxroute, sleep=slept.append).host_nothing(BLOG)
    assert 1 in slept
    assert mxroute.state["domains"][BLOG]["mail_hosting"] is False


@pytest.mark.parametrize("wrong", [{"api_user": "somebody"}, {"host": "other.mxrouting.example"}])
def test_server_user_and_key_belong_together(mxroute: Double, wrong: dict[str, str]) -> None:
    here = site(mxroute, relay=wrong)
    check = row(relays.account_checks(here, relays.observe(here)), "relay.api mxroute")
    assert check.status is Status.FAIL
    assert "Invalid API credentials" in check.observed


@pytest.mark.parametrize("missing", ["api_user", "api_key"])
def test_key_and_panel_user_are_refused_apart(mxroute: Double, missing: str) -> None:
    with pytest.raises(ParamsError, match="api_user, the panel's user, and api_key together"):
        site(mxroute, relay={missing: None})


def test_the_whole_way_of_a_new_domain(mxroute: Double) -> None:
    """02 shows what must be proved, 04 publishes and adds, 02 sets up, and then the DKIM key is known."""
    here = site(mxroute)
    first = relays.observe(here)
    check = row(relays.account_checks(here, first), f"relay.domain {BLOG}")
    assert (check.status, check.waits_for) == (Status.PENDING, "04-dns")
    assert PROOF in check.observed
    assert not relays.plan(here, first)
    proof, key = sorted(relays.records(here, first), key=lambda w: w.name)
    assert (key.name, key.values, key.known_after) == (f"x._domainkey.{BLOG}", (), "04-dns")
    assert (proof.name, proof.type, proof.values, proof.kind) == (PROOF, "TXT", ("domain-verified",), "ownership")

    unseen = row(relays.confirm(here, first, apply=True, wait=0), f"relay.verified {BLOG}")
    assert unseen.status is Status.PENDING
    assert "not seen by MXRoute" in unseen.observed
    mxroute.publish((PROOF, "TXT", "domain-verified"))
    told = relays.confirm(here, first, apply=True, wait=0)
    assert row(told, f"relay.verified {BLOG}").status is Status.PASS
    assert row(told, f"relay.dkim {BLOG}").waits_for == "02-relay"

    second = relays.observe(here)
    assert [c.target for c in relays.plan(here, second)] == [
        f"mxroute {BLOG} local mail hosting",
        f"mxroute {BLOG} mailbox",
    ]
    do(here)
    third = relays.observe(here)
    assert not relays.plan(here, third)
    checks = relays.account_checks(here, third)
    assert {c.status for c in checks} == {Status.PASS}
    assert {"relay.hosting", "relay.mailbox", "relay.senders"} <= {c.name.partition(" ")[0] for c in checks}
    assert {(w.name, w.type): w.values for w in relays.records(here, third)} == {
        (BLOG, "TXT"): ("v=spf1 include:mxroute.com ~all",),
        (f"x._domainkey.{BLOG}", "TXT"): (f"v=DKIM1; k=rsa; p={KEY}==",),
    }
    (account,) = mxroute.state["accounts"]
    assert (account["address"], account["password"]) == (LOGIN_AS, LOGIN)


def test_confirming_without_apply_adds_nothing(mxroute: Double) -> None:
    here = site(mxroute)
    mxroute.publish((PROOF, "TXT", "domain-verified"))
    check = row(relays.confirm(here, relays.observe(here), apply=False, wait=900), f"relay.verified {BLOG}")
    assert (check.status, mxroute.asked("POST")) == (Status.PENDING, 0)


def test_a_proof_that_does_not_stand_yet_is_not_asked_about(mxroute: Double) -> None:
    here = site(mxroute)
    dns = Checklist("DNS", (Check(f"dns.ownership {PROOF}", Status.PENDING, "", ""),))
    check = row(relays.confirm(here, relays.observe(here), apply=True, wait=900, dns=dns), f"relay.verified {BLOG}")
    assert (check.status, mxroute.asked("POST")) == (Status.PENDING, 0)


def test_a_domain_added_without_our_hearing_of_it_is_found(mxroute: Double) -> None:
    mxroute.publish((PROOF, "TXT", "domain-verified"))
    mxroute.fault(method="POST", path="/domains", drop=True, after=True)
    client(mxroute).add(BLOG)
    client(mxroute).add(BLOG)
    assert list(mxroute.state["domains"]) == [BLOG]


def test_a_mailbox_that_is_there_keeps_its_password(mxroute: Double) -> None:
    added(mxroute, accounts=[{"address": LOGIN_AS, "password": "Chosen-1n-the-panel", "catch_all": False}])
    client(mxroute).make_mailbox(LOGIN_AS, Secret("env:MXROUTE_LOGIN"))
    assert mxroute.state["accounts"][0]["password"] == "Chosen-1n-the-panel"
    here = site(mxroute)
    assert not relays.plan(here, relays.observe(here)).touches("mailbox")


def test_a_password_mxroute_finds_too_weak_is_its_own_row(mxroute: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    added(mxroute)
    monkeypatch.setenv("MXROUTE_LOGIN", "all-lower-case")
    with pytest.raises(InvalidError, match="upper case") as raised:
        do(site(mxroute))
    assert "all-lower-case" not in str(raised.value)


def test_a_second_sender_needs_the_mailbox_as_catch_all(mxroute: Double) -> None:
    added(mxroute, accounts=[{"address": LOGIN_AS, "password": LOGIN, "catch_all": False}])
    here = site(mxroute, aliases={f"team@{BLOG}": LOGIN_AS})
    accounts = relays.observe(here)
    assert row(relays.account_checks(here, accounts), f"relay.senders {BLOG}").status is Status.PENDING
    change = relays.plan(here, accounts).changes[-1]
    assert (change.before, change.after) == ("none", LOGIN_AS)
    do(here)
    assert mxroute.state["accounts"][0]["catch_all"] is True
    assert not relays.plan(here, relays.observe(here))


def test_a_domain_that_logs_in_as_a_mailbox_elsewhere_gets_a_catch_all(mxroute: Double) -> None:
    added(mxroute)
    here = site(mxroute, relay={"username": "relay@lantern.example"})
    do(here)
    assert mxroute.state["domains"][BLOG]["catch_all"] == "relay@lantern.example"
    assert not relays.plan(here, relays.observe(here))


def test_local_mail_hosting_is_named_while_it_is_on(mxroute: Double) -> None:
    added(mxroute)
    here = site(mxroute)
    check = row(relays.account_checks(here, relays.observe(here)), f"relay.hosting {BLOG}")
    assert check.status is Status.PENDING
    assert "other customers" in check.observed


@pytest.mark.parametrize(("sent", "means"), [(12, Status.PASS), (8000, Status.WARN), (9600, Status.FAIL)])
def test_how_much_the_login_sent_today_is_shown(mxroute: Double, sent: int, means: Status) -> None:
    added(mxroute, accounts=[{"address": LOGIN_AS, "password": LOGIN, "sent": sent, "limit": 9600}])
    here = site(mxroute)
    check = row(relays.account_checks(here, relays.observe(here)), "relay.allowance mxroute")
    assert check.status is means
    assert f"{sent} of 9600" in check.observed


def test_without_a_key_the_stage_is_a_checklist(mxroute: Double) -> None:
    here = site(mxroute, relay={"api_key": None, "api_user": None})
    accounts = relays.observe(here)
    checks = relays.account_checks(here, accounts)
    assert {c.name: c.status for c in checks} == {
        f"relay.domain {BLOG}": Status.PENDING,
        f"relay.hosting {BLOG}": Status.UNKNOWN,
    }
    assert checks.require() is checks
    assert mxroute.server.seen == []
    check = row(relays.confirm(here, accounts, apply=True, wait=900), f"relay.verified {BLOG}")
    assert (check.status, check.blocks) == (Status.UNKNOWN, False)


def test_one_domain_s_bad_answer_is_its_own_problem(mxroute: Double) -> None:
    added(mxroute)
    mxroute.fault(path=f"/domains/{BLOG}/dns", status=200, body={"success": True, "data": {"dkim": "soon"}})
    here = site(mxroute)
    accounts = relays.observe(here)
    checks = relays.account_checks(here, accounts)
    assert row(checks, "relay.api mxroute").status is Status.PASS
    assert row(checks, f"relay.domain {BLOG}").status is Status.UNKNOWN
    assert checks.require() is checks
    assert not relays.plan(here, accounts)


def test_the_provider_s_spf_takes_the_place_of_the_params_and_says_the_trade_off(mxroute: Double) -> None:
    added(mxroute)
    mxroute.set(pool="mxlogin.com")
    here = site(mxroute)
    want = records.desired(here, relays.records(here, relays.observe(here)))
    (spf,) = [w for w in want if w.kind == "spf" and w.name == BLOG]
    assert spf.values == ("v=spf1 include:mxlogin.com ~all",)
    assert "a mx" in spf.reason


@pytest.mark.parametrize("own", ["ip4:203.0.113.10", "a mx"])
def test_own_addresses_in_params_stand_before_the_provider_s_pool(mxroute: Double, own: str) -> None:
    added(mxroute)
    here = site(mxroute, relay={"spf": f"{own} include:mxroute.com"})
    want = records.desired(here, relays.records(here, relays.observe(here)))
    (spf,) = [w for w in want if w.kind == "spf" and w.name == BLOG]
    assert spf.values == (f"v=spf1 {own} include:mxroute.com ~all",)


def test_both_shapes_of_spf_can_be_asked_for() -> None:
    for shape in ("ip4:203.0.113.10 include:mxroute.com", "a mx include:mxroute.com"):
        relay = {"provider": "mxroute", "host": "name.mxrouting.net", "spf": shape}
        want = records.desired(make(relays={"office": relay}))
        (spf,) = [w for w in want if w.kind == "spf" and w.name == "lantern.example"]
        assert spf.values == (f"v=spf1 {shape} ~all",)


def test_no_key_and_no_password_stands_in_what_is_shown(mxroute: Double) -> None:
    added(mxroute)
    here = site(mxroute)
    accounts = relays.observe(here)
    shown = [str(x) + repr(x) + str(x.data()) for x in (accounts, relays.plan(here, accounts))]
    shown.append(str(relays.account_checks(here, accounts).data()))
    assert all(secret not in text for text in shown for secret in (MANAGING, LOGIN))
