"""What the provider of each relay says through its API: domains, key, allowance, suppressed recipients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from runbooklib.credentials import Secret
from runbooklib.params import Relay, Site
from runbooklib.relays.accounts import ABSENT, VERIFIED, Account
from runbooklib.relays.calls import Api, KeyRefusedError, MissingError
from runbooklib.relays.mxroute import Mxroute
from runbooklib.relays.observing import lacking, recipients
from runbooklib.relays.resend import Domain, Resend

SECONDS, PAUSES = 4.0, (0.5,)  # for an answer, and before a read is asked again; 06 has a budget for all
Said = dict[str, Any]


def probes(site: Site) -> Iterator[tuple[str, Callable[[], Said]]]:
    """What is asked of the providers that have an API, where params hold a managing key for it."""
    for name, relay in site.used_relays.items():
        if relay.api_key is not None and relay.provider in LOOKS:
            yield f"provider {name}", partial(told, site, name, relay, relay.api_key)


def told(site: Site, name: str, relay: Relay, key: Secret) -> Said:
    """What the provider says of the site's domains; of a key it refuses only that.

    Raises ProviderError where it cannot be told.
    """
    domains = [domain.name for domain in site.domains if domain.relay == name]
    try:
        return {"state": "ok", "said": "it answers", **LOOKS[relay.provider](site, relay, key, domains)}
    except KeyRefusedError as error:
        return {"state": "key", "said": str(error)}


def _resend(site: Site, relay: Relay, key: Secret, domains: list[str]) -> Said:
    team = Resend(_quick(Resend.of(relay, key).api))
    listed = {domain.name: domain.id for domain in team.domains()}
    known = {name: _domain(team.get(listed[name]) if name in listed else None) for name in domains}
    return {"domains": known, "suppressed": _suppressed(team, recipients(site)), "used": team.used}


def _quick(api: Api) -> Api:
    return replace(api, timeout=SECONDS, pauses=PAUSES)


def _domain(found: Domain | None) -> Said:
    """As stage 02 judges it: what sending does not need may be missing."""
    if found is None:
        return {"status": ABSENT, "trusted": False, "missing": []}
    account = Account(found.name, "", managed=True, status=found.status, missing=lacking(found))
    return {"status": found.status, "trusted": account.trusted, "missing": list(account.missing)}


def _suppressed(team: Resend, addresses: list[str]) -> list[Said]:
    """Those of the test's recipients to whom mail is dropped; none where the API has no such list."""
    try:
        found = [held for address in addresses if (held := team.suppression(address))]
    except MissingError:
        return []
    return [{"address": held.email, "origin": held.origin, "since": held.since} for held in found]


def _mxroute(site: Site, relay: Relay, key: Secret, domains: list[str]) -> Said:
    """A domain is added there only once it is proved whose it is."""
    del site
    listed = Mxroute(_quick(Mxroute.of(relay, key).api)).domains()
    states = {name: VERIFIED if name in listed else ABSENT for name in domains}
    known = {name: {"status": state, "trusted": state == VERIFIED, "missing": []} for name, state in states.items()}
    return {"domains": known, "suppressed": [], "used": {}}


LOOKS: Mapping[str, Callable[[Site, Relay, Secret, list[str]], Said]] = {"resend": _resend, "mxroute": _mxroute}
