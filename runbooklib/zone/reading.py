"""Reading what a server replied: records as values, and a word for how it ended."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.TXT

from runbooklib.answers import SAID, Answer, Question, Word
from runbooklib.zone.octets import Record, Reply, absolute, canonical, parse, plain_strings, truncated, type_number

LONGEST_CHAIN = 16  # aliases followed in one reply
NOTED = 120  # characters of a server's own words in a note


def read(question: Question, server: str, reply: bytes | dns.message.Message, *, recursive: bool) -> Answer:
    """The answer in a reply, `malformed` where there is none to be read."""
    octets = reply if isinstance(reply, bytes) else reply.to_wire()
    if truncated(octets):
        return Answer(question, server, Word.MALFORMED, recursive, note="truncated, and no answer over TCP")
    try:
        parsed = parse(octets)
        found = _found(question, parsed)
        values, raw = _values(found.records)
    except dns.exception.DNSException as error:
        return Answer(question, server, Word.MALFORMED, recursive, note=type(error).__name__)
    word = _word(parsed, found, recursive)
    return Answer(
        question,
        server,
        word,
        recursive,
        values=values,
        raw=raw,
        chain=found.chain,
        ttl=_ttl(parsed, found),
        zone=_zone(parsed),
        secure=recursive and word in SAID and bool(parsed.flags & AUTHENTIC),
        note=_note(parsed),
    )


@dataclass(frozen=True)
class _Found:
    """What a reply's answer section holds for a question, at the end of its aliases."""

    name: str  # the last name
    chain: tuple[str, ...]
    records: tuple[Record, ...]
    ttl: int | None  # the smallest on the way


def _found(question: Question, reply: Reply) -> _Found:
    """RFC 1034 3.6.2: an alias is followed unless it is what was asked for."""
    kind = type_number(question.type)
    name = canonical(question.name)
    chain: list[str] = []
    ttls: list[int] = []
    while True:
        records = tuple(r for r in reply.answer if r.type == kind and r.owner == name)
        alias = next((r for r in reply.answer if r.type == dns.rdatatype.CNAME and r.owner == name), None)
        ttls += [r.ttl for r in records]
        if records or alias is None:
            return _Found(name, tuple(chain), records, min(ttls, default=None))
        if len(chain) == LONGEST_CHAIN:
            raise dns.message.ChainTooLong
        name = alias.target
        chain.append(name)
        ttls.append(alias.ttl)


def _values(records: tuple[Record, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pairs = sorted(map(_pair, records))
    return tuple(v for v, _ in pairs), tuple(r for _, r in pairs)


def _pair(record: Record) -> tuple[str, str]:
    """How a record compares, and how a zone file writes it; the common types without an object in between."""
    octets = record.octets
    if record.type == ADDRESS and len(octets) == V4:
        return (shown := socket.inet_ntop(socket.AF_INET, octets)), shown
    if record.type == ADDRESS6 and len(octets) == V6:
        return (shown := socket.inet_ntop(socket.AF_INET6, octets)), shown
    if record.type == TEXT and (strings := plain_strings(octets)):
        return "".join(strings), " ".join(f'"{s}"' for s in strings)
    if record.type in NAMED:
        return record.target, absolute(record.target)
    if record.type == EXCHANGER and len(octets) > PREFERENCE:
        preference, target = int.from_bytes(octets[:PREFERENCE], "big"), record.target_after(PREFERENCE)
        return f"{preference} {target}", f"{preference} {absolute(target)}"
    return value(record.rdata), record.rdata.to_text()


# Plain numbers: enumerations are slow to compare with.
ADDRESS, ADDRESS6, TEXT, EXCHANGER = (type_number(kind) for kind in ("A", "AAAA", "TXT", "MX"))
NAMED = {type_number(kind) for kind in ("NS", "CNAME", "PTR")}
V4, V6, PREFERENCE = 4, 16, 2  # octets
KNOWN: dict[int, Word] = {
    dns.rcode.NXDOMAIN: Word.NXDOMAIN,
    dns.rcode.SERVFAIL: Word.SERVFAIL,
    dns.rcode.REFUSED: Word.REFUSED,
    dns.rcode.NOERROR: Word.NOERROR,
}
# RFC 8914 4: what the validator found wrong, and what the resolver's owner does not let through.
AUTHORITATIVE, AUTHENTIC = int(dns.flags.AA), int(dns.flags.AD)  # enumerations are slow to compute with
INVALID = {6, 7, 8, 9, 10, 11, 12, 25}
FILTERED = {4, 15, 16, 17, 18}


def _word(reply: Reply, found: _Found, recursive: bool) -> Word:
    word = KNOWN.get(reply.rcode, Word.MALFORMED)
    if word in {Word.NOERROR, Word.NXDOMAIN} and not recursive and not reply.flags & AUTHORITATIVE:
        return Word.LAME
    if recursive and any(code in FILTERED for code, _ in reply.errors):
        return Word.REFUSED
    if recursive and word is Word.SERVFAIL and any(code in INVALID for code, _ in reply.errors):
        return Word.BOGUS
    if word is Word.NXDOMAIN and found.records:
        return Word.MALFORMED
    if word is Word.NOERROR and not found.records:
        return Word.NODATA
    # RFC 6604 3: behind a CNAME the code is that of the last name; the asked name does exist.
    return Word.NODATA if word is Word.NXDOMAIN and found.chain else word


def _note(reply: Reply) -> str:
    """A return code that is no word of ours, then the server's own explanation (RFC 8914)."""
    code = "" if reply.rcode in KNOWN else dns.rcode.to_text(dns.rcode.Rcode.make(reply.rcode))
    return "; ".join(filter(None, [code, *(_explained(*e) for e in reply.errors)]))


def _explained(code: int, said: str) -> str:
    name = dns.edns.EDECode.to_text(dns.edns.EDECode.make(code)).replace("_", " ").lower()
    return f"{name}: {_shown(said[:NOTED])}" if said else name


def _ttl(reply: Reply, found: _Found) -> int:
    ttls = [] if found.ttl is None else [found.ttl]
    if not found.records:  # an absence may be cached as long as the SOA record says (RFC 2308 5)
        holders = [r for r in reply.authority if r.type == dns.rdatatype.SOA and _below(found.name, r.owner)]
        ttls += [min(r.ttl, int.from_bytes(r.octets[-4:], "big")) for r in holders[:1]]
    return min(ttls, default=0)


def _below(name: str, zone: str) -> bool:
    return zone in {name, "."} or name.endswith(f".{zone}")


def _zone(reply: Reply) -> str:
    owners = (r.owner for r in (*reply.answer, *reply.authority) if r.type == dns.rdatatype.SOA)
    return next(owners, "")


def value(rdata: dns.rdata.Rdata) -> str:
    """How a record compares: TXT joined and unquoted, names in lower case without final dot."""
    if isinstance(rdata, dns.rdtypes.ANY.TXT.TXT):
        return _shown(b"".join(rdata.strings).decode("utf-8", "replace"))
    shown = rdata.to_text().lower()
    return shown if shown.split()[-1] == "." else shown.rstrip(".")


def _shown(said: str) -> str:
    """What may be shown in a terminal, all else as U+FFFD, which no strict parser takes for its own text.

    A tab stays, as it may stand between the tags of a record (RFC 6376 2.8).
    """
    return said if said.isprintable() else "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in said)


def text(name: dns.name.Name) -> str:
    """A name in lower case without final dot."""
    return name.to_text(omit_final_dot=True).lower()
