"""One zone as its file says it, answering as a server that holds it does (RFC 1034 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO

import dns.name
import dns.node
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone

WILD = b"*"
ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)
ROOT = "@ 86400 SOA a.root-servers.net. hostmaster.root. 1 1800 900 604800 86400\n@ 86400 NS a.root-servers.net."

Labels = tuple[bytes, ...]  # of a name, in lower case: compared more often than anything else here
Written = tuple[int, bytes]  # how many records, and their octets


@dataclass(frozen=True, eq=False)
class Said:
    """The sections of an answer; with `cut` it is a referral to whoever holds the child zone.

    The same answer is the same object.
    """

    apex: dns.name.Name
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    additional: tuple[dns.rrset.RRset, ...] = ()
    cut: bool = False

    def leads(self, kind: dns.rdatatype.RdataType) -> dns.name.Name | None:
        """Where the question goes on: behind a CNAME that is not itself what was asked for."""
        last = self.answer[-1] if self.answer else None
        alias = last is not None and last.rdtype == dns.rdatatype.CNAME != kind
        return last[0].target if last is not None and alias else None

    @cached_property
    def written(self) -> tuple[Written, Written, Written]:
        """Answer, authority and additional records as octets."""
        return _written(self.answer), _written(self.authority), _written(self.additional)


class ZoneText:
    """A zone, its names and those that exist only because others stand below them (RFC 4592 2.2.2)."""

    def __init__(self, apex: dns.name.Name, text: str) -> None:
        self.apex = apex
        self.zone = dns.zone.from_text(text, apex, relativize=False, check_origin=False)
        self.nodes = {labels(name): node for name, node in self.zone.nodes.items()}
        self.depth = len(apex.labels)
        self.names = frozenset(above for name in self.nodes for above in self._up(name))
        self.cuts = frozenset(n for n, node in self.nodes.items() if _holds(node, dns.rdatatype.NS)) - {labels(apex)}
        self._said: dict[tuple[Labels, dns.rdatatype.RdataType], Said] = {}  # the text never changes

    @cached_property
    def listed(self) -> frozenset[str]:
        """The addresses that the text itself gives the nameservers it lists."""
        servers = self.zone.get_rdataset(self.apex, dns.rdatatype.NS) or ()
        rrsets = (self.zone.get_rdataset(server.target, kind) for server in servers for kind in ADDRESSES)
        return frozenset(rdata.address for rrset in rrsets if rrset for rdata in rrset)

    def say(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Said:
        """What stands at the name, a referral, or that nothing does."""
        key = (name.labels, kind)  # as it was written: the answer repeats it
        if key not in self._said:
            self._said[key] = self._say(name, kind)
        return self._said[key]

    def _say(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Said:
        own = labels(name)
        cut = next((n for n in reversed(self._up(own)) if n in self.cuts), None)
        # RFC 4035 3.1.4.1: a DS record stands on the parent's side of the cut.
        if cut and not (cut == own and kind == dns.rdatatype.DS):
            return self._referral(dns.name.Name(cut))
        if own in self.names:
            return self._found(name, own, kind)
        # RFC 4592 3.3.1: only the wildcard right below the closest encloser speaks for a name that does not exist.
        source = (WILD, *next(above for above in self._up(own) if above in self.names))
        if source in self.nodes:
            return self._found(name, source, kind)
        return self._nowhere

    def _up(self, name: Labels) -> tuple[Labels, ...]:
        """The name and those above it, up to the apex."""
        return tuple(name[i:] for i in range(len(name) - self.depth + 1))

    def _found(self, name: dns.name.Name, source: Labels, kind: dns.rdatatype.RdataType) -> Said:
        node = self.nodes.get(source)
        found = node and (_holds(node, kind) or _holds(node, dns.rdatatype.CNAME))
        if not found:
            return self._nothing
        return Said(self.apex, answer=(dns.rrset.from_rdata_list(name, found.ttl, list(found)),))

    @cached_property
    def _nothing(self) -> Said:
        """The name exists, the type does not; with the SOA record for caches (RFC 2308 2.2)."""
        return Said(self.apex, authority=self._absence())

    @cached_property
    def _nowhere(self) -> Said:
        """The name does not exist (RFC 2308 2.1)."""
        return Said(self.apex, dns.rcode.NXDOMAIN, authority=self._absence())

    def _absence(self) -> tuple[dns.rrset.RRset, ...]:
        """The SOA record, its TTL no longer than an absence may be cached (RFC 2308 3)."""
        soa = self.zone.get_rrset(self.apex, dns.rdatatype.SOA)
        return (dns.rrset.from_rdata(self.apex, min(soa.ttl, soa[0].minimum), soa[0]),) if soa else ()

    def _referral(self, cut: dns.name.Name) -> Said:
        servers = self.zone.find_rrset(cut, dns.rdatatype.NS)
        glue = [self.zone.get_rrset(server.target, kind) for server in servers for kind in ADDRESSES]
        return Said(self.apex, authority=(servers,), additional=tuple(filter(None, glue)), cut=True)


def labels(name: dns.name.Name) -> Labels:
    """The labels of a name, the root's last."""
    return tuple(label.lower() for label in name.labels)


def _holds(node: dns.node.Node, kind: dns.rdatatype.RdataType) -> dns.rdataset.Rdataset | None:
    return node.get_rdataset(dns.rdataclass.IN, kind)


def _written(rrsets: Iterable[dns.rrset.RRset]) -> Written:
    octets = BytesIO()
    return sum(rrset.to_wire(octets) for rrset in rrsets), octets.getvalue()


@cache
def parsed(apex: dns.name.Name, text: str) -> ZoneText:
    """The same zone text is read once."""
    return ZoneText(apex, text)
