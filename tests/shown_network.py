"""Evidence of the way between: firewalls, ports, lost packets: what a healthy site shows, and what each cause."""

from __future__ import annotations

from typing import Any

from runbooklib.diagnosis import Fact

MAIL = "mail.lantern.example"
GATEWAYS = ["172.18.0.1", "fd00::1"]
PUBLISHED = {
    "network": "mail_default",
    "dns": [],
    "ports": {"25": [""], "143": [""], "465": [""], "587": [""], "993": ["0.0.0.0", "::"]},  # noqa: S104 - as Docker says
}
COUNTED = {"sent": 134, "resent": 0, "unanswered": 0, "needless": 0, "received": 133, "early": 0}
OUTSIDE = {
    "port 25": {"state": "open", "banner": f"220 {MAIL} ESMTP", "connected": 0.1, "greeted": 0.2},
    "port 587": {"state": "open", "banner": f"220 {MAIL} ESMTP", "connected": 0.1, "greeted": 0.2},
    "port6 25": None,
}
HEALTHY: dict[str, Any] = OUTSIDE | {
    "segments": COUNTED,
    "path smarthost": {"state": "ok", "said": "smtp.relay.example:587 answers 3372 octets at once"},
}
IN_BRIDGE: dict[str, Any] = {
    "published": PUBLISHED,
    "mtu": {"outer": 1500, "inner": 1500},
    "clients": {"gateways": GATEWAYS, "came": {"IPv4": ["192.0.2.9"]}},
}


def port(number: int, state: str) -> dict[str, Any]:
    return {f"port {number}": {"state": state, "banner": "", "connected": None, "greeted": None}}


def address(*ipv6: str) -> dict[str, Any]:
    return {f"address {MAIL}": {"A": ["203.0.113.10"], "AAAA": list(ipv6)}}


def came(**told: list[str]) -> dict[str, Any]:
    return {"clients": {"gateways": GATEWAYS, "came": told}}


# Rule → the facts that differ; for every mail server, and for one that is in a container.
EVERYWHERE: dict[str, dict[str, Any]] = {
    "port-filtered": port(587, "dropped") | {"listeners": [25, 143, 465, 587, 993]},
    "port-closed": port(2525, "dropped"),
    "port-silent": port(587, "silent"),
    "aaaa-without-listener": address("2001:db8::10")
    | {"port6 25": {"state": "refused", "banner": "", "connected": None, "greeted": None}},
    "packet-loss": {"segments": COUNTED | {"early": 9}},
    "mtu-black-hole": {"path smarthost": {"state": "stalls", "said": "nothing to 3372 octets at once"}},
    "mtu-black-hole-here": {
        f"tls {port}": Fact(unseen=f"mail.lantern.example:{port}: no TLS answer in time") for port in (587, 993)
    }
    | port(993, "open"),
}
IN_A_CONTAINER: dict[str, dict[str, Any]] = {
    "port-not-published": {"published": PUBLISHED | {"ports": {"25": [""], "143": [""], "465": [""], "993": [""]}}}
    | port(587, "refused"),
    "client-address-lost": came(IPv4=["172.18.0.1"]),
    "mtu-differs": {"mtu": {"outer": 1450, "inner": 1500}},
    "resolver-overridden": {"published": PUBLISHED | {"dns": ["192.0.2.53"]}, "resolver": "nothing"},
}
