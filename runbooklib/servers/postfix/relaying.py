"""What makes a Postfix send by the routes: pure functions of the routes and of how it sends today."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from runbooklib.params import Relay, Site
from runbooklib.servers import nexthops
from runbooklib.servers.nexthops import DIRECT, NULL, POSTMASTER, SMTPS, Route, Routes, next_hop
from runbooklib.servers.postfix import layout, sending
from runbooklib.servers.postfix.sending import Sending

SYSTEM_CAS = "/etc/ssl/certs/ca-certificates.crt"  # a file: it is read before the daemon enters its chroot
SERVICE = f"{SMTPS} unix - - - - - smtp -o smtp_tls_wrappermode=yes"
Setting = tuple[str, str]  # value, why


def wanted(site: Site, have: Sending, null: str, staying: Mapping[str, str]) -> Routes:
    """The routes the params ask for; on a host that serves others, everybody else's way is left as it is."""
    routes = nexthops.wanted(site, null, staying)
    if have.ours:
        return routes
    hop = have.value(sending.RELAYHOST)
    rest = Route("", hop or DIRECT, hop, channel(have.value(sending.TRANSPORT)) == SMTPS)
    return Routes(tuple(r for r in routes.each if r.sender != NULL or _moves_null(have, null)), rest)


def _moves_null(have: Sending, null: str) -> bool:
    """Bounces of all who are served here go one way: it is changed only where they leave directly and cannot."""
    today = without_us(have, NULL, have.value(sending.RELAYHOST)) or have.others(sending.TRANSPORTS).find(NULL)
    return not today and null not in {DIRECT, POSTMASTER}


def without_us(have: Sending, sender: str, relayhost: str) -> str:
    """The next hop the tables of others give a sender; empty: directly."""
    told = have.others(sending.SENDERS).find(sender)
    return relayhost if told in {"", sending.DUNNO} else told


def relayhost(routes: Routes, have: Sending) -> str:
    """What relayhost will be."""
    return routes.rest.hop if have.ours else have.value(sending.RELAYHOST)


def channel(transport: str) -> str:
    """The service of master.cf that a transport names."""
    return transport.partition(":")[0]


def service(route: Route) -> str:
    """The service that speaks TLS with the route's next hop as its port does."""
    return SMTPS if route.implicit else "smtp"


def tables(routes: Routes, have: Sending, staying: Iterable[str], relays: Mapping[str, Relay]) -> dict[str, str]:
    """The texts of our tables, by the parameter they stand behind."""
    own = replace(routes, each=tuple(r for r in routes.each if not _stays(r, routes, have, staying)))
    return {
        sending.POLICIES: policies(relays.values(), f"{have.directory}/{layout.RELAY_CA}"),
        sending.LOGINS: nexthops.logins(own, relays, _taken(have, relays.values())),
        sending.SENDERS: nexthops.sender_map(own),
        sending.TRANSPORTS: _text(transports(own, have)),
    }


def _taken(have: Sending, relays: Iterable[Relay]) -> set[str]:
    """The next hops at which others on this host log in as somebody else: their line for it stays the one found."""
    theirs = have.others(sending.LOGINS)
    return {next_hop(relay) for relay in relays if theirs.find(next_hop(relay)) not in {"", login(relay)}}


def login(relay: Relay) -> str:
    """The digest of the login towards a relay, as tables are asked for it; empty for none."""
    if not relay.password:
        return ""
    return hashlib.sha256(f"{relay.username}:{relay.password.reveal()}".encode()).hexdigest()


def _stays(route: Route, routes: Routes, have: Sending, staying: Iterable[str]) -> bool:
    """Whether others lead a waiting domain where it is led today: it needs no line of ours."""
    around = without_us(have, route.sender, relayhost(routes, have))
    return route.sender.removeprefix("@") in staying and route.hop == around


def transports(routes: Routes, have: Sending) -> dict[str, str]:
    """For each sender the transport, where others' tables or the default give another; its next hop stays empty.

    One that names a next hop would beat every line of sender_dependent_relayhost_maps (postconf(5)).
    """
    told = {}
    default = service(routes.rest) if have.ours else have.value(sending.TRANSPORT)
    for route in routes.each:
        found = have.others(sending.TRANSPORTS).find(route.sender) or default
        if route.by == POSTMASTER:
            told[route.sender] = nexthops.NOWHERE
        elif route.hop and found.rstrip(":") != service(route):
            told[route.sender] = f"{service(route)}:"
    return told


def policies(relays: Iterable[Relay], anchors: str) -> str:
    """The TLS policy towards each relay; where two share a next hop, the one that names a CA says more."""
    told: dict[str, str] = {}
    for relay in relays:
        hop, said = next_hop(relay), nexthops.policy(relay, anchors)
        told[hop] = max(told.get(hop, ""), said, key=len)
    return _text(told)


def _text(entries: Mapping[str, str]) -> str:
    return "".join(f"{key} {value}\n" for key, value in entries.items())


def beside(site: Site, routes: Routes, have: Sending, *, login: bool) -> Iterator[tuple[str, Setting]]:
    """The parameters beside the tables that a login over verified TLS needs."""
    if login:
        yield "smtp_sasl_auth_enable", ("yes", "Postfix logs in where a line of the login maps says so")
        yield "smtp_sender_dependent_authentication", ("yes", "two logins may share a next hop: the sender decides")
    if login and "noplaintext" in have.value(sending.SASL):
        yield sending.SASL, ("noanonymous", "PLAIN and LOGIN are as good as any other inside of TLS")
    if not (have.value(sending.CA_FILE) or have.value(sending.CA_PATH)):
        yield sending.CA_FILE, (SYSTEM_CAS, "without any CA no relay's certificate can be verified")
    if any(r.by == POSTMASTER for r in routes.each):
        why = "who reads what no relay takes"
        yield "notify_classes", ("resource, software, 2bounce", why)
        yield "2bounce_notice_recipient", (nexthops.postmaster(site), why)


def everybody(routes: Routes, have: Sending) -> Iterator[tuple[str, Setting]]:
    """The way of senders without a line, on a host that is ours; on another it is left alone."""
    if not have.ours:
        return
    why = "who has no line in the sender map"
    yield sending.RELAYHOST, (routes.rest.hop, why)
    if routes.rest.implicit or have.value(sending.TRANSPORT) == SMTPS:
        yield sending.TRANSPORT, (service(routes.rest), why)
