"""What a parent zone says of the zone below it: its nameservers, and glue for those inside (RFC 1034 4.2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runbooklib.answers import Answer, Question, Word
from runbooklib.audit.addresses import Addresses, resolve_all
from runbooklib.audit.claims import Claim
from runbooklib.results import Check
from runbooklib.zone import Stub
from runbooklib.zone.authorities import Referral, referral
from runbooklib.zone.questions import exchange

TRIED = 2  # nameservers of the parent; they all hold the same zone


async def nameservers(stub: Stub, name: str) -> Answer:
    """The NS rrset of the zone that holds a name."""
    own = await stub(name, "NS")
    inside = own.word is Word.NODATA and not own.chain and own.zone not in {"", name}
    return await stub(own.zone, "NS") if inside else own


async def delegated(stub: Stub, apex: str) -> Referral | Answer | None:
    """The parent's referral; None where params name the servers, or where one server holds both zones."""
    above = apex.partition(".")[2]
    if stub.authoritative or not above:
        return None
    names = await nameservers(stub, above)
    hosts = await resolve_all(stub, names.values[:TRIED])
    answer = names
    for server in [address for host in hosts.values() for address in host.all]:
        reply = await exchange(stub.wire, Question(apex, "NS"), server, recursive=False)
        if not isinstance(reply, Answer):
            found = referral(reply, apex)
            return found if found and found.zone == apex else None
        answer = reply
    return answer


def judged(apex: str, parent: Referral | Answer | None, hosts: Mapping[str, Addresses]) -> list[Check]:
    """Whether parent and zone name the same nameservers, at the same addresses."""
    claim = Claim("dns.ns.parent", apex, f"the parent names {', '.join(hosts)}")
    if parent is None:
        return []
    if isinstance(parent, Answer):
        return [claim.unheard(parent)]
    stale = _stale(parent, hosts)
    if stale:
        fix = "correct the glue at the registrar: until then part of the world asks the wrong machine"
        return [claim.failed("; ".join(stale), fix)]
    told = ", ".join(sorted(parent.names))
    fix = "name the same servers at the registrar and in the zone"
    return [claim.doubted(set(parent.names) == set(hosts), told, fix)]


def _stale(parent: Referral, hosts: Mapping[str, Addresses]) -> Sequence[str]:
    """The glue that the zone itself does not know."""
    known = {name: host for name, host in hosts.items() if host.heard and host.all}
    return [
        f"{name} has glue {address}, the zone says {known[name].shown}"
        for name, glue in parent.glue.items()
        if name in known
        for address in glue
        if address not in known[name].all
    ]
