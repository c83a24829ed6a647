"""What the server's network lets out, and whether the address that mail knows it by is really its own."""

from __future__ import annotations

import ipaddress
import re

from runbooklib import endpoint
from runbooklib.endpoint import EndpointError
from runbooklib.params import Site
from runbooklib.relays.ports import CONNECT_SECONDS
from runbooklib.relays.vantage import NO_SHELL, Vantage
from runbooklib.results import Check, Checklist, Status, passed

CARRIER = {  # ranges behind which a provider shares one public address among many customers
    ipaddress.ip_network("100.64.0.0/10"): "carrier-grade NAT (RFC 6598)",
    ipaddress.ip_network("192.0.0.0/29"): "DS-Lite (RFC 6333 5.7)",
}
REHEARSED = ipaddress.ip_network("198.18.0.0/15")
UNREACHED = "most senders cannot reach this server: they have IPv4 only. Ask for a public IPv4 address, or move"


def direct_25(site: Site, place: Vantage) -> Check:
    """Whether the server itself may speak to the port 25 of a stranger."""
    name, expected = "relay.direct-25", NEEDED if site.sends_directly else CLOSED
    ref = "providers' terms; RFC 5068 3.2"
    if place.server is None:
        fix = "try there: `timeout 5 bash -c '</dev/tcp/gmail-smtp-in.l.google.com/25'`"
        return Check(name, Status.UNKNOWN, expected, NO_SHELL, fix, ref, advisory=True)
    stranger = _stranger(site)
    if not stranger:
        why = "no recipient in test.recipients whose MX could be tried"
        return Check(name, Status.UNKNOWN, expected, why, "add one", ref, advisory=True)
    script = f"timeout {CONNECT_SECONDS} bash -c 'exec 3<>/dev/tcp/{stranger}/25'"
    told = place.server.run(("sh", "-c", script), check=False)
    seen = SEEN.get(told.status)
    if seen is None:
        return Check(name, Status.UNKNOWN, expected, told.err.strip(), "install bash there", ref, advisory=True)
    if site.sends_directly and told.status != 0:
        return Check(name, Status.FAIL, expected, seen.format(stranger), ASK, ref)
    return passed(name, expected, seen.format(stranger), ref)


CLOSED = "outbound port 25 closed, as clouds have it: mail leaves by the relay"
NEEDED = "outbound port 25 open: a domain or its forwards leave directly"
ASK = "ask the provider to open it, or name a relay where params say direct"

# What `timeout` ends with: that of the connection, or its own.
SEEN = {
    0: "open to {}: the relay is a choice here, not a need",
    1: "refused by {} or on the way there",
    124: f"dropped: no answer from {{}} within {CONNECT_SECONDS} s",
}


def is_open(proofs: Checklist) -> bool:
    """Whether the proofs found port 25 open; not to know is to take the relay."""
    return any(c.name == "relay.direct-25" and c.observed.startswith("open ") for c in proofs)


def _stranger(site: Site) -> str:
    """An address of the first test recipient's MX; empty where none can be found out."""
    for recipient in site.test.recipients:
        domain = recipient.address.rpartition("@")[2]
        try:
            answers = endpoint.lookup(domain, "MX", site.dns.resolvers)
            exchange = min(answers, key=lambda rdata: int(getattr(rdata, "preference", 0)))
            return endpoint.resolve(str(getattr(exchange, "exchange", domain)).rstrip("."), site.dns.resolvers)[0]
        except (EndpointError, ValueError):
            continue
    return ""


def public_ipv4(site: Site, place: Vantage) -> Check:
    """Whether the server has the IPv4 address that params publish for it, asked of its interfaces."""
    server = place.server
    if server is None:
        return _unseen(site)
    outside = next((r for r in site.dns.resolvers if ":" not in r), "9.9.9.9")
    told = server.facts({"own": "ip -4 -o addr show scope global", "out": f"ip -4 route get {outside}"})
    source = re.search(r"\bsrc ([\d.]+)", told["out"].out)
    if not told["own"].ok:
        said = told["own"].out or "no answer"
        return _row(Status.UNKNOWN, site, f"`ip address`: {said}", "install iproute2 on the server")
    own = re.findall(r"\binet ([\d.]+)", told["own"].out)
    return judge(site, own, source[1] if source else "", server.address)


def _unseen(site: Site) -> Check:
    """Without a look at its interfaces, only an address that nobody can reach is known to be wrong."""
    if not _is_public(site.server.ipv4, site):
        return judge(site, [], "", "")
    return _row(Status.UNKNOWN, site, NO_SHELL, "look with `ip address` on the server")


def judge(site: Site, own: list[str], source: str, reached: str) -> Check:
    """The verdict on the interfaces' addresses, the one outgoing connections have, and the one SSH reached."""
    public = site.server.ipv4
    if not _is_public(public, site):
        return _row(Status.FAIL, site, f"params say {public}, which is not public: {_kind(public)}", UNREACHED)
    if public in own:
        return _row(Status.PASS, site, "on an interface of the server")
    if not source or _carrier(source):
        seen = f"the server is {source}, behind {_carrier(source)}" if source else "the server has no way out by IPv4"
        return _row(Status.FAIL, site, seen, UNREACHED)
    if _is_public(source, site):
        fix = f"correct server.ipv4, or give the server {public}: receivers look at the address mail comes from"
        return _row(Status.WARN, site, f"the server leaves as {source}", fix)
    return _mapped(site, source, reached)


def _mapped(site: Site, source: str, reached: str) -> Check:
    """A private address on the server, as clouds have it that map a public one to it."""
    public = site.server.ipv4
    if reached == public:
        return _row(Status.PASS, site, f"the server is {source}; its provider maps {public} to it, SSH came that way")
    fix = f"see that the provider maps all ports of {public} to {source}, port 25 among them"
    return _row(Status.WARN, site, f"the server is {source}, behind NAT", fix)


def _row(status: Status, site: Site, observed: str, fix: str = "") -> Check:
    expected = f"{site.server.ipv4} is the server's own public address"
    advisory = status is Status.UNKNOWN
    return Check("server.public-ipv4", status, expected, observed, fix, "RFC 5321 5, RFC 6598 4", advisory=advisory)


def _is_public(address: str, site: Site) -> bool:
    """198.18.0.0/15 is for benchmarks (RFC 2544) and here the testbed's, where it plays the public internet."""
    found = ipaddress.ip_address(address)
    return (site.rehearsed and found in REHEARSED) or (found.is_global and not _carrier(address))


def _carrier(address: str) -> str:
    return next((words for net, words in CARRIER.items() if ipaddress.ip_address(address) in net), "")


def _kind(address: str) -> str:
    return _carrier(address) or ("private" if ipaddress.ip_address(address).is_private else "reserved")
