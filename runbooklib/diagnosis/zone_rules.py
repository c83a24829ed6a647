"""Rules about the zones themselves: who answers for them, and what resolvers make of that."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match, Rule, Sign, Sureness, Symptom
from runbooklib.results import Status

# What is read from a zone: first words of facts.
RECORDS = ("address", "mx", "exchangers", "spf", "spf-tree", "dkim", "dmarc", "strays", "ptr")
FOUND = {"NOERROR", "NODATA"}  # the latter where the domain lies within another zone
SILENT = {"TIMEOUT", "unreachable"}
LAME = {"lame", "REFUSED"}  # a nameserver that does not hold the zone (RFC 1912 2.8)
FAILING = {"SERVFAIL", "malformed"}


def _words(found: dict[str, Any]) -> dict[str, str]:
    """Each server's word on the zone."""
    return {server: head["word"] for server, head in found["servers"].items()}


def _recursors(evidence: Evidence, top: str) -> dict[str, dict[str, str]]:
    """What each resolver that answers says of a zone."""
    return {a: seen["zones"][top] for a, seen in evidence.under("recursor") if top in seen["zones"]}


def _resolved(evidence: Evidence, top: str) -> bool:
    return any(said["word"] in FOUND for said in _recursors(evidence, top).values())


def _listed(words: dict[str, str]) -> str:
    return ", ".join(f"{server or 'nobody'} says {word}" for server, word in words.items())


def unregistered(evidence: Evidence) -> Iterator[Sign]:
    for top, found in evidence.under("delegation"):
        if not found["zone"] and "NXDOMAIN" in _words(found).values():
            yield Sign(f"{top}: {_listed(_words(found))}", _whole(top))


def lame(evidence: Evidence) -> Iterator[Sign]:
    """About the domain only where nobody holds its zone: else its records were seen as they are."""
    for top, found in evidence.under("delegation"):
        bad = {server: word for server, word in _words(found).items() if word in LAME}
        whole = len(bad) == len(found["servers"])
        if bad:
            said = f"{top}: {_listed(bad)}, {'nobody holds it' if whole else 'the others hold it'}"
            yield Sign(said, _whole(top) if whole else next(iter(bad)))


def nobody_answers(words: Collection[str]) -> Match:
    """No server of the zone can be heard, by resolvers neither: that this machine alone is cut off is no cause."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        for top, found in evidence.under("delegation"):
            said = _words(found)
            if said and set(said.values()) <= set(words) and not _resolved(evidence, top):
                yield Sign(f"{top}: {_listed(said)}", _whole(top))

    return match


def one_is_silent(evidence: Evidence) -> Iterator[Sign]:
    """One of several; a machine without IPv6 hears no server at such an address, which is not the zone's fault."""
    spoke = {
        _family(a) for _, found in evidence.under("delegation") for a, w in _words(found).items() if w == "NOERROR"
    }
    silent: dict[tuple[str, str], list[str]] = {}
    for top, found in evidence.under("delegation"):
        said = _words(found)
        if "NOERROR" in said.values():
            for server, word in said.items():
                if word in SILENT | FAILING and _family(server) in spoke:
                    silent.setdefault((server, word), []).append(top)
    for (server, word), tops in silent.items():
        yield Sign(f"{server} says {word} for {', '.join(tops)}", server)


