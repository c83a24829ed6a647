"""Whether each domain is verified by its relay's provider, asked to look once the records are published."""

from __future__ import annotations

import time
from dataclasses import replace

from runbooklib.params import Relay, Site
from runbooklib.relays.accounts import ABSENT, BROKEN, WAITING, Account, Accounts
from runbooklib.relays.judging import DASHBOARDS
from runbooklib.relays.watching import Watch, settle
from runbooklib.results import Check, Checklist, Status

RELAY_STAGE = "02-relay"
REFS = {"resend": "resend.com/docs/dashboard/domains/introduction", "mxroute": "api.mxroute.com POST /domains"}
STANDS = {Status.PASS, Status.WARN}


def confirm(site: Site, accounts: Accounts, *, apply: bool, wait: float, dns: Checklist | None = None) -> Checklist:
    """One row a domain: whether its provider has verified it; with `apply` asks it to look and waits at most `wait`.

    `dns` is the verdict on the published records: nobody is asked to look for what does not stand yet.
    """
    watches = [Watch(a, site.relays[a.relay]) for a in accounts]
    if apply:
        settle([w for w in watches if w.worth_asking and not _unpublished(w.account, dns)], time.monotonic() + wait)
    rows = (_verdict(w, dns, apply=apply) for w in watches)
    return Checklist("verified by the providers", (*rows, *(_key_to_publish(w.account) for w in watches if w.added)))


def _unpublished(account: Account, dns: Checklist | None) -> list[str]:
    """The account's records that are known not to stand."""
    rows = {c.name: c for c in dns or ()}
    return [w.check for w in account.records if w.check in rows and rows[w.check].status not in STANDS]


def _row(account: Account, relay: Relay, status: Status, said: str, fix: str = "") -> Check:
    """A row about one domain; what cannot be known of it does not stop the stage."""
    expected = f"{account.relay} has verified {account.domain}"
    advisory = status is Status.UNKNOWN
    return Check(f"relay.verified {account.domain}", status, expected, said, fix, REFS[relay.provider], advisory)


def _verdict(watch: Watch, dns: Checklist | None, *, apply: bool) -> Check:
    account, relay = watch.account, watch.relay
    if watch.trouble:
        status = getattr(watch.trouble, "status", Status.FAIL)
        return _row(account, relay, status, str(watch.trouble), getattr(watch.trouble, "fix", ""))
    if account.problem:
        return replace(account.problem, name=f"relay.verified {account.domain}")
    if not account.managed:
        return _unmanaged(account, relay, dns)
    if account.status == ABSENT:
        return _absent(watch, apply=apply)
    if account.trusted:
        return _row(account, relay, Status.PASS, account.status)
    return _unverified(watch, _unpublished(account, dns), apply=apply)


def _unverified(watch: Watch, unpublished: list[str], *, apply: bool) -> Check:
    account, relay = watch.account, watch.relay
    if account.status not in WAITING | BROKEN:
        said = f"{account.status!a}, a word this version does not know"
        return _row(account, relay, Status.UNKNOWN, said, f"see {DASHBOARDS[relay.provider]}")
    if unpublished:
        said = f"{account.status}; not asked again, because these do not stand yet: {', '.join(unpublished)}"
        return _row(account, relay, Status.PENDING, said, "settle those rows, then run again")
    said = f"{account.status}: {'; '.join(account.missing) or 'it names no record'}"
    if account.status in BROKEN and (watch.asked or not apply):
        fix = f"compare these records with the rows above; {DASHBOARDS[relay.provider]} shows what it saw"
        return _row(account, relay, Status.FAIL, said, fix)
    fix = "run again later: it goes on looking for 72 hours" if watch.asked else "run with apply: then it is asked"
    return _row(account, relay, Status.PENDING, said, fix)


def _absent(watch: Watch, *, apply: bool) -> Check:
    account, relay = watch.account, watch.relay
    if relay.provider == "resend":
        row = _row(account, relay, Status.PENDING, "not known there", "02-relay adds it")
        return replace(row, waits_for=RELAY_STAGE)
    if watch.asked:
        said = f"not added yet: {'; '.join(account.missing)}"
        return _row(account, relay, Status.PENDING, said, "run again: MXRoute's resolvers may hold the absence a while")
    fix = "settle the row of its ownership record" if apply else "run with apply: it is added once its record stands"
    return _row(account, relay, Status.PENDING, "not known there", fix)


def _key_to_publish(account: Account) -> Check:
    """A domain added just now has a key that this walk could not publish yet."""
    expected, said = f"the key {account.relay} signs with is published", "known since the domain was added"
    row = Check(f"relay.dkim {account.domain}", Status.PENDING, expected, said, "this stage is walked again after 02")
    return replace(row, waits_for=RELAY_STAGE)


def _about(row: Check, domain: str) -> bool:
    """Whether a row is about the domain or a name below it."""
    return f".{row.name.split()[-1]}".endswith(f".{domain}")


def _unmanaged(account: Account, relay: Relay, dns: Checklist | None) -> Check:
    """Without a managing key DNS shows one half: whether the provider could verify the domain."""
    unpublished = [c.name for c in dns or () if _about(c, account.domain) and c.status not in STANDS]
    said = f"not yet in DNS: {', '.join(unpublished)}" if unpublished else "what DNS can show of it stands"
    fix = f"see {DASHBOARDS[relay.provider]}: the domain's status, and Verify where it has not looked yet"
    return _row(account, relay, Status.UNKNOWN, f"not known: no managing key; {said}", fix)
