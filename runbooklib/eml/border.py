"""Where a message came in: the hop by which its recipient's own servers took it from somebody else.

What stands above that hop the recipient's servers wrote; what stands below it came along and may be forged.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from runbooklib.dmarc import registered
from runbooklib.eml.hops import Hop, is_address
from runbooklib.eml.reading import Eml

Fields = tuple[tuple[str, str], ...]

# Receivers that write their headers under another name than their MX bears.
KIN = (
    {"google.com", "gmail.com", "googlemail.com"},
    {"outlook.com", "office365.com", "hotmail.com", "live.com", "msn.com", "exchangelabs.com", "microsoft.com"},
    {"yahoo.com", "yahoodns.net", "aol.com", "ymail.com"},
    {"icloud.com", "apple.com", "me.com", "mac.com"},
    {"163.com", "126.com", "yeah.net", "netease.com"},
)
INNER = [ipaddress.ip_network(n) for n in ("2603:1000::/24", "2a01:111::/32")]  # within Exchange Online, without names


def border(mail: Eml, hosts: Sequence[str]) -> Hop | None:
    """The newest hop by which one of `hosts`, or a host of their organization, took it from somebody foreign."""
    own = organizations(hosts)
    between = [hop for hop in reversed(mail.hops) if not hop.local]
    outside = (i for i, hop in enumerate(between) if not _inside(hop, own))
    at = next((i for i in outside if belongs(between[i].by, own) or (own and _nameless(between[i].by))), None)
    if at is None:
        return None
    # Where the recipient's organization is our relay as well, what it was submitted by is not who delivered it.
    return between[at - 1] if at and between[at].submitted else between[at]


def organizations(hosts: Sequence[str]) -> frozenset[str]:
    """Whose hosts these are, with the other names they go by."""
    own = {registered(host.lower().rstrip(".")) for host in hosts if host}
    return frozenset(own.union(*(kin for kin in KIN if kin & own)))


def belongs(host: str, own: frozenset[str]) -> bool:
    """Whether a host is of one of these organizations."""
    return bool(host) and registered(host.lower().rstrip(".")) in own


def _inside(hop: Hop, own: frozenset[str]) -> bool:
    """Whether it was handed on within the organization; a HELO name alone proves nothing where the address has one."""
    if is_address(hop.said):
        return hop.private
    return belongs(hop.said, own) and (belongs(hop.named, own) or not hop.address or hop.private or _within(hop))


def _within(hop: Hop) -> bool:
    address = ipaddress.ip_address(hop.address)
    return any(address in network for network in INNER if network.version == address.version)


def _nameless(host: str) -> bool:
    """A server that gives an inner name or address as its own (Coremail's `mx12`, Yahoo's 10.0.0.0/8)."""
    return bool(host) and ("." not in host or is_address(host))


def own_fields(mail: Eml, at: Hop | None) -> tuple[Fields, Fields]:
    """The headers that the recipient's own servers wrote: those above the hop's own, and those just below it.

    Some servers (QQ's, Postfix's milters at times) put theirs below the Received of the same hop, where whoever sent
    the message may have put some too, if they are not taken out (RFC 8601 5).
    """
    if at is None:
        return (), ()
    received = [i for i, (name, _) in enumerate(mail.fields) if name == "received"]
    here = next(i for i, hop in zip(received, reversed(mail.hops), strict=False) if hop is at)
    below = next((i for i in received if i > here), len(mail.fields))
    return mail.fields[:here], mail.fields[here + 1 : below]
