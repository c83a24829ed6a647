"""What the providers' words mean: settings that are as they should be, and steps that are left to a person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from runbooklib.params import Domain, Relay, Site
from runbooklib.relays.accounts import ABSENT, BROKEN, WAITING, Account, Accounts
from runbooklib.relays.planning import makes_key, makes_mailbox, uncovered
from runbooklib.results import Check, Checklist, Status, passed

DNS_STAGE = "04-dns"
DASHBOARDS = {"resend": "https://resend.com/domains", "mxroute": "https://panel.mxroute.com"}
APPLY = "run with apply: it is in this stage's plan"


def account_checks(site: Site, accounts: Accounts) -> Checklist:
    """One row a claim about each provider; where it cannot be asked, the steps in its dashboard."""
    rows = {check.name: _early(check) for check in accounts.rows}
    for account in accounts:
        relay, domain = site.relays[account.relay], site.domain(account.domain)
        rows |= {check.name: check for check in _account(relay, domain, account)}
    rows |= {check.name: check for name, relay in site.used_relays.items() for check in _key_to_make(name, relay)}
    return Checklist("at the providers", tuple(rows.values()))


def _early(check: Check) -> Check:
    """A suppressed test recipient stops no route; 05 fails on it."""
    suppressed = check.name.startswith("relay.suppression ") and check.status is Status.FAIL
    return replace(check, status=Status.WARN) if suppressed else check


def _account(relay: Relay, domain: Domain, account: Account) -> Iterator[Check]:
    if account.problem:
        yield account.problem
    elif not account.managed:
        yield from BY_HAND[relay.provider](relay, account)
    elif account.status == ABSENT:
        yield _absent(relay, account)
    else:
        yield _known(account)
        yield from _tracking(account) if relay.provider == "resend" else _settings(relay, domain, account)


def _known(account: Account) -> Check:
    """No route moves before the provider trusts the domain; 04 publishes what it looks for and asks it to look."""
    name, expected = f"relay.domain {account.domain}", f"{account.relay} has verified it"
    if account.trusted:
        return passed(name, expected, account.status)
    if account.status not in WAITING | BROKEN:
        said, fix = f"{account.status!a}, a word this version does not know", f"see {DASHBOARDS['resend']}"
        return Check(name, Status.UNKNOWN, expected, said, fix, advisory=True)
    said = f"{account.status}: {'; '.join(account.missing) or 'it names no record'}"
    fix = f"{DNS_STAGE} publishes its records and asks it to look"
    return Check(name, Status.PENDING, expected, said, fix, waits_for=DNS_STAGE)


def _absent(relay: Relay, account: Account) -> Check:
    """Not there yet: added by this stage's plan, or by 04 once it is proved whose the domain is."""
    name, expected = f"relay.domain {account.domain}", f"{account.relay} has verified it"
    if relay.provider == "resend":
        return Check(name, Status.PENDING, expected, "not known there", APPLY, waits_for=DNS_STAGE)
    said = f"not known there: MXRoute adds it once {account.records[0].name} proves whose it is"
    fix = f"{DNS_STAGE} publishes the record and adds the domain"
    return Check(name, Status.PENDING, expected, said, fix, waits_for=DNS_STAGE)


def _planned(name: str, ok: bool, expected: str, observed: str, ref: str) -> Check:
    """A setting the plan of this stage corrects."""
    return passed(name, expected, observed, ref) if ok else Check(name, Status.PENDING, expected, observed, APPLY, ref)


def _tracking(account: Account) -> Iterator[Check]:
    said = f"{' and '.join(account.tracking)} tracking on" if account.tracking else "off"
    expected = "open and click tracking off: they rewrite the body"
    ref = "resend.com/docs/dashboard/domains/tracking"
    yield _planned(f"relay.tracking {account.domain}", not account.tracking, expected, said, ref)


def _settings(relay: Relay, domain: Domain, account: Account) -> Iterator[Check]:
    """MXRoute's side of a domain that receives elsewhere."""
    said = "on: mail from its other customers stays there" if account.hosting else "off"
    ref = "mxroute docs, troubleshooting/senderverify"
    yield _planned(f"relay.hosting {domain.name}", not account.hosting, "local mail hosting off", said, ref)
    login = relay.username or ""
    if login.endswith(f"@{domain.name}"):
        said = "there" if login in account.mailboxes else "not there yet"
        missing = makes_mailbox(relay, account)
        yield _planned(f"relay.mailbox {domain.name}", not missing, f"mailbox {login}", said, "mxroute docs, smtp-api")
    others = uncovered(relay, domain, account)
    said = f"{', '.join(others)} not known there" if others else account.catch_all or "every sender has a mailbox there"
    yield _planned(f"relay.senders {domain.name}", not others, "every sender of the domain is known", said, ref)


def _key_to_make(name: str, relay: Relay) -> Iterator[Check]:
    if makes_key(relay):
        said = f"{relay.password} does not exist yet"
        yield Check(f"relay.key-scope {name}", Status.PENDING, "the key on the server may only send", said, APPLY)


def _resend_by_hand(relay: Relay, account: Account) -> Iterator[Check]:
    domain, where = account.domain, DASHBOARDS["resend"]
    steps = (
        f"at {where} add {domain}, region {relay.region}, custom return path {relay.return_path}; copy the DKIM "
        f"records it shows into relays.{account.relay}.dkim, let 04-dns publish them, then press Verify there"
    )
    yield _by_hand(relay, account, steps)
    expected = "open and click tracking off: they rewrite the body"
    fix = f"see that both are off at {where}, in the domain's configuration"
    yield _unseen(f"relay.tracking {domain}", expected, fix)


def _mxroute_by_hand(relay: Relay, account: Account) -> Iterator[Check]:
    domain, where = account.domain, DASHBOARDS["mxroute"]
    steps = (
        f"at {where} publish the verification record it shows for {domain}, add the domain, make the mailbox "
        f"{relay.username or 'the server shall log in as'}, and copy its DKIM key (selector x) into "
        f"relays.{account.relay}.dkim"
    )
    yield _by_hand(relay, account, steps)
    fix = f"switch it off at {where} (Email Routing), or mail from its other customers to {domain} stays there"
    yield _unseen(f"relay.hosting {domain}", "local mail hosting off", fix)


def _by_hand(relay: Relay, account: Account, steps: str) -> Check:
    """A key in params came from the dashboard, so the domain is known there; without one nobody added it yet."""
    name, expected = f"relay.domain {account.domain}", f"{account.relay} knows it"
    if relay.keys_for(account.domain):
        return passed(name, expected, "params hold the DKIM key its dashboard showed")
    return Check(name, Status.PENDING, expected, "params hold no DKIM key of it, and no key to ask with", steps)


def _unseen(name: str, expected: str, fix: str) -> Check:
    return Check(name, Status.UNKNOWN, expected, "not known: no managing key", fix, advisory=True)


BY_HAND = {"resend": _resend_by_hand, "mxroute": _mxroute_by_hand}
