"""Stage 02 on the mailcow of this session: a transport made once, its login right, assigned; a real relay if named.

MAILCOW_TEST_RELAY names a relay, smtp://user:password@host:port, and MAILCOW_TEST_RCPT who may get one message.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import sites
from herds import Herd

from runbooklib import credentials, servers
from runbooklib.params import Site
from runbooklib.results import Checklist, Plan

DIFFICULT = r"se:cr\et 'q\" %s $1 ü"  # what add would corrupt, and what a shell or a map might
NOTHING_WAITS = Checklist("proofs", ())
RELAY, RECIPIENT = os.environ.get("MAILCOW_TEST_RELAY", ""), os.environ.get("MAILCOW_TEST_RCPT", "")


@pytest.fixture(autouse=True)
def secrets(cow: Herd, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("COW_KEY", cow.key)
    monkeypatch.setenv("BOX_PASSWORD", f"Up-{cow.run}-9!x")
    monkeypatch.setenv("RELAY_PASSWORD", DIFFICULT)
    yield
    credentials.forget()


def site(cow: Herd, name: str, relay: dict[str, Any], recipient: str = "") -> Site:
    """A made-up domain that sends through a relay; all that will be made is in the ledger before."""
    domain = cow.domain(name)
    hop = f"[{relay['host']}]:{relay['port']}"
    taken = {r["hostname"] for r in _rows(cow, "relayhost")} | {p["dest"] for p in _rows(cow, "tls-policy-map")}
    if hop in taken:
        pytest.skip(f"this mailcow knows {hop} already: not ours to touch")
    cow.ledger.note("domain", domain)
    cow.ledger.claim("relayhost", hop, relay["username"])
    cow.ledger.claim("policy", hop)
    boxes = [{"address": f"box@{domain}", "password": "env:BOX_PASSWORD", "quota": "100M"}]
    given = {"name": domain, "relay": "office", "mailboxes": boxes}
    mail = {"server": "mailcow", "url": cow.url, "api_key": "env:COW_KEY", "tls": {"ca": cow.ca}}
    office = {"provider": "smtp", "password": "env:RELAY_PASSWORD", **relay}
    test = {"recipients": [{"address": recipient}]} if recipient else {}
    made = sites.make(
        mail=mail, domains=[given], relays={"office": office}, server__hostname=f"mail.{domain}", test=test
    )
    servers.apply(made, servers.plan(made, servers.observe(made)), apply=True)
    return made


def planned(where: Site) -> Plan:
    return servers.plan_routes(where, servers.routes(where), NOTHING_WAITS, "direct")


def test_a_transport_is_made_once_with_the_password_as_it_is(cow: Herd) -> None:
    relay = {"host": cow.relay(), "port": 587, "username": f"user-{cow.run}"}
    where = site(cow, "route", relay)
    servers.apply(where, planned(where), apply=True)
    assert not planned(where)
    hop = f"[{cow.relay()}]:587"
    (row,) = [r for r in cow.get("relayhost/all") if r["hostname"] == hop]
    assert row["password"] == DIFFICULT
    assert row["used_by_domains"] == where.domains[0].name
    (policy,) = [p for p in cow.get("tls-policy-map/all") if p["dest"] == hop]
    assert (policy["active"], policy["policy"]) in {(1, "secure"), (1, "encrypt")}


@pytest.mark.skipif(not (RELAY and RECIPIENT), reason="needs a relay and a recipient: MAILCOW_TEST_RELAY and _RCPT")
def test_a_domain_leaves_by_a_real_relay_once_mailcow_has_tested_it(cow: Herd, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message goes to the named recipient; whether the relay takes the made-up domain is its own to say."""
    parts = urlsplit(RELAY)
    monkeypatch.setenv("RELAY_PASSWORD", unquote(parts.password or ""))
    relay = {"host": parts.hostname, "port": parts.port or 587, "username": unquote(parts.username or "")}
    where = site(cow, "real", relay, RECIPIENT)
    done = servers.apply(where, planned(where), apply=True)
    left = [change.target for change in planned(where)]
    name = where.domains[0].name
    assert left == (["relay test office", f"route of {name}"] if done.waits else [])


def _rows(cow: Herd, kind: str) -> list[dict[str, Any]]:
    found = cow.get(f"{kind}/all")
    return found if isinstance(found, list) else []
