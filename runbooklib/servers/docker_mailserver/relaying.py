"""The lines of docker-mailserver's files that make Postfix send by the routes."""

from __future__ import annotations

from collections.abc import Mapping

from runbooklib.params import Relay, Site
from runbooklib.servers.docker_mailserver.layout import CONFIG
from runbooklib.servers.nexthops import OPPORTUNISTIC, POSTMASTER, SMTPS, Routes, next_hop, postmaster, transports


def environment(routes: Routes) -> list[str]:
    """The line of mailserver.env that names the relay of everybody else; a new container reads it."""
    return [f"DEFAULT_RELAY_HOST={routes.rest.hop}"] if routes.rest.hop else []


def main_cf(site: Site, routes: Routes, relays: Mapping[str, Relay]) -> list[str]:
    """The lines of postfix-main.cf: TLS mandatory and verified towards each relay, and the transports.

    A policy map, because docker-mailserver sets smtp_tls_security_level back to encrypt at every account change.
    """
    if not relays:
        return []
    policies = " ".join(f"{{ {next_hop(r)} = secure match={r.host} }}" for r in relays.values())
    direct = any(not r.hop and r.by != POSTMASTER for r in (*routes.each, routes.rest))
    lines = [f"smtp_tls_policy_maps = inline:{{ {policies} }}" + (f" {OPPORTUNISTIC}" if direct else "")]
    if any(r.ca for r in relays.values()):
        lines.append(f"smtp_tls_CAfile = {CONFIG}/relay-ca.pem")
    if told := transports(routes):
        pairs = " ".join(f"{{ {sender} = {transport} }}" for sender, transport in told.items())
        lines.append(f"sender_dependent_default_transport_maps = inline:{{ {pairs} }}")
    if routes.rest.implicit:
        lines.append(f"default_transport = {SMTPS}")
    if any(r.by == POSTMASTER for r in routes.each):
        lines += ["notify_classes = resource, software, 2bounce", f"2bounce_notice_recipient = {postmaster(site)}"]
    return lines


def patches(routes: Routes) -> list[str]:
    """The line of user-patches.sh that makes the transport for implicit TLS (RFC 8314 3.3)."""
    if not any(route.implicit for route in (*routes.each, routes.rest)):
        return []
    service = f"{SMTPS} unix - - n - - smtp -o smtp_tls_wrappermode=yes"
    return [f"postconf -M '{SMTPS}/unix={service}'"]
