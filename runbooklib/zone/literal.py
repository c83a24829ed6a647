"""DNS as a literal: servers that answer from zone text, with outages as scripted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.node
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone

from runbooklib.records import Word

RCODES = {Word.SERVFAIL: dns.rcode.SERVFAIL, Word.REFUSED: dns.rcode.REFUSED}


@dataclass(frozen=True)
class Literal:
    """Zone text by server and apex; an outage is what a server does to one name, or to all of them (*)."""

    servers: Mapping[str, Mapping[str, str]]
    resolvers: frozenset[str] = frozenset()
    outages: Mapping[tuple[str, str], Word] = field(default_factory=dict)

    async def exchange(self, query: dns.message.Message, server: str) -> dns.message.Message:
        """The reply of `server`; raises as a network does where an outage says so."""
        name = query.question[0].name
        plain = name.to_text(omit_final_dot=True).lower()
        outage = self.outages.get((server, plain), self.outages.get((server, "*")))
        if outage is Word.UNREACHABLE or server not in self.servers:
            raise OSError(101, "Network is unreachable")
        if outage is Word.TIMEOUT:
            raise dns.exception.Timeout
        reply = dns.message.make_response(query, recursion_available=server in self.resolvers)
        if outage in RCODES:
            reply.set_rcode(RCODES[outage])
        else:
            self._answer(reply, name, query.question[0].rdtype, server)
        if outage is Word.LAME:
            reply.flags &= ~dns.flags.AA
        return dns.message.from_wire(reply.to_wire())

    def _answer(
        self, reply: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType, server: str
    ) -> None:
        """Fills the reply, through the aliases the server knows (RFC 1034 4.3.2)."""
        zone = self._zone(name, server)
        if zone is None:
            reply.set_rcode(dns.rcode.NOERROR if reply.answer else dns.rcode.REFUSED)
            return
        if server not in self.resolvers:
            reply.flags |= dns.flags.AA
        alias = zone.get_rrset(name, dns.rdatatype.CNAME)
        found = zone.get_rrset(name, kind)
        if found:
            reply.answer.append(found)
            return
        if alias:
            reply.answer.append(alias)
            self._answer(reply, alias[0].target, kind, server)
            return
        reply.authority.append(zone.find_rrset(zone.origin or name, dns.rdatatype.SOA))
        if not any(n.is_subdomain(name) for n in zone.nodes):
            reply.set_rcode(dns.rcode.NXDOMAIN)

    def _zone(self, name: dns.name.Name, server: str) -> dns.zone.Zone | None:
        apexes = [(dns.name.from_text(apex), text) for apex, text in self.servers[server].items()]
        holding = [(apex, text) for apex, text in apexes if name.is_subdomain(apex)]
        if not holding:
            return None
        return _parsed(*max(holding, key=lambda held: len(held[0])))


@cache
def _parsed(apex: dns.name.Name, text: str) -> dns.zone.Zone:
    return dns.zone.from_text(text, apex, relativize=False, check_origin=False)