def _family(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def serials_differ(evidence: Evidence) -> Iterator[Sign]:
    for top, found in evidence.under("delegation"):
        serials = {server: head["serial"] for server, head in found["servers"].items() if head["serial"] is not None}
        if len(set(serials.values())) > 1:
            yield Sign(f"{top}: {', '.join(f'{server} has {serial}' for server, serial in serials.items())}", top)


def delegation_differs(evidence: Evidence) -> Iterator[Sign]:
    for top, found in evidence.under("delegation"):
        parent, child = found["parent"], found["child"]
        if parent and child and set(parent) != set(child):
            yield Sign(f"{top}: the zone above names {', '.join(parent)}; the zone {', '.join(child)}", top)


def bogus(evidence: Evidence) -> Iterator[Sign]:
    """About the DS record alone: what the zone's own servers hold was seen as it is."""
    for top, _ in evidence.under("delegation"):
        yield from (Sign(said, _trust(top)) for said in _refused(evidence, top, {"bogus"}))


def cannot_resolve(evidence: Evidence) -> Iterator[Sign]:
    for top, found in evidence.under("delegation"):
        if "NOERROR" in _words(found).values():
            yield from (Sign(said, top) for said in _refused(evidence, top, FAILING | {"REFUSED"}))


def _refused(evidence: Evidence, top: str, words: Collection[str]) -> Iterator[str]:
    told = {a: said for a, said in _recursors(evidence, top).items() if said["word"] in words}
    if told:
        notes = dict.fromkeys(said["note"] for said in told.values() if said["note"])
        said = dict.fromkeys(said["word"] for said in told.values())
        yield f"{top}: {', '.join(told)} says {', '.join([*said, *notes])}"


def resolver_silent(evidence: Evidence) -> Iterator[Sign]:
    """One that params name, or all: that this machine may not ask a public one by default is no fault."""
    silent = {address: seen for address, seen in evidence.under("recursor") if seen["word"] in SILENT}
    alone = len(silent) == len(dict(evidence.under("recursor")))
    for address, seen in silent.items():
        if alone or seen["named"]:
            yield Sign(f"{address}: {seen['word']}", address)


def cached(evidence: Evidence) -> Iterator[Sign]:
    for address, seen in evidence.under("recursor"):
        for old in seen["old"]:
            said, stands = (", ".join(old[word]) or "nothing" for word in ("said", "stands"))
            told = f"{address} says of {old['name']} {old['type']}: {said}; cached until {old['until']}"
            yield Sign(f"{told}, its zone holds: {stands}", home(evidence, old["name"]))


def _trust(top: str) -> str:
    """What is about a zone's DS record, and about nothing in the zone."""
    return f"{top}/DS"


def _whole(top: str) -> str:
    return f"{top} {_trust(top)}"


def home(evidence: Evidence, name: str) -> str:
    """The mail domain, or the host's zone, that a name belongs to: what findings about it are about."""
    tops = [top for top, _ in evidence.under("delegation") if name == top or name.endswith(f".{top}")]
    return max(tops, key=len, default=name)


EVERYTHING = (Symptom.CANNOT_RECEIVE, Symptom.CANNOT_SEND, Symptom.JUNK, Symptom.CLIENT)

ZONE_RULES = (
    Rule(
        id="domain-unregistered",
        cause="the domain does not exist in DNS",
        needs=("delegation",),
        match=unregistered,
        fix="register it, or renew it where it has expired, with its registrar",
        ref="RFC 8020 2",
        explains=RECORDS,
        entails=("resolver-fails", "dnssec-bogus", "dkim-missing", "dmarc-missing"),
        symptoms=EVERYTHING,
    ),
    Rule(
        id="lame-delegation",
        cause="a nameserver that should hold the zone does not",
        needs=("delegation",),
        match=lame,
        fix="have the zone set up there again by whoever runs it, or take the nameserver out of the delegation at the "
        "registrar and out of the zone's NS records",
        ref="RFC 1912 2.8",
        explains=RECORDS,
        entails=("resolver-fails", "dnssec-bogus"),
        symptoms=EVERYTHING,
    ),
    Rule(
        id="dns-server-silent",
        cause="no nameserver of the zone answers, so that nobody finds anything in it",
        needs=("delegation", "recursor"),
        match=nobody_answers(SILENT),
        fix="see to the nameservers, or to whoever runs them: port 53 over UDP and TCP must be open to all",
        ref="RFC 9210 3",
        explains=RECORDS,
        entails=("resolver-fails", "dnssec-bogus"),
        symptoms=EVERYTHING,
    ),
    Rule(
        id="dns-server-failing",
        cause="the zone's nameservers answer that they cannot read it",
        needs=("delegation", "recursor"),
        match=nobody_answers(FAILING),
        fix="read the nameserver's log: a zone file with an error, a secondary whose copy has expired",
        ref="RFC 1035 4.1.1",
        explains=RECORDS,
        entails=("resolver-fails", "dnssec-bogus"),
        symptoms=EVERYTHING,
    ),
    Rule(
        id="nameserver-silent",
        cause="one of the zone's nameservers does not answer, or fails, so that many questions take seconds",
        needs=("delegation",),
        match=one_is_silent,
        fix="see to that nameserver, or take it out of the delegation",
        ref="RFC 2182 3",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="whether it answers from another network: `dig @SERVER DOMAIN SOA`",
        symptoms=(Symptom.SLOW,),
    ),
    Rule(
        id="dnssec-bogus",
        cause="the zone's signatures do not hold, so that validating resolvers refuse all that is in it",
        needs=("recursor",),
        match=bogus,
        fix="have the DS record at the registrar made to fit the zone's key, or removed until it does; then see that "
        "the signatures are renewed in time",
        ref="RFC 4035 5.5",
        explains=RECORDS,
        symptoms=EVERYTHING,
    ),
    Rule(
        id="resolver-fails",
        cause="a resolver cannot resolve the zone, though its nameservers answer here",
        needs=("delegation", "recursor"),
        match=cannot_resolve,
        fix="ask whoever runs the resolver, or name another in dns.resolvers",
        ref="RFC 1035 4.1.1",
        status=Status.WARN,
        sureness=Sureness.POSSIBLE,
        observe="`dig +trace DOMAIN SOA`: whether the delegation leads to the servers that were asked here",
        symptoms=EVERYTHING,
    ),
    Rule(
        id="resolver-silent",
        cause="a resolver does not answer this machine, so what the world sees was not asked there",
        needs=("recursor",),
        match=resolver_silent,
        fix="open port 53 from here to it, or name another in dns.resolvers",
        ref="RFC 9210 3",
        status=Status.WARN,
        explains=(*RECORDS, "delegation", "blocklist"),
        symptoms=(Symptom.SLOW,),
    ),
    Rule(
        id="stale-cache",
        cause="a resolver still gives what stood before; nothing is wrong, it is not yet forgotten",
        needs=("recursor",),
        match=cached,
        fix="wait until then; nothing else can hurry other people's caches",
        ref="RFC 1034 3.6",
        status=Status.PENDING,
        sureness=Sureness.LIKELY,
        observe="whether it says the same after that moment: then it filters, or asks another copy of the zone",
        symptoms=(Symptom.CANNOT_RECEIVE, Symptom.JUNK),
    ),
    Rule(
        id="serials-differ",
        cause="the zone's nameservers hold different versions of it, so the answer depends on who is asked",
        needs=("delegation",),
        match=serials_differ,
        fix="see to the zone transfer from the primary to the one that is behind",
        ref="RFC 1912 2.2",
        status=Status.WARN,
        sureness=Sureness.LIKELY,
        observe="whether they still differ in a minute: a change takes some seconds to reach them all",
        symptoms=(Symptom.JUNK, Symptom.CANNOT_RECEIVE),
    ),
    Rule(
        id="delegation-differs",
        cause="the zone above names other nameservers than the zone itself",
        needs=("delegation",),
        match=delegation_differs,
        fix="enter the zone's own NS names at the registrar, or correct them in the zone",
        ref="RFC 1034 4.2.2",
        status=Status.WARN,
        symptoms=(Symptom.SLOW,),
    ),
)
