"""What must hold before a relay is trusted with mail, proved from the server itself."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from runbooklib import endpoint, host
from runbooklib.endpoint import Dial, NameMissingError, ResolverError
from runbooklib.host import Host
from runbooklib.params import Site
from runbooklib.relays import egress, envelope, ports
from runbooklib.results import Check, Checklist, Status, passed


def prove(site: Site, current: Mapping[str, str]) -> Checklist:
    """Public address, ports, certificate, login and sender of every relay, and whether port 25 is closed.

    Nothing is sent. `current` names the next hop each domain leaves by today, empty where it leaves by none.
    """
    server, relays = host.connect(site), site.used_relays
    with ThreadPoolExecutor(len(relays) + 2) as pool:
        around = [pool.submit(look, site, server) for look in (egress.public_ipv4, egress.direct_25)]
        proofs = [pool.submit(_relay, site, server, name, current) for name in relays]
        checks = [*(future.result() for future in around), *(check for future in proofs for check in future.result())]
    return Checklist("relays, seen from the server", tuple(checks))


def _relay(site: Site, server: Host, name: str, current: Mapping[str, str]) -> list[Check]:
    wanted = site.relays[name].host or ""
    addresses = server.run(("getent", "ahostsv4", wanted), check=False).out.split()[:1]
    if not addresses:
        return [_nameless(site, name, wanted)]
    found = passed(f"relay.name {name}", f"{wanted} resolves on the server", addresses[0])
    return [found, *spoken(site, name, server.dial, addresses[0], current)]


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
    site: Site,
    name: str,
    dial: Dial,
    address: str,
    current: Mapping[str, str],
    *,
    patience: float = ports.DIALOGUE_SECONDS,
) -> list[Check]:
    """The rows of one relay at an address: its ports, and where the wanted one is verified, login and senders."""
    seen = ports.survey(site.relays[name], dial, address, patience)
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
