"""What must hold before a relay is trusted with mail, proved from the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from runbooklib import endpoint, host
from runbooklib.endpoint import NameMissingError, ResolverError
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.relays import egress, envelope, ports
from runbooklib.relays.ports import Survey
from runbooklib.results import Check, Checklist, Status, passed


def prove(site: Site, current: Mapping[str, str]) -> Checklist:
    """Public address, ports, certificate, login and sender of every relay, and whether port 25 is closed.

    Nothing is sent. `current` names the next hop each domain leaves by today, empty where it leaves by none.
    """
    server = host.connect(site)
    with ThreadPoolExecutor() as pool:
        around = [pool.submit(look, site, server) for look in (egress.public_ipv4, egress.direct_25)]
        relays = _relays(site, server, current)
        checks = (*(future.result() for future in around), *relays)
    return Checklist("relays, seen from the server", checks)


def _relays(site: Site, server: Host, current: Mapping[str, str]) -> list[Check]:
    addresses = _addresses(site, server)
    found = {name: relay for name, relay in site.used_relays.items() if relay.host in addresses}
    seen = ports.survey(found, server.dial, addresses) if found else {}
    with ThreadPoolExecutor() as pool:
        rows = pool.map(lambda name: _rows(site, name, addresses, seen, current), site.used_relays)
        return [check for each in rows for check in each]


def _rows(
    site: Site, name: str, addresses: Mapping[str, str], seen: Mapping[str, Survey], current: Mapping[str, str]
) -> list[Check]:
    if name not in seen:
        return [_nameless(site, name, site.relays[name].host or "")]
    wanted = site.relays[name].host or ""
    resolved = passed(f"relay.name {name}", f"{wanted} resolves on the server", addresses[wanted])
    return [resolved, *spoken(site, name, seen[name], current)]


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


def spoken(site: Site, name: str, seen: Survey, current: Mapping[str, str]) -> list[Check]:
    """The rows of one relay: its ports, and where the wanted one is verified, login and senders."""
    rows = [ports.wanted(name, seen), ports.table(name, seen)]
    if seen.wanted.client is None:
        return rows  # whoever answered did not prove to be the relay: nothing secret is said
    with endpoint.ending(seen.wanted.client) as client:
        envelope.be_patient(client)
        rows.append(envelope.login(name, site.relays[name], client))
        if rows[-1].status is Status.PASS:
            domains = [d.name for d in site.domains if d.relay == name]
            rows += [envelope.sender(site, name, domain, client, current.get(domain, "")) for domain in domains]
            rows.append(envelope.null_sender(site, name, client))
    return rows
