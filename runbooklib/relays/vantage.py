"""From where a relay is looked at: the server, whose view counts, or this machine where the server has no shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from runbooklib import endpoint, host
from runbooklib.endpoint import Dial, EndpointError
from runbooklib.host import Host
from runbooklib.params import Site

NO_SHELL = "the server is reached by its API alone, which does not tell"


@dataclass(frozen=True)
class Vantage:
    """How names resolve there, how a connection is made from there, and its shell, where it has one."""

    where: str  # it resolves …
    seen: str  # relays, seen …
    addresses: Callable[[Iterable[str]], Mapping[str, str]]  # name -> IPv4 address; those without any are left out
    dial: Dial
    server: Host | None = None


def of(site: Site) -> Vantage:
    """The server, or this machine where a mailcow was only adopted by its API.

    Raises HostError.
    """
    return at(host.connect(site)) if site.mail.over_ssh else here(site)


def at(server: Host) -> Vantage:
    """The server's own view."""
    return Vantage("on the server", "from the server", partial(_told_by, server), server.dial, server)


def _told_by(server: Host, names: Iterable[str]) -> dict[str, str]:
    asked = {name: f"getent ahostsv4 {name}" for name in names}
    told = server.facts(asked) if asked else {}
    return {name: answer.out.split()[0] for name, answer in told.items() if answer.ok and answer.out.split()}


def here(site: Site) -> Vantage:
    """The view of this machine, names as dns.resolvers know them: what is closed to the server alone is not seen."""
    return Vantage("for this machine", "from this machine", partial(_resolved, site), endpoint.local_dial)


def _resolved(site: Site, names: Iterable[str]) -> dict[str, str]:
    wanted = list(names)
    with ThreadPoolExecutor(max(len(wanted), 1)) as pool:
        found = zip(wanted, pool.map(partial(_first, site), wanted), strict=True)
    return {name: address for name, address in found if address}


def _first(site: Site, name: str) -> str:
    try:
        known = endpoint.resolve(name, site.dns.resolvers)
    except EndpointError:
        return ""  # the row of that name asks once more, and says why
    return next((address for address in known if ":" not in address), "")
