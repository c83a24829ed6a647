"""Stage 01 on mailcow: what is planned, made, read back, and what of other hands stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cows import Cow
from cowsites import client, elsewhere, grazing, site
from sites import GIVEN

from runbooklib import servers
from runbooklib.results import GateError, Plan, Status, UnsafePlanError
from runbooklib.servers.mailcow import aliases, bootstrap, domains, mailboxes
from runbooklib.servers.mailcow.domains import Limits
from runbooklib.servers.mailcow.state import Alias, Box, Hosted, State
from runbooklib.servers.mailcow.writes import Write

HI, SALES, ALL = "hi@lantern.example", "sales@lantern.example", "@lantern.example"
MORE = [
    {"address": f"box{n}@lantern.example", "password": "env:HI_PASSWORD", "quota": "2G" if n else None}
    for n in range(12)
]


@pytest.fixture
def cow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cow]:
    with grazing(monkeypatch) as cow:
        yield cow


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HI_PASSWORD", "hi-Passw0rd")


def applied(cow: Cow, **changes: Any) -> Plan:
    """Stage 01 once; the plan that is left."""
    where = site(cow, **changes)
    servers.apply(where, servers.plan(where, servers.observe(where)), apply=True)
    return servers.plan(where, servers.observe(where))


def planned(cow: Cow, **changes: Any) -> Plan:
    where = site(cow, **changes)
    return servers.plan(where, servers.observe(where))


def row(cow: Cow, table: str, column: str, value: str) -> dict[str, Any]:
    return next(r for r in cow.rows(table) if r[column] == value)


def test_an_empty_mailcow_gets_everything_and_a_second_time_nothing(cow: Cow) -> None:
    left = applied(cow)
    assert not left
    assert not left.refusals
    assert row(cow, "mailbox", "username", HI)["active"] == 1
    asked = cow.asked("POST")
    servers.apply(site(cow), left, apply=True)
    assert cow.asked("POST") == asked


def test_without_apply_nothing_is_written(cow: Cow) -> None:
    plan = planned(cow)
    assert [c.target for c in plan][:2] == ["domain lantern.example", f"mailbox {HI}"]
    servers.apply(site(cow), plan, apply=False)
    assert cow.asked("POST") == 0


def test_no_password_stands_in_a_plan(cow: Cow) -> None:
    plan = planned(cow)
    assert "hi-Passw0rd" not in repr(plan) + str(plan) + str(plan.data())
    assert "env:HI_PASSWORD" in str(plan)


def test_aliases_are_active_and_may_be_used_as_sender(cow: Cow) -> None:
    applied(cow)
    made = {a["address"]: a for a in client(cow).items("alias", "all")}
    assert set(made) == {SALES, ALL, "postmaster@lantern.example", "abuse@lantern.example"}
    assert all((a["active"], a["sender_allowed"], a["goto"]) == (1, 1, HI) for a in made.values())


def test_the_key_of_a_new_domain_has_the_selector_and_size_of_params(cow: Cow) -> None:
    applied(cow, domains__0__dkim={"selector": "s2026", "size": 1024})
    told = client(cow).facts("dkim", "lantern.example")
    assert (told["dkim_selector"], told["length"]) == ("s2026", "1024")


def test_a_new_domain_holds_all_that_params_put_into_it(cow: Cow) -> None:
    assert not applied(cow, domains__0__mailboxes=[*GIVEN["domains"][0]["mailboxes"], *MORE])
    (told,) = client(cow).items("domain", "all")
    assert told["max_num_mboxes_for_domain"] == 13
    assert told["max_quota_for_domain"] == 22 * 1024**3
    assert row(cow, "mailbox", "username", "box1@lantern.example")["quota"] == 2 * 1024**3


def test_limits_that_are_too_tight_are_raised_and_never_lowered(cow: Cow) -> None:
    client(cow).post("add/domain", {"domain": "lantern.example", "mailboxes": 2, "aliases": 900, "quota": 10240})
    plan = planned(cow, domains__0__mailboxes=[*GIVEN["domains"][0]["mailboxes"], *MORE])
    change = next(c for c in plan if c.target == "limits of lantern.example")
    assert change.before == "2 mailboxes, 900 aliases, 10240 MiB each, 10240 MiB in all"
    assert change.after == "13 mailboxes, 900 aliases, 10240 MiB each, 22528 MiB in all"
    assert not applied(cow, domains__0__mailboxes=[*GIVEN["domains"][0]["mailboxes"], *MORE])


def test_a_mailbox_keeps_its_password_and_gets_its_quota(cow: Cow, monkeypatch: pytest.MonkeyPatch) -> None:
    applied(cow)
    before = row(cow, "mailbox", "username", HI)["password"]
    monkeypatch.setenv("HI_PASSWORD", "another-Passw0rd")
    box = {"address": HI, "password": "env:HI_PASSWORD", "quota": "5G"}
    (change,) = planned(cow, domains__0__mailboxes=[box])
    assert (change.target, change.after) == (f"quota of {HI}", "5120 MiB")
    assert not applied(cow, domains__0__mailboxes=[box])
    assert row(cow, "mailbox", "username", HI)["password"] == before


def test_an_alias_of_ours_goes_when_params_drop_it_and_others_stay(cow: Cow) -> None:
    applied(cow)
    client(cow).post("add/alias", {"address": "theirs@lantern.example", "goto": HI, "active": "1"})
    (change,) = planned(cow, domains__0__aliases={})
    assert (change.target, change.after) == (f"alias {SALES}", "removed")
    assert not applied(cow, domains__0__aliases={})
    assert "theirs@lantern.example" in {a["address"] for a in client(cow).items("alias", "all")}


def test_an_alias_of_another_site_in_the_same_mailcow_is_not_ours(cow: Cow) -> None:
    applied(cow)
    assert not planned(cow, name="another", domains__0__aliases={})


def test_an_alias_of_ours_that_was_bent_is_put_right(cow: Cow) -> None:
    applied(cow)
    (alias,) = (a for a in client(cow).items("alias", "all") if a["address"] == SALES)
    client(cow).post("edit/alias", {"items": [str(alias["id"])], "attr": {"active": "0", "sender_allowed": "0"}})
    (change,) = planned(cow)
    assert change.before == "switched off; may not be used as sender"
    assert not applied(cow)


def test_an_address_may_become_a_mailbox_once_our_alias_is_gone(cow: Cow) -> None:
    applied(cow)
    boxes = [*GIVEN["domains"][0]["mailboxes"], {"address": SALES, "password": "env:HI_PASSWORD"}]
    assert not applied(cow, domains__0__aliases={}, domains__0__mailboxes=boxes)
    assert row(cow, "mailbox", "username", SALES)["active"] == 1


def test_what_mailcow_refuses_stops_the_plan_with_its_reason(cow: Cow) -> None:
    plan = planned(cow)
    cow.script(
        method="POST", path="/api/v1/add/mailbox", status=200, body='[{"type":"danger","msg":"mailbox_invalid"}]'
    )
    with pytest.raises(GateError, match="no address that mailcow takes for a mailbox"):
        servers.apply(site(cow), plan, apply=True)
    assert [r["domain"] for r in cow.rows("domain")] == ["lantern.example"]
    assert not applied(cow)


def test_a_foreign_domain_is_listed_and_stays_as_it_is(cow: Cow) -> None:
    for step in ("domain", "mailbox"):
        client(cow).post(
            f"add/{step}",
            {
                "domain": "theirs.example",
                "local_part": "x",
                "password": "abcdef12",
                "password2": "abcdef12",
                "active": 1,
            },
        )
    before = [row(cow, "domain", "domain", "theirs.example"), row(cow, "mailbox", "username", "x@theirs.example")]
    applied(cow)
    after = [row(cow, "domain", "domain", "theirs.example"), row(cow, "mailbox", "username", "x@theirs.example")]
    assert before == after
    have = servers.observe(site(cow))
    assert "theirs.example" in str(have)
    assert "x@theirs.example" not in str(have)


def test_nobody_elses_webmail_is_restarted(cow: Cow) -> None:
    alone = next(c for c in planned(cow) if c.target.startswith("domain "))
    client(cow).post("add/domain", {"domain": "theirs.example"})
    shared = next(c for c in planned(cow) if c.target.startswith("domain "))
    assert isinstance(alone, Write)
    assert isinstance(shared, Write)
    assert (alone.body["restart_sogo"], shared.body["restart_sogo"]) == (1, 0)  # type: ignore[call-overload]
    assert alone.after.endswith("webmail restarts")
    assert "docker compose restart sogo-mailcow" in shared.after


def test_two_domains_that_share_a_mailcow_go_hand_in_hand(cow: Cow) -> None:
    second = {"name": "pier.example", "relay": "office", "catch_all": HI}
    assert not applied(cow, domains=[{**GIVEN["domains"][0], "refuse": []}, second])
    goto = {a["address"]: a["goto"] for a in client(cow).items("alias", "all")}
    assert goto["@pier.example"] == HI


STANDS = State(
    version="2026-07a",
    domains={"lantern.example": Hosted("lantern.example", mailboxes=10, aliases=400, largest=10240, whole=10240)},
)


def bent(**changes: Any) -> State:
    return replace(STANDS, **changes)


def their(address: str, goto: str, **changes: Any) -> dict[str, Alias]:
    return {address: Alias("7", address, frozenset({goto}), **changes)}


@pytest.mark.parametrize(
    ("have", "said"),
    [
        (bent(domains={}, alias_domains={"lantern.example": "pier.example"}), "alias domain of pier.example"),
        (bent(domains={"lantern.example": Hosted("lantern.example", relayed=True)}), "backup MX"),
        (bent(domains={"lantern.example": Hosted("lantern.example", active=False)}), "switched off"),
        (bent(aliases=their(HI, "x@pier.example")), "params declare a mailbox: make them agree"),
        (bent(mailboxes={SALES: Box(SALES)}), "params declare an alias: make them agree"),
        (bent(aliases=their(SALES, "x@pier.example")), f"params say {HI}: make them agree"),
        (bent(aliases=their(ALL, "x@pier.example")), f"sends {ALL} to x@pier.example"),
        (bent(aliases=their(SALES, HI, active=False)), "of other hands is switched off"),
        (bent(policy={"length": 12}), "shorter than the 12 characters"),
        (bent(policy={"length": 6, "special_chars": 1, "numbers": 1}), "neither letter nor digit"),
    ],
)
def test_what_other_hands_set_up_differently_is_refused(
    have: State, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HI_PASSWORD", "Passw0rd")
    plan = bootstrap.plan(elsewhere(), have)
    assert any(said in reason for reason in plan.refusals)
    with pytest.raises(UnsafePlanError):
        servers.apply(elsewhere(), plan, apply=True)


def test_a_password_that_is_not_to_be_had_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HI_PASSWORD")
    assert any("env:HI_PASSWORD is not set" in reason for reason in bootstrap.plan(elsewhere(), STANDS).refusals)


def test_whoever_reads_postmaster_already_may_go_on_to() -> None:
    have = bent(aliases=their("postmaster@lantern.example", "x@pier.example"))
    assert not bootstrap.plan(elsewhere(), have).refusals
    named = elsewhere(domains__0__aliases={"postmaster@lantern.example": HI})
    assert bootstrap.plan(named, have).refusals


@pytest.mark.parametrize(
    ("changes", "have", "refused"),
    [
        ({}, STANDS, "cannot be refused beside a catch-all"),
        ({"domains__0__catch_all": None}, STANDS, ""),
        ({"domains__0__catch_all": None}, bent(aliases=their(ALL, HI)), "cannot be refused beside a catch-all"),
        ({"domains__0__catch_all": None}, bent(mailboxes={"leaked@lantern.example": Box("")}), "mailcow delivers it"),
    ],
)
def test_an_address_to_refuse_is_promised_only_where_mailcow_can(
    changes: dict[str, Any], have: State, refused: str
) -> None:
    where = elsewhere(domains__0__refuse=["leaked@lantern.example"], **changes)
    told = [r for r in bootstrap.plan(where, have).refusals if "leaked@" in r]
    assert [refused in r for r in told] == ([True] if refused else [])


@pytest.mark.parametrize(
    ("password", "policy", "good"),
    [
        ("hi-Passw0rd", {}, True),
        ("hi-Passw0rd", {"length": 11, "chars": 1, "numbers": 1, "special_chars": 1, "lowerupper": 1}, True),
        ("hi-Passw0rd", {"length": 12}, False),
        ("hipassword", {"numbers": 1}, False),
        ("1234567", {"chars": 1}, False),
        ("password", {"lowerupper": 1}, False),
        ("PASSWORD", {"lowerupper": 1}, False),
        ("{SSHA}abcdef", {}, False),  # mailcow would store it as the hash itself
        ("{not a scheme", {}, True),
    ],
)
def test_passwords_that_mailcow_refuses_or_misreads_are_told_before(
    password: str, policy: dict[str, int], good: bool
) -> None:
    assert bool(mailboxes.password_problem(password, State(policy=policy))) is not good


@pytest.mark.parametrize(("size", "mebibytes"), [("500M", 500), ("5G", 5120), ("1T", 1048576), ("1k", 1), ("1500k", 2)])
def test_sizes_are_told_in_the_unit_of_mailcow(size: str, mebibytes: int) -> None:
    assert domains.mebibytes(size) == mebibytes


def test_limits_fit_into_each_other() -> None:
    assert Limits(1, 1, 20000, 5).at_least(Limits(2, 0, 0, 0)) == Limits(2, 1, 20000, 20000)


def test_rows_of_aliases_turn_red() -> None:
    where = elsewhere()
    mark = aliases.mark(where)

    def judged(**changes: Any) -> dict[str, Status]:
        have = bent(aliases=their(SALES, changes.pop("goto", HI), **changes))
        return {c.name: c.status for c in aliases.rows(where, have)}

    assert judged()[f"server.alias {SALES}"] is Status.PASS
    assert judged(active=False, comment=mark)[f"server.alias {SALES}"] is Status.FAIL
    assert judged(goto="x@pier.example")[f"server.alias {SALES}"] is Status.FAIL
    assert judged(sender=False)[f"server.alias {SALES}"] is Status.WARN
    assert judged()[f"server.catch-all {ALL}"] is Status.FAIL


@pytest.mark.parametrize(
    ("boxes", "status"),
    [
        ({HI: Box(HI)}, Status.PASS),
        ({HI: Box(HI), "x@lantern.example": Box("x@lantern.example")}, Status.PASS),
        ({}, Status.FAIL),
        ({HI: Box(HI, active=0)}, Status.FAIL),
        ({HI: Box(HI, active=2)}, Status.FAIL),
        ({HI: Box(HI, barred=("smtp",))}, Status.FAIL),
    ],
)
def test_a_mailbox_that_is_missing_or_shut_is_a_failure(boxes: dict[str, Box], status: Status) -> None:
    assert mailboxes.row(elsewhere(), bent(mailboxes=boxes)).status is status


@pytest.mark.parametrize(
    ("hosted", "status"),
    [
        (STANDS.domains["lantern.example"], Status.PASS),
        (None, Status.FAIL),
        (Hosted("lantern.example", mailboxes=10, aliases=2, largest=1, whole=1), Status.FAIL),
        (Hosted("lantern.example", active=False), Status.FAIL),
        (Hosted("lantern.example", relayed=True), Status.FAIL),
    ],
)
def test_a_domain_without_room_or_not_received_here_is_a_failure(hosted: Hosted | None, status: Status) -> None:
    have = bent(domains={"lantern.example": hosted} if hosted else {})
    rows = {c.name: c.status for c in bootstrap.standing(elsewhere(), have)}
    assert rows["server.domain lantern.example"] is status


def test_a_plan_only_shown_is_pending(cow: Cow) -> None:
    where = site(cow)
    done = servers.apply(where, planned(cow), apply=False)
    (only,) = servers.verify(where, done, 0)
    assert (only.name, only.status) == ("server.plan", Status.PENDING)


def test_a_mailcow_that_was_brought_about_is_verified_and_what_is_unreachable_is_unknown(cow: Cow) -> None:
    where = site(cow)
    done = servers.apply(where, planned(cow), apply=True)
    found = {c.name: c.status for c in servers.verify(where, done, 5)}
    assert found["server.ready"] is Status.PASS
    assert found["server.containers"] is Status.PASS
    assert found[f"server.alias {SALES}"] is Status.PASS
    assert found["server.tls.993"] is Status.UNKNOWN  # no mail is served beside the double's API
    assert Status.FAIL not in found.values()


def test_a_mailcow_that_does_not_answer_ends_the_verification(cow: Cow) -> None:
    done = servers.apply(site(cow), Plan(""), apply=True)
    cow.script(status=502, body="", times=999)
    (only,) = servers.verify(site(cow), done, 0)
    assert (only.name, only.status) == ("server.ready", Status.UNKNOWN)
