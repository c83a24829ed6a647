"""Switching from one relay to another and back: the order, who waits, and what stays of the relay that is left."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sites import make
from test_docker_mailserver import BARE, applied

from runbooklib.host import CommandChange
from runbooklib.params import Site
from runbooklib.results import Plan
from runbooklib.servers import retired, standing
from runbooklib.servers.docker_mailserver import bootstrap, layout, switching
from runbooklib.servers.docker_mailserver.state import State
from runbooklib.servers.retired import Retired
from runbooklib.servers.standing import Queued, Standing

NOW = datetime.now(UTC)
OLD, NEW = "[smtp.example.net]:587", "[smtp.harbour.example]:587"
RELAYS: dict[str, Any] = {
    name: {"provider": "smtp", "host": host, "username": name, "password": "env:OFFICE_SMTP"}
    for name, host in {"office": "smtp.example.net", "harbour": "smtp.harbour.example"}.items()
}
LEFT = Retired(
    retired.RELAY,
    "lantern.example",
    NOW.replace(microsecond=0),
    relay="office",
    next_hop=OLD,
    spf=("include:spf.example.net",),
)


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Site, Site]:
    """The site before the switch, and after it."""
    for name in ("mail.pem", "mail.key"):
        (tmp_path / name).write_text(name)
    monkeypatch.setenv("HI_PASSWORD", "correct horse")
    monkeypatch.setenv("OFFICE_SMTP", "battery staple")
    tls = {"certificate": str(tmp_path / "mail.pem"), "key": str(tmp_path / "mail.key")}
    before, after = (make(mail__tls=tls, relays=RELAYS, domains__0__relay=name) for name in RELAYS)
    return before, after


def sending(site: Site) -> State:
    """A server that sends by the site's relay."""
    bare = applied(site, BARE, bootstrap.plan(site, BARE))
    return applied(site, bare, switching.plan(site, Standing(bare, {}), site.domains[0].relay, {}, ()))


def switch(sites: tuple[Site, Site], **changes: Any) -> Plan:
    have = Standing(sending(sites[0]), {"lantern.example": OLD}, OLD)
    given: dict[str, Any] = {"null": "harbour", "waiting": {}, "leaving": (LEFT,)} | changes
    return switching.plan(sites[1], given.pop("have", have), **given)


def targets(plan: Plan) -> list[str]:
    return [c.target.rpartition("/")[2] for c in plan]


def test_what_is_left_is_remembered_before_the_route_moves(sites: tuple[Site, Site]) -> None:
    assert targets(switch(sites)) == [
        "runbook-retired.yaml",
        "postfix-sasl-password.cf",
        "compose.yaml",
        "postfix-main.cf",
        "mailserver.env",
        "container mailserver",
        "postfix-relaymap.cf",
        "container mailserver",
    ]


def test_a_switch_settles(sites: tuple[Site, Site]) -> None:
    after = applied(sites[1], sending(sites[0]), switch(sites))
    assert retired.parse(after.text(layout.RETIRED) or "") == (LEFT,)
    again = Standing(after, {"lantern.example": NEW}, NEW)
    assert not switching.plan(sites[1], again, "harbour", {}, ())
    assert not bootstrap.plan(sites[1], after)


def test_the_order_of_relays_in_params_means_nothing(sites: tuple[Site, Site]) -> None:
    after = applied(sites[1], sending(sites[0]), switch(sites))
    turned = sites[1].model_copy(update={"relays": dict(reversed(sites[1].relays.items()))})
    assert not switching.plan(turned, Standing(after, {"lantern.example": NEW}, NEW), "harbour", {}, ())


def test_the_old_login_and_policy_stay_for_their_time(sites: tuple[Site, Site]) -> None:
    after = applied(sites[1], sending(sites[0]), switch(sites))
    assert OLD in (after.text(layout.MAIN_CF) or "")
    past = dataclasses.replace(LEFT, since=LEFT.since - timedelta(days=8))
    files = dict(after.files)
    files[layout.RETIRED] = dataclasses.replace(files[layout.RETIRED], text=retired.text([past]))
    later = Standing(dataclasses.replace(after, files=files), {"lantern.example": NEW}, NEW)
    plan = switching.plan(sites[1], later, "harbour", {}, ())
    assert "postfix-sasl-password.cf" in targets(plan)
    assert OLD not in (applied(sites[1], later.state, plan).text(layout.MAIN_CF) or "")


def test_mail_of_then_in_the_queue_keeps_what_it_may_need() -> None:
    past = dataclasses.replace(LEFT, since=NOW - timedelta(days=8))
    old = Queued("hi@lantern.example", NOW - timedelta(days=9), "connection timed out")
    assert standing.over(past, (), NOW)
    assert not standing.over(past, (old,), NOW)
    assert standing.over(past, (dataclasses.replace(old, arrived=NOW),), NOW)
    assert standing.over(past, (dataclasses.replace(old, sender="a@pier.example"),), NOW)
    assert not standing.over(LEFT, (), NOW)


def test_back_is_the_same_with_the_old_params(sites: tuple[Site, Site]) -> None:
    before, _ = sites
    after = applied(sites[1], sending(before), switch(sites))
    back = switching.plan(before, Standing(after, {"lantern.example": NEW}, NEW), "office", {}, ())
    again = applied(before, after, back)
    assert retired.parse(again.text(layout.RETIRED) or "") == ()
    assert f"@lantern.example {OLD}" in (again.text(layout.RELAY_MAP) or "")


def test_a_domain_that_waits_is_shown_and_not_moved(sites: tuple[Site, Site]) -> None:
    plan = switch(sites, waiting={"lantern.example": "04-dns"})
    assert plan
    assert plan.held == "known after 04-dns"
    assert (
        switching.plan(sites[1], Standing(BARE, {}, there=False), "harbour", {}, ()).held == "known after 01-bootstrap"
    )


def test_one_domain_does_not_wait_for_another(sites: tuple[Site, Site]) -> None:
    pier = {"name": "pier.example", "relay": "harbour", "mailboxes": []}
    both = make(
        mail__tls=sites[0].mail.tls.model_dump(), relays=RELAYS, domains=[sites[0].domains[0].model_dump(), pier]
    )
    have = Standing(applied(both, BARE, bootstrap.plan(both, BARE)), {"lantern.example": "", "pier.example": ""})
    plan = switching.plan(both, have, "office", {"pier.example": "04-dns"}, ())
    assert not plan.held
    after = applied(both, have.state, plan)
    assert after.text(layout.RELAY_MAP) == f"@lantern.example {OLD}\n<> {OLD}\n"
    assert "DEFAULT_RELAY_HOST" not in (after.text(layout.ENV) or "")


def test_queued_mail_is_tried_again_by_the_new_route(sites: tuple[Site, Site]) -> None:
    waits = Queued("hi@lantern.example", NOW, "connection refused")
    have = Standing(sending(sites[0]), {"lantern.example": OLD}, OLD, (waits,))
    last = switch(sites, have=have).changes[-1]
    assert isinstance(last, CommandChange)
    assert "postqueue -f" in last.argv[-1]


def test_queued_mail_alone_is_no_reason_to_change_anything(sites: tuple[Site, Site]) -> None:
    waits = Queued("hi@lantern.example", NOW, "connection refused")
    have = Standing(sending(sites[0]), {"lantern.example": OLD}, OLD, (waits,))
    assert not switching.plan(sites[0], have, "office", {}, ())
