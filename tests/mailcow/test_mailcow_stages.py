"""Stages 01 and 03 on the mailcow of this session, be it the double or a real one: our client believes neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sites
from herds import Herd

from runbooklib import credentials, servers
from runbooklib.credentials import Secret
from runbooklib.params import Site
from runbooklib.results import Outcome, Plan, Status
from runbooklib.servers.mailcow.api import Api, KeyRefusedError, RefusedError


@pytest.fixture(autouse=True)
def secrets(cow: Herd, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COW_KEY", cow.key)
    monkeypatch.setenv("BOX_PASSWORD", f"Up-{cow.run}-9!x")
    monkeypatch.setenv("OFFICE_SMTP", "office-secret")
    yield
    credentials.forget()


def site(cow: Herd, domain: str, **changes: Any) -> Site:
    """One made-up domain of this run with a mailbox, an alias and a catch-all; the ledger knows it before mailcow."""
    cow.ledger.note("domain", domain)
    box = f"box@{domain}"
    given = {
        "name": domain,
        "relay": "office",
        "mailboxes": [{"address": box, "password": "env:BOX_PASSWORD", "quota": "100M"}],
        "aliases": {f"sales@{domain}": box},
        "catch_all": box,
    }
    mail = {"server": "mailcow", "url": cow.url, "api_key": "env:COW_KEY", "tls": {"ca": cow.ca}}
    return sites.make(mail=mail, domains=[given | changes], server__hostname=f"mail.{domain}")


def others(cow: Herd) -> list[tuple[Any, ...]]:
    """What of the domains that are not this run's must not change."""
    told = cow.get("domain/all") or []
    kept = ("domain_name", "relayhost", "active", "max_num_mboxes_for_domain", "max_quota_for_domain")
    return sorted(tuple(d[k] for k in kept) for d in told if cow.run not in d["domain_name"])


def test_a_domain_is_made_read_back_and_found_a_second_time(cow: Herd) -> None:
    where, before = site(cow, cow.domain("stage")), others(cow)
    plan = servers.plan(where, servers.observe(where))
    assert plan
    assert not plan.refusals
    servers.apply(where, plan, apply=True)
    have = servers.observe(where)
    assert not servers.plan(where, have)
    assert not servers.plan_keys(where, have)
    (record,) = servers.records(where)
    assert record.name == f"dkim._domainkey.{where.domains[0].name}"
    assert record.values[0].startswith("v=DKIM1")
    assert others(cow) == before


def test_an_alias_goes_with_params_and_a_quota_follows_them(cow: Herd) -> None:
    name = cow.domain("change")
    first = site(cow, name)
    servers.apply(first, servers.plan(first, servers.observe(first)), apply=True)
    boxes = [{"address": f"box@{name}", "password": "env:BOX_PASSWORD", "quota": "200M"}]
    later = site(cow, name, aliases={}, mailboxes=boxes)
    plan = servers.plan(later, servers.observe(later))
    assert [c.target for c in plan] == [f"alias sales@{name}", f"quota of box@{name}"]
    servers.apply(later, plan, apply=True)
    assert not servers.plan(later, servers.observe(later))


def test_a_key_that_is_there_is_never_replaced(cow: Herd) -> None:
    name = cow.domain("keyed")
    first = site(cow, name)
    servers.apply(first, servers.plan(first, servers.observe(first)), apply=True)
    (before,) = servers.records(first)
    another = site(cow, name, dkim={"selector": "another"})
    assert not servers.plan_keys(another, servers.observe(another))
    (after,) = servers.records(another)
    assert after == before
    (row,) = (c for c in servers.verify_keys(another, Outcome(Plan("")), apply=False, wait=0) if "signing" in c.name)
    assert row.status is Status.FAIL
    assert "set dkim.selector to dkim" in row.fix


def test_the_way_in_is_tried_without_a_change(cow: Herd) -> None:
    before = others(cow)
    found = {c.name: c.status for c in servers.preflight(site(cow, cow.domain("stage")))}
    assert found["mailcow.key"] is Status.PASS
    assert found["mailcow.key.writes"] is Status.PASS
    assert others(cow) == before


def test_what_mailcow_refuses_is_told_by_its_word(cow: Herd) -> None:
    api = Api(cow.url, Secret("env:COW_KEY"), cow.ca)
    with pytest.raises(RefusedError) as raised:
        api.post("add/domain", {"domain": f"not a domain {cow.run}"})
    assert raised.value.word == "domain_invalid"


def test_a_wrong_key_is_sent_once(cow: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    cow.spend()
    monkeypatch.setenv("COW_KEY", f"WRONG0-{cow.run}")
    api = Api(cow.url, Secret("env:COW_KEY"), cow.ca)
    for _ in range(3):
        with pytest.raises(KeyRefusedError):
            api.items("domain", "all")
