"""Which way each sender's mail leaves, and the lines that tell Postfix so: pure functions of the site."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from runbooklib.params import Relay, Site

NULL = "<>"  # what Postfix looks up for mail without a sender: empty_address_relayhost_maps_lookup_key
DIRECT, POSTMASTER = "direct", "postmaster"
SMTPS = "smtps-relay"  # a transport of its own: the wrapper mode in main.cf would reach every next hop
NOWHERE = "error:5.7.0 mail without a sender is not taken by the relay; postmaster here gets a copy"
OPPORTUNISTIC = "static:may"  # for whoever no policy names, the recipients' own servers (RFC 7435)


@dataclass(frozen=True)
class Route:
    """How mail of one sender leaves: by a relay, directly, or, without a sender, only to postmaster here."""

    sender: str  # as Postfix looks it up: @domain or <>
    by: str  # a relay's name, direct or postmaster
    hop: str = ""
    implicit: bool = False

    def __str__(self) -> str:
        return self.hop or self.by


@dataclass(frozen=True)
class Routes:
    """A line for each sender that has one, and the way of everybody else."""

    each: tuple[Route, ...]
    rest: Route


def next_hop(relay: Relay) -> str:
    """The relay as Postfix writes it; brackets keep it from asking for the relay's MX."""
    return f"[{relay.host}]:{relay.port}"


def wanted(site: Site, null: str, staying: Mapping[str, str]) -> Routes:
    """The routes the params ask for.

    `null` is the way of mail without a sender: a relay's name, direct or postmaster. `staying` names the next hop of
    each domain that keeps what it has for now, empty where it leaves directly.
    """
    each = tuple(
        _kept(site, d.name, staying[d.name]) if d.name in staying else _by(site, f"@{d.name}", d.relay)
        for d in site.domains
    )
    rest = _rest(site, each, null)
    return Routes((*each, _by(site, NULL, null)), rest)


def _by(site: Site, sender: str, by: str) -> Route:
    if by in {DIRECT, POSTMASTER}:
        return Route(sender, by)
    relay = site.relays[by]
    return Route(sender, by, next_hop(relay), relay.mode == "implicit")


def _kept(site: Site, domain: str, hop: str) -> Route:
    known = next((name for name, relay in site.relays.items() if next_hop(relay) == hop), "")
    return _by(site, f"@{domain}", known) if known else Route(f"@{domain}", hop or DIRECT, hop)


def _rest(site: Site, each: Iterable[Route], null: str) -> Route:
    """Senders no line names go by the first relay, but directly where anything does: Postfix knows no third way."""
    direct = DIRECT in {null, site.forward_route}
    relayed = [route for route in each if route.hop]
    if direct or len(relayed) < len(site.domains):
        return Route("", DIRECT)
    first = relayed[0]
    return Route("", first.by, first.hop, first.implicit)


def sender_map(routes: Routes) -> str:
    """postfix-relaymap.cf: each sender and its next hop; a running container takes it up by itself."""
    return "".join(f"{route.sender} {route.hop}\n" for route in routes.each if route.hop)


def transports(routes: Routes) -> dict[str, str]:
    """For each sender the transport that is not the default one; the next hop comes from the sender map."""
    told = {}
    for route in routes.each:
        if route.by == POSTMASTER:
            told[route.sender] = NOWHERE
        elif route.hop and route.implicit != routes.rest.implicit:
            told[route.sender] = f"{SMTPS if route.implicit else 'smtp'}:"
    return told


def policy(relay: Relay, anchors: str = "") -> str:
    """TLS is mandatory and the certificate verified; `anchors` is the file of private CAs that hold for it alone."""
    return f"secure match={relay.host}" + (f" tafile={anchors}" if relay.ca and anchors else "")


def postmaster(site: Site) -> str:
    """Who reads what nobody else can be told."""
    return f"postmaster@{site.domains[0].name}"


def logins(routes: Routes, relays: Mapping[str, Relay], taken: Collection[str] = ()) -> str:
    """postfix-sasl-password.cf: the key equals the next hop byte for byte, or Postfix does not log in at all.

    Where two logins share a next hop, as two keys of one provider do, each sender has a line of its own; Postfix asks
    for the sender first (smtp_sender_dependent_authentication). So it is for a next hop that is `taken`, at which
    others on the host log in as themselves.
    """
    named = {name: (next_hop(r), f"{r.username}:{r.password.reveal()}") for name, r in relays.items() if r.password}
    by_hop = dict(reversed(named.values()))  # the first relay's login, where several share a hop
    shared = {hop for hop, login in named.values() if login != by_hop[hop] or hop in taken}
    by_sender = {r.sender: named[r.by][1] for r in routes.each if r.by in named and r.hop in shared}
    ours = {hop: login for hop, login in by_hop.items() if hop not in taken}
    return "".join(f"{key} {login}\n" for key, login in (ours | by_sender).items())
