"""What must hold before a relay is trusted with mail, proved from the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from runbooklib import endpoint, host
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.relays import egress, envelope, ports
from runbooklib.relays.accounts import Accounts
from runbooklib.relays.planning import login_to_come
from runbooklib.relays.ports import Survey
from runbooklib.results import Check, Checklist, Status, passed

NOBODY = Accounts()


def prove(site: Site, current: Mapping[str, str], accounts: Accounts = NOBODY) -> Checklist:
    """Public address, ports, certificate, login and sender of every relay, and whether port 25 is closed.

    Nothing is sent. `current` names the next hop each domain leaves by today, empty where it leaves by none;
    `accounts` what the providers say: a login that is still to be made there is not tried.
    """
    server = host.connect(site)
    with ThreadPoolExecutor() as pool:
        around = [pool.submit(look, site, server) for look in (egress.public_ipv4, egress.direct_25)]
        relays = _relays(site, server, current, accounts)
        checks = (*(future.result() for future in around), *relays)
    return Checklist("relays, seen from the server", checks)


def _relays(site: Site, server: Host, current: Mapping[str, str], accounts: Accounts) -> list[Check]:
    addresses = _addresses(site, server)
    found = {name: relay for name, relay in site.used_relays.items() if relay.host in addresses}
    seen = ports.survey(found, server.dial, addresses) if found else {}
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda name: _rows(site, name, addresses, seen.get(name), current, accounts), site.used_relays)
        return [check for each in rows for check in each]


def _rows(
    site: Site,
    name: str,
    addresses: Mapping[str, str],
    seen: Survey | None,
    current: Mapping[str, str],
    accounts: Accounts,
) -> list[Check]:
    relay = site.relays[name]
    if seen is None:
        return [_nameless(site, name, relay.host or "")]
    expected = f"{relay.host} resolves on the server"
    resolved = passed(f"relay.name {name}", expected, addresses[relay.host or ""])
    return [resolved, *spoken(site, name, seen, current, login_to_come(name, relay, accounts))]


def _addresses(site: Site, server: Host) -> dict[str, str]:
    """The IPv4 address of each relay as the server sees it; names that have none are left out."""
    names = {relay.host: f"getent ahostsv4 {relay.host}" for relay in site.used_relays.values() if relay.host}
    told = server.facts(names) if names else {}
    return {name: answer.out.split()[0] for name, answer in told.items() if answer.ok and answer.out.split()}


def _nameless(site: Site, name: str, wanted: str) -> Check:
    """The server cannot say whether the name is missing or its resolver dead: the site's resolvers can."""
    check, expected = f"relay.name {name}", f"{wanted} resolves on the server"
    try:
        known = endpoint.resolve(wanted, site.dns.resolvers)
    except NameMissingError as error:
        return Check(check, Status.FAIL, expected, f"no address: {error}", f"correct relays.{name}.host")
    except ResolverError as error:
        return Check(check, Status.UNKNOWN, expected, f"no address; {error}", error.fix)
    fix = "mend the server's resolver (/etc/resolv.conf)"
    return Check(check, Status.FAIL, expected, f"no address; elsewhere it is {', '.join(known)}", fix)


def spoken(
    site: Site, name: str, seen: Survey, current: Mapping[str, str], to_come: tuple[str, str] = ("", "")
) -> list[Check]:
    """The rows of one relay: its ports, and where the wanted one is verified, login and senders.

    `to_come` says why there is no login yet, and what comes before it: a login that must fail gets one banned.
    """
    rows = [ports.wanted(name, seen), ports.table(name, seen)]
    if seen.wanted.client is None:
        return rows  # whoever answered did not prove to be the relay: nothing secret is said
    domains = [d.name for d in site.domains if d.relay == name]
    with endpoint.ending(seen.wanted.client) as client:
        if to_come[0]:
            return [
                *rows,
                *(_to_come(check, *to_come) for check in (f"login {name}", *(f"sender {d}" for d in domains))),
            ]
        envelope.be_patient(client)
        rows.append(envelope.login(name, site.relays[name], client))
        if rows[-1].status is Status.PASS:
            rows += [envelope.sender(site, name, domain, client, current.get(domain, "")) for domain in domains]
            rows.append(envelope.null_sender(site, name, client))
    return rows


def _to_come(check: str, why: str, stage: str) -> Check:
    fix = f"{stage} first, then this stage is walked again" if stage else "run with apply: it is in this stage's plan"
    return Check(f"relay.{check}", Status.PENDING, "the relay takes our login", why, fix, "RFC 4954 6", waits_for=stage)
