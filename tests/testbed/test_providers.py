"""The providers' APIs in the testbed: their domains added, published, looked up in real DNS, and used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rehearsed import Rehearsed

from runbooklib import credentials, records, relays, zone
from runbooklib.params import Site, load
from runbooklib.relays import Accounts
from runbooklib.results import Checklist, Plan, Status
from runbooklib.testbed import world


@pytest.fixture
def started(clean: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsed]:
    """Providers that know no domain yet, and zones without a record of them."""
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(clean.root)))
    yield clean
    credentials.forget()


def do(plan: Plan) -> None:
    """Every change at the providers; none needs the server."""
    for change in plan:
        change.do()  # type: ignore[attr-defined]


def publish(site: Site, accounts: Accounts) -> Checklist:
    """What the relay asks for, published and seen by the resolver, as 04 does it."""
    want = records.Desired(tuple(w for w in relays.records(site, accounts) if w.values))
    plan = records.diff(want, zone.observe(site, want))
    done = zone.publish(site, plan, apply=True)
    return records.verify(want, zone.observe(site, want, after=done, wait=20), plan)


def verified(site: Site, dns: Checklist, domain: str) -> Status:
    """What the provider says after it was asked to look."""
    return relays.confirm(site, relays.observe(site), apply=True, wait=20, dns=dns)[f"relay.verified {domain}"].status


def test_resend_adds_a_domain_and_trusts_it_once_its_records_stand(started: Rehearsed) -> None:
    site, domain = load("params/rehearsal-resend.yaml"), "lantern.example"
    do(relays.plan(site, relays.observe(site)))
    accounts = relays.observe(site)
    assert relays.account_checks(site, accounts)["relay.key-scope resend"].status is Status.PASS
    dns = publish(site, accounts)
    assert dns.status is Status.PASS, dns
    assert verified(site, dns, domain) is Status.PASS
    assert not relays.plan(site, relays.observe(site))
    with started.smtp(started.state.resend, 587) as client:
        assert client.mail("hi@lantern.example")[0] == 250


@pytest.mark.usefixtures("started")
def test_mxroute_adds_a_domain_only_to_whom_it_belongs() -> None:
    site, domain = load("params/rehearsal-domains.yaml"), "harbour.example"
    accounts = Accounts(tuple(a for a in relays.observe(site) if a.domain == domain))
    early = relays.confirm(site, accounts, apply=True, wait=0)
    assert "not seen by MXRoute" in early[f"relay.verified {domain}"].observed
    dns = publish(site, accounts)
    assert verified(site, dns, domain) is Status.PASS
    do(Plan("", tuple(c for c in relays.plan(site, relays.observe(site)) if domain in c.target)))
    known = relays.observe(site).of(domain)
    assert known
    assert (known.hosting, known.mailboxes) == (False, (f"post@{domain}",))
    keys = publish(site, Accounts((known,)))
    assert keys[f"dns.dkim x._domainkey.{domain}"].status is Status.PASS
