"""Whether a domain sends and receives: as is known, else as its own records say."""

from __future__ import annotations

from runbooklib import spf
from runbooklib.answers import Answer, Lookup, Word
from runbooklib.audit.subject import Subject
from runbooklib.zone import Stub

MADE_UP = "no-such-name-f3a91c"  # a label nobody chose
MOST = 20  # hosts, nameservers or terms that are followed; nobody has more, unless to keep us busy


async def sends(look: Lookup, subject: Subject) -> bool | None:
    """Whether mail leaves with its name: nobody may send for one whose SPF is `-all` alone (RFC 7208 10.1.2)."""
    if subject.sends is not None:
        return subject.sends
    if subject.selectors or subject.senders or subject.return_paths:
        return True
    return False if nobody(await look(subject.domain, "TXT")) else None


async def receives(look: Lookup, subject: Subject) -> bool | None:
    """Whether mail for it is wanted: a null MX says that it is not (RFC 7505)."""
    if subject.receives is not None:
        return subject.receives
    if subject.host:
        return True
    answer = await look(subject.domain, "MX")
    return None if not answer.heard or not answer.values else hosts(answer) != ()


async def services(look: Lookup, domain: str) -> Answer:
    """Whether anything stands below `_tcp`: NXDOMAIN means that nothing does (RFC 8020)."""
    return await look(f"_tcp.{domain}", "SRV")


async def made_up(look: Lookup, domain: str, kind: str = "TXT") -> Answer:
    """What a name answers that nobody made: a wildcard (RFC 4592 2.1), if anything.

    NXDOMAIN at a name that is asked anyway is proof enough that there is none.
    """
    below = await services(look, domain)
    return below if below.word is Word.NXDOMAIN else await look(f"{MADE_UP}.{domain}", kind)


async def validated(stub: Stub, name: str, kind: str) -> Answer:
    """What stands at a name as a validating resolver gives it; none is asked for what does not stand yet."""
    answer = await stub(name, kind)
    return await stub.validating(name, kind) if answer.values else answer


def nobody(answer: Answer) -> bool:
    """Whether an SPF record says that nothing sends."""
    found = [v for v in answer.values if spf.is_spf(v)]
    return len(found) == 1 and found[0].lower().split() == ["v=spf1", "-all"]


def hosts(mx: Answer) -> tuple[str, ...]:
    """The MX hosts by preference, without a null MX; of a hostile number the first."""
    pairs = sorted((int(v.split()[0]), v.split()[1]) for v in mx.values)
    return tuple(dict.fromkeys(host for _, host in pairs if host != "."))[:MOST]


def absent(answer: Answer) -> bool:
    """Whether it was heard that nothing stands there."""
    return answer.word in {Word.NODATA, Word.NXDOMAIN}
