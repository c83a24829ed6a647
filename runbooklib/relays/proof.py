"""What must hold before a relay is trusted with mail, proved from the server itself where it has a shell."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from runbooklib import endpoint
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.params import Relay, Site
from runbooklib.relays import egress, envelope, ports, vantage
from runbooklib.relays.accounts import Accounts
from runbooklib.relays.planning import login_to_come
from runbooklib.relays.ports import Survey
from runbooklib.relays.vantage import Vantage
from runbooklib.results import Check, Checklist, Status, passed

NOBODY = Accounts()
AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Known:
    """What is known before the server asks: the next hop each domain leaves by today, and what the providers say."""

    site: Site
    current: Mapping[str, str] = field(default_factory=dict)
    accounts: Accounts = NOBODY


def prove(site: Site, current: Mapping[str, str], accounts: Accounts = NOBODY) -> Checklist:
    """Public address, ports, certificate, login and sender of every relay, and whether port 25 is closed.

    Nothing is sent. `current` names the next hop each domain leaves by today, empty where it leaves by none;
    `accounts` what the providers say: a login that is still to be made there is not tried.
    """
    place = vantage.of(site)
    with ThreadPoolExecutor() as pool:
        around = [pool.submit(look, site, place) for look in (egress.public_ipv4, egress.direct_25)]
        relays = ask(Known(site, current, accounts), place)
        checks = (*(future.result() for future in around), *relays)
    return Checklist(f"relays, seen {place.seen}", checks)


def ask(known: Known, place: Vantage, pause: float = AGAIN_SECONDS) -> list[Check]:
    """The rows of every relay; one that fell silent is asked once more: it may be a moment's trouble."""
    relays = known.site.used_relays
    addresses = place.addresses(dict.fromkeys(relay.host for relay in relays.values() if relay.host))
    talks = _talks(known, place, relays, addresses)
    silent = {name: relay for name, relay in relays.items() if talks[name].broke_off}
    if silent:
        time.sleep(pause)
        talks |= _talks(known, place, silent, addresses)
    return [check for name in relays for check in talks[name].rows]


@dataclass(frozen=True)
class Talk:
    """What one relay was asked and answered."""

    rows: tuple[Check, ...]
    broke_off: bool = False


def _talks(known: Known, place: Vantage, relays: Mapping[str, Relay], addresses: Mapping[str, str]) -> dict[str, Talk]:
    named = {name: relay for name, relay in relays.items() if relay.host in addresses}
    seen = ports.survey(named, place.dial, addresses) if named else {}
    with ThreadPoolExecutor(max(len(relays), 1)) as pool:  # a refusal may take its time, and holds up no other
        return dict(zip(relays, pool.map(lambda name: _talk(known, place, name, seen.get(name)), relays), strict=True))


def _talk(known: Known, place: Vantage, name: str, seen: Survey | None) -> Talk:
    wanted = known.site.relays[name].host or ""
    check, expected = f"relay.name {name}", f"{wanted} resolves {place.where}"
    if seen is None:
        return Talk((_nameless(known.site, place, Check(check, Status.FAIL, expected, wanted)),))
    rows = (passed(check, expected, seen.address), *spoken(known, name, seen))
    unanswered = any(c.name == f"relay.login {name}" and c.status is Status.UNKNOWN for c in rows)
    return Talk(rows, seen.silent or unanswered)


def _nameless(site: Site, place: Vantage, row: Check) -> Check:
    """The server cannot say whether the name is missing or its resolver dead: the site's resolvers can."""
    try:
        known = endpoint.resolve(row.observed, site.dns.resolvers)
    except NameMissingError as error:
        fix = f"correct relays.{row.name.partition(' ')[2]}.host"
        return replace(row, observed=f"no address: {error}", fix=fix)
    except ResolverError as error:
        return replace(row, status=Status.UNKNOWN, observed=f"no address; {error}", fix=error.fix)
    if place.server is None:
        return replace(row, status=Status.UNKNOWN, observed=f"only {', '.join(known)}", fix="run again")
    fix = "mend the server's resolver (/etc/resolv.conf)"
    return replace(row, observed=f"no address; elsewhere it is {', '.join(known)}", fix=fix)


def spoken(known: Known, name: str, seen: Survey) -> list[Check]:
    """The rows of one relay: its ports, and where the wanted one is verified, login and senders."""
    rows = [ports.wanted(name, seen), ports.table(name, seen)]
    if seen.wanted.client is None:
        return rows  # whoever answered did not prove to be the relay: nothing secret is said
    with endpoint.ending(seen.wanted.client) as client:
        return [*rows, *_trusted(known, name, client)]


def _trusted(known: Known, name: str, client: smtplib.SMTP) -> list[Check]:
    """What the relay itself answers; a login that is still to be made must fail, and that gets one banned."""
    relay, domains = known.site.relays[name], [d.name for d in known.site.domains if d.relay == name]
    why, stage = login_to_come(name, relay, known.accounts)
    if why:
        return [_to_come(check, why, stage) for check in (f"login {name}", *(f"sender {d}" for d in domains))]
    envelope.be_patient(client)
    login = envelope.login(name, relay, client)
    if login.status is not Status.PASS:
        return [login]
    senders = [envelope.sender(known.site, name, d, client, known.current.get(d, "")) for d in domains]
    return [login, *senders, envelope.null_sender(known.site, name, client)]


def _to_come(check: str, why: str, stage: str) -> Check:
    fix = f"{stage} first, then this stage is walked again" if stage else "run with apply: it is in this stage's plan"
    return Check(f"relay.{check}", Status.PENDING, "the relay takes our login", why, fix, "RFC 4954 6", waits_for=stage)
