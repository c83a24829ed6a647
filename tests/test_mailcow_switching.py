"""Stage 02 on mailcow: a transport found or made once, its login right, tested by mailcow, assigned, read back."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import cows
import pytest
import sites
from scripts import SILENCE, Script

from runbooklib import credentials, servers
from runbooklib.params import Site
from runbooklib.results import Checklist, GateError, Outcome, Plan, Status, UnsafePlanError
from runbooklib.servers import mailcow
from runbooklib.servers.mailcow import api, relaytest, steps
from runbooklib.servers.mailcow.api import Api, NothingDoneError
from runbooklib.servers.mailcow.relaytest import RelayTestError
from runbooklib.servers.mailcow.state import NO_RELAY
from runbooklib.servers.retired import RELAY, Retired

DOMAIN, HI, SALES = "lantern.example", "hi@lantern.example", "sales@lantern.example"
GREETING = ["220 hi", "250-relay\n250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"]
IN, OK, GO, BYE = "235 2.7.0 ok", "250 2.0.0 ok", "354 go on", "221 bye"
TAKEN = [*GREETING, IN, OK, OK, GO, OK, BYE]
UNVERIFIED = [*GREETING, IN, OK, OK, GO, "550 The lantern.example domain is not verified", BYE]
WRONG_LOGIN = [*GREETING, "535 5.7.8 Error: authentication failed", BYE]


@pytest.fixture
def cow() -> Iterator[cows.Cow]:
    with cows.double(patience=2.0) as double:
        yield double


@dataclass
class Herd:
    """One mailcow, relays behind scripts, and the site that uses them."""

    cow: cows.Cow
    monkeypatch: pytest.MonkeyPatch
    stack: ExitStack
    scripts: dict[str, Script] = field(default_factory=dict)
    password: str = "correct horse"

    def site(self, *lines: list[str], recipients: bool = True, **changes: Any) -> Site:
        """A site whose domains send through `office`, which says these lines; `other` does, too."""
        for name in ("office", "other"):
            self.scripts.setdefault(name, self.stack.enter_context(Script(lines[0] if lines else TAKEN)))
        self.monkeypatch.setenv("COW_KEY", self.cow.key)
        self.monkeypatch.setenv("OFFICE_SMTP", self.password)
        self.monkeypatch.setenv("HI_PASSWORD", "Mailbox-Passw0rd")
        relays = {name: self._relay(script) for name, script in self.scripts.items()}
        mail = {"server": "mailcow", "url": self.cow.url, "api_key": "env:COW_KEY", "tls": {"ca": str(self.cow.ca)}}
        test = {"recipients": [{"address": "someone@example.org"}]} if recipients else {}
        return sites.make(**{"mail": mail, "relays": relays, "test": test} | changes)

    def _relay(self, script: Script) -> dict[str, Any]:
        login = {"username": "u", "password": "env:OFFICE_SMTP"}
        return {"provider": "smtp", "host": "127.0.0.1", "port": script.port, **login}

    def hop(self, name: str = "office") -> str:
        return f"[127.0.0.1]:{self.scripts[name].port}"

    @property
    def api(self) -> Api:
        """The double as an administrator of it has it."""
        self.monkeypatch.setenv("COW_KEY", self.cow.key)
        return Api(self.cow.url, credentials.Secret("env:COW_KEY"), str(self.cow.ca))

    def people(self, *boxes: str, domain: str = DOMAIN) -> None:
        """A domain without a key, and its mailboxes."""
        self.api.post("add/domain", {"domain": domain, "key_size": 0, "dkim_selector": ""})
        password = secrets.token_hex(8)
        for box in boxes:
            who = {"local_part": box.partition("@")[0], "domain": domain, "password": password, "password2": password}
            self.api.post("add/mailbox", {**who, "quota": 1, "active": "1"})

    def row(self, hop: str, *, password: str = "correct horse", active: str = "1", **where: str) -> str:  # noqa: S107
        """A transport as its administrator made it, assigned to a domain or a mailbox."""
        self.api.post("add/relayhost", {"hostname": hop, "username": "u", "password": password})
        id_ = str(self.cow.rows("relayhosts")[-1]["id"])
        if active == "0":
            self.api.post("edit/relayhost", {"items": [id_], "attr": {"active": "0"}})
        for kind, item in where.items():
            self.api.post(f"edit/{kind}", {"items": [item], "attr": {"relayhost": id_}})
        return id_

    def assigned(self, domain: str = DOMAIN) -> str:
        return str(next(d["relayhost"] for d in self.cow.rows("domain") if d["domain"] == domain))

    def heard(self, name: str = "office") -> list[str]:
        return self.scripts[name].heard


@pytest.fixture
def herd(cow: cows.Cow, monkeypatch: pytest.MonkeyPatch) -> Iterator[Herd]:
    with ExitStack() as stack:
        yield Herd(cow, monkeypatch, stack)
    credentials.forget()


def planned(site: Site, waiting: Mapping[str, str] | None = None, leaving: tuple[Retired, ...] = ()) -> Plan:
    return mailcow.plan_routes(site, mailcow.routes(site), "direct", waiting or {}, leaving)


def walked(site: Site, waiting: Mapping[str, str] | None = None) -> tuple[Outcome, Checklist]:
    """The whole stage, applied."""
    done = servers.apply(site, planned(site, waiting), apply=True)
    return done, mailcow.verify_routes(site, done, "direct", waiting or {}, 0)


def orders(plan: Plan) -> list[str]:
    return [change.target.partition(" ")[0] for change in plan]


def status(checks: Checklist, name: str) -> Status:
    return checks[name].status


def test_a_transport_is_made_tested_assigned_and_found_again(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    plan = planned(site)
    assert orders(plan) == ["transport", "login", "TLS", "relay", "route"]
    done, verdict = walked(site)
    (row,) = herd.cow.rows("relayhosts")
    assert (row["hostname"], row["username"], row["password"]) == (herd.hop(), "u", "correct horse")
    assert herd.assigned() == str(row["id"])
    assert verdict.status is Status.WARN
    assert {c.name for c in verdict if c.status is Status.WARN} == {"relay.route null-sender"}
    assert status(verdict, "relay.test office") is Status.PASS
    (policy,) = herd.cow.rows("tls_policy_override")
    assert (policy["dest"], policy["policy"], policy["parameters"]) == (herd.hop(), "secure", "match=127.0.0.1")
    assert not planned(site)
    assert servers.apply(site, planned(site), apply=True) == Outcome(planned(site))
    assert herd.heard().count("DATA") == 1
    assert [line.lower() for line in herd.heard() if ":" in line][:2] == [
        f"mail from:<{HI}>", "rcpt to:<someone@example.org>",
    ]  # fmt: skip
    assert done.done == done.plan.changes


def test_nothing_is_changed_without_apply(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    done = servers.apply(site, planned(site), apply=False)
    assert not herd.cow.rows("relayhosts")
    verdict = mailcow.verify_routes(site, done, "direct", {}, 0)
    assert status(verdict, "relay.route") is Status.PENDING
    assert not herd.heard()


@pytest.mark.parametrize("password", ["se:cr:et", ":colons:", r"back\slash", "ümläut€", "quo\"te'and`tick", "a b  c d"])
def test_a_password_arrives_as_it_is_whatever_it_holds(herd: Herd, password: str) -> None:
    herd.people(HI)
    herd.password = password
    site = herd.site()
    walked(site)
    assert [row["password"] for row in herd.cow.rows("relayhosts")] == [password]
    encoded = base64.b64encode(password.encode()).decode()
    assert encoded in herd.heard()
    assert not planned(site)


def test_a_relay_that_knows_our_address_gets_no_login(herd: Herd) -> None:
    herd.people(HI)
    herd.site(["220 hi", "250 relay", OK, OK, GO, OK, BYE])
    relay = {"provider": "smtp", "host": "127.0.0.1", "port": herd.scripts["office"].port}
    site = herd.site(relays={"office": relay})
    _, verdict = walked(site)
    (row,) = herd.cow.rows("relayhosts")
    assert (row["username"], row["password"], str(row["id"])) == ("", "", herd.assigned())
    assert "relay.login-map office" not in {c.name for c in verdict}
    assert not planned(site)


def test_a_password_that_mailcow_would_cut_is_refused(herd: Herd) -> None:
    herd.people(HI)
    herd.password = " outer blanks "
    site = herd.site()
    with pytest.raises(UnsafePlanError, match="begins or ends with a blank"):
        servers.apply(site, planned(site), apply=True)
    assert not herd.cow.rows("relayhosts")


@pytest.mark.parametrize(
    ("password", "active", "before"),
    [
        ("another", "1", "another password"),
        ("correct:horse", "1", "colons that add escaped"),
        ("correct horse", "0", "inactive"),
        ("another", "0", "inactive, another password"),
    ],
)
def test_a_row_with_another_login_is_put_right_not_doubled(herd: Herd, password: str, active: str, before: str) -> None:
    herd.people(HI)
    site = herd.site()
    id_ = herd.row(herd.hop(), password=password, active=active, domain=DOMAIN)
    plan = planned(site)
    assert orders(plan) == ["login", "TLS", "relay"]
    assert before in next(iter(plan)).before
    walked(site)
    (row,) = herd.cow.rows("relayhosts")
    assert (str(row["id"]), row["password"], row["active"]) == (id_, "correct horse", 1)
    assert not planned(site)


def test_of_two_rows_the_one_in_use_stays_and_the_other_is_named(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    herd.row(herd.hop())
    used = herd.row(herd.hop(), domain=DOMAIN)
    _, verdict = walked(site)
    assert herd.assigned() == used
    assert len(herd.cow.rows("relayhosts")) == 2
    assert verdict["relay.duplicate office"].observed == f"id {used}, id 1, unused"


@pytest.mark.parametrize(
    ("lines", "status_", "said"),
    [(WRONG_LOGIN, Status.FAIL, "535"), ([*GREETING, IN, "450 greylisted", BYE], Status.UNKNOWN, "450")],
    ids=["login", "greylisted"],
)
def test_a_failed_test_stops_before_the_assignment(herd: Herd, lines: list[str], status_: Status, said: str) -> None:
    herd.people(HI)
    site = herd.site(lines)
    old = herd.row("[old.example]:587", domain=DOMAIN)
    with pytest.raises(GateError, match=said) as broken:
        servers.apply(site, planned(site), apply=True)
    assert str(status_) in str(broken.value)
    assert herd.assigned() == old
    assert orders(planned(site)) == ["relay", "route"]


def test_a_domain_that_the_relay_does_not_know_yet_waits_for_dns(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site(UNVERIFIED)
    done, verdict = walked(site)
    assert [type(c) for c in done.done] == [type(c) for c in done.plan][:3]
    assert "not possible yet" in str(done)
    assert done.waits
    assert (done.waits.status, done.waits.waits_for) == (Status.PENDING, "04-dns")
    row = verdict[f"relay.route {DOMAIN}"]
    assert (row.status, row.waits_for) == (Status.PENDING, "04-dns")
    assert "the route stays" in row.observed
    assert herd.assigned() == NO_RELAY
    verdict.require()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"recipients": False}, "params name nobody"),
        ({"domains__0__mailboxes": [{"address": "o'hara@lantern.example", "password": "env:HI_PASSWORD"}],
          "domains__0__aliases": {}, "domains__0__catch_all": None}, "no domain of it has a mailbox"),
    ],
    ids=["nobody to send to", "an address that the page may not take"],
)  # fmt: skip
def test_where_no_test_is_possible_a_row_says_why(herd: Herd, changes: dict[str, Any], why: str) -> None:
    herd.people(HI)
    site = herd.site(**changes)
    assert "relay" not in orders(planned(site))
    _, verdict = walked(site)
    row = verdict["relay.test office"]
    assert (row.status, row.advisory) == (Status.UNKNOWN, True)
    assert why in row.observed
    assert herd.assigned() != NO_RELAY
    assert not herd.heard()


def test_a_mailbox_with_a_transport_of_its_own_follows_its_domain_first(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    herd.row("[old.example]:587", password="another", mailbox=HI)
    plan = planned(site)
    assert orders(plan) == ["transport", "login", "TLS", "relay", "transport", "route"]
    _, verdict = walked(site)
    assert herd.api.facts("mailbox", HI)["attributes"]["relayhost"] == NO_RELAY
    assert status(verdict, f"relay.route {DOMAIN}") is Status.PASS


def test_a_foreign_mailbox_that_would_bounce_keeps_the_plan_from_being_applied(herd: Herd) -> None:
    herd.people(HI, "boss@lantern.example")
    site = herd.site()
    id_ = herd.row("[old.example]:587", password="another", mailbox="boss@lantern.example")
    with pytest.raises(UnsafePlanError, match=r"boss@lantern\.example.*bounce"):
        servers.apply(site, planned(site), apply=True)
    told = mailcow.verify_routes(site, Outcome(planned(site)), "direct", {}, 0)
    assert status(told, "relay.mailbox boss@lantern.example") is Status.WARN
    herd.row("[x.example]:587", domain=DOMAIN)
    told = mailcow.verify_routes(site, Outcome(planned(site)), "direct", {}, 0)
    assert "bounces" in told["relay.mailbox boss@lantern.example"].observed
    assert status(told, "relay.mailbox boss@lantern.example") is Status.FAIL
    assert herd.api.facts("mailbox", "boss@lantern.example")["attributes"]["relayhost"] == id_


def test_a_mailbox_on_the_same_transport_is_left_alone(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    herd.row(herd.hop(), mailbox=HI)
    assert orders(planned(site)) == ["TLS", "relay", "route"]


def two(herd: Herd, first: str = "office", second: str = "other") -> Site:
    herd.people("yo@harbour.example", domain="harbour.example")
    herd.people(HI)
    boxes = [{"address": "yo@harbour.example", "password": "env:HI_PASSWORD"}]
    domains = [
        sites.given()["domains"][0] | {"relay": first},
        {"name": "harbour.example", "relay": second, "mailboxes": boxes},
    ]
    return herd.site(domains=domains)


def test_each_domain_leaves_by_its_own_relay(herd: Herd) -> None:
    site = two(herd)
    _, verdict = walked(site)
    assert verdict.status is Status.WARN
    have = mailcow.routes(site)
    assert have.current == {DOMAIN: herd.hop(), "harbour.example": herd.hop("other")}
    assert (herd.heard().count("DATA"), herd.heard("other").count("DATA")) == (1, 1)


def test_two_domains_of_one_relay_share_its_transport_and_one_test(herd: Herd) -> None:
    walked(two(herd, "office", "office"))
    assert len(herd.cow.rows("relayhosts")) == 1
    assert herd.assigned() == herd.assigned("harbour.example") != NO_RELAY
    assert herd.heard().count("DATA") == 1


def test_a_domain_that_waits_keeps_its_route(herd: Herd) -> None:
    site = two(herd)
    old = herd.row("[old.example]:587", domain="harbour.example")
    _, verdict = walked(site, {"harbour.example": "04-dns"})
    assert herd.assigned("harbour.example") == old
    assert herd.assigned() != NO_RELAY
    assert status(verdict, "relay.route harbour.example") is Status.PENDING
    assert not herd.heard("other")


def test_where_all_wait_the_plan_is_held(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    plan = planned(site, {DOMAIN: "04-dns"})
    assert plan.held == "known after 04-dns"
    assert orders(plan)
    done = servers.apply(site, plan, apply=True)
    assert not herd.cow.rows("relayhosts")
    (row,) = mailcow.verify_routes(site, done, "direct", {DOMAIN: "04-dns"}, 0)
    assert (row.status, row.waits_for) == (Status.PENDING, "04-dns")


def test_a_direct_domain_is_taken_off_its_transport_and_back(herd: Herd) -> None:
    herd.people(HI)
    site, direct = herd.site(), herd.site(domains__0__relay="direct", relays={})
    walked(site)
    row = herd.assigned()
    _, verdict = walked(direct)
    assert herd.assigned() == NO_RELAY
    assert status(verdict, f"relay.route {DOMAIN}") is Status.PASS
    assert status(verdict, "relay.route null-sender") is Status.PASS
    assert orders(planned(site)) == ["relay", "route"]
    walked(site)
    assert herd.assigned() == row


def test_before_bootstrap_there_is_nothing_to_switch(herd: Herd) -> None:
    assert planned(herd.site()).held == "known after 01-bootstrap"


def test_what_a_left_relay_needed_is_told_because_mailcow_remembers_nothing(herd: Herd) -> None:
    herd.people(HI)
    left = Retired(RELAY, DOMAIN, datetime(2026, 11, 1, tzinfo=UTC), "7d", relay="old")
    *_, route = planned(herd.site(), leaving=(left,))
    assert "by hand from 2026-11-08 on" in route.why
    assert mailcow.expired(herd.site()) == ()


def test_a_private_ca_is_encrypted_only_and_said_so(herd: Herd) -> None:
    herd.people(HI)
    herd.site()
    relay = herd._relay(herd.scripts["office"]) | {"ca": str(herd.cow.ca)}
    site = herd.site(relays={"office": relay})
    _, verdict = walked(site)
    assert herd.cow.rows("tls_policy_override")[0]["policy"] == "encrypt"
    assert status(verdict, "relay.tls-policy office") is Status.WARN
    policy = {"items": ["1"], "attr": {"policy": "secure", "parameters": "match=127.0.0.1"}}
    herd.api.post("edit/tls-policy-map", policy)
    assert not planned(site)  # better than ours, and not ours to weaken
    told = mailcow.verify_routes(site, Outcome(planned(site)), "direct", {}, 0)
    assert status(told, "relay.tls-policy office") is Status.PASS


@pytest.mark.parametrize("policy", [{"policy": "may"}, {"policy": "secure", "active": "0"}], ids=["weak", "inactive"])
def test_a_policy_that_does_not_hold_is_changed_in_place(herd: Herd, policy: dict[str, str]) -> None:
    herd.people(HI)
    site = herd.site()
    herd.api.post("add/tls-policy-map", {"dest": herd.hop(), "parameters": "", "active": "1", **policy})
    told = mailcow.verify_routes(site, Outcome(Plan("routes")), "direct", {}, 0)
    assert status(told, "relay.tls-policy office") is Status.FAIL
    walked(site)
    (row,) = herd.cow.rows("tls_policy_override")
    assert (row["policy"], row["active"]) == ("secure", 1)


def test_what_overrules_or_leads_nowhere_is_told(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    herd.api.post("add/transport", {"destination": "gmail.com", "nexthop": "[x.example]:587", "active": "1"})
    herd.api.post("add/transport", {"destination": "off.example", "nexthop": "[x.example]:587", "active": "0"})
    herd.api.post("edit/domain", {"items": [DOMAIN], "attr": {"relayhost": "999"}})
    off = herd.row("[y.example]:587", active="0", mailbox=HI)
    told = mailcow.verify_routes(site, Outcome(planned(site)), "direct", {}, 0)
    assert told["relay.transport-maps"].observed == "gmail.com by [x.example]:587"
    assert told[f"relay.dangling {DOMAIN}"].observed == "transport 999, which is not there"
    assert told[f"relay.dangling {HI}"].observed == f"transport {off}, which is inactive"
    *_, route = planned(site)
    assert "999 is inactive or not there" in route.before


@pytest.mark.parametrize(
    ("damage", "row"),
    [
        ("UPDATE relayhosts SET active = 0", f"relay.route {DOMAIN}"),
        ("UPDATE relayhosts SET password = 'another'", "relay.login-map office"),
        ("UPDATE domain SET relayhost = 0", "relay.login-map office"),
        ("DELETE FROM tls_policy_override", "relay.tls-policy office"),
    ],
)
def test_what_others_changed_since_turns_its_row_red(herd: Herd, damage: str, row: str) -> None:
    herd.people(HI)
    site = herd.site()
    walked(site)
    herd.cow.store.run(damage)
    told = mailcow.verify_routes(site, Outcome(Plan("routes")), "direct", {}, 0)
    assert status(told, row) is Status.FAIL


def test_a_mailcow_that_does_not_answer_is_unknown(herd: Herd) -> None:
    site = herd.site()
    herd.cow.script(status=500, body="", times=99)
    (row,) = mailcow.verify_routes(site, Outcome(Plan("routes")), "direct", {}, 0)
    assert (row.name, row.status) == ("relay.route", Status.UNKNOWN)


def test_a_success_that_did_nothing_is_found_out(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    completed = {"status": 200, "body": {"type": "success", "msg": "Task completed"}}
    herd.cow.script(**completed, path="/api/v1/add/relayhost")
    with pytest.raises(GateError, match="mailcow says success, but transport"):
        servers.apply(site, planned(site), apply=True)


def test_a_row_deleted_meanwhile_is_not_assigned(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    relay = site.relays["office"]
    step = steps.Assigned(1, "route", "", "", "", relay=relay, row="7", domain=DOMAIN)
    with pytest.raises(NothingDoneError, match="no transport"):
        step.do(api.of(site))


def test_a_port_that_begins_with_tls_is_refused_before_it_hangs(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    relay = site.relays["office"].model_copy(update={"port": 465})
    herd.row("[127.0.0.1]:465")
    step = steps.Tried(1, "test", "", "", "", relay=relay, row="", name="office", sender=HI, recipient="a@example.org")
    with pytest.raises(RelayTestError, match="begins with TLS") as refused:
        step.do(api.of(site))
    assert refused.value.status is Status.FAIL
    assert not herd.cow.asked("GET", relaytest.PAGE)


def test_a_relay_that_says_nothing_is_waited_for_only_so_long(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site([SILENCE])
    herd.row(herd.hop())
    tried = steps.Tried(
        1, "test", "", "", "",
        relay=site.relays["office"], row="1", name="office", patience=0.3, sender=HI, recipient="a@example.org",
    )  # fmt: skip
    with pytest.raises(RelayTestError, match=r"no answer within 0\.3 s") as silent:
        tried.do(api.of(site))
    assert silent.value.status is Status.UNKNOWN


def test_no_password_shows_in_a_plan_or_its_outcome(herd: Herd) -> None:
    herd.people(HI)
    site = herd.site()
    herd.row(herd.hop(), password="an-older-one", domain=DOMAIN)
    have = mailcow.routes(site)
    plan = planned(site)
    done, verdict = walked(site)
    for shown in (have, plan, done, verdict):
        text = f"{shown}{shown!r}{shown.data()}"
        assert "correct horse" not in text
        assert "an-older-one" not in text
