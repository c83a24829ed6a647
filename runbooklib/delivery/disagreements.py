"""Where DNS and params say otherwise than the messages that arrived: each fact with its verdict and what to publish."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from runbooklib import records, relays, spf
from runbooklib.answers import Lookup
from runbooklib.delivery.facts import Fact, judged
from runbooklib.delivery.proposals import Proposal, authorising
from runbooklib.delivery.sightings import Sighting
from runbooklib.results import Status
from runbooklib.spf import Evaluation, Result

MESSAGES = "see the path of each message in delivery.path"


# the verdict


def verdict(sighting: Sighting) -> Fact:
    """By what every message is aligned, for receivers that follow RFC 9989 and for those that follow RFC 7489."""
    walked = _common([(bool(p.aligned.spf), bool(p.aligned.dkim), bool(p.trouble)) for p in sighting.proofs])
    listed = _common([(bool(p.listed.spf), bool(p.listed.dkim), bool(p.trouble)) for p in sighting.proofs])
    said = f"aligned by {walked} under RFC 9989, by {listed} under RFC 7489"
    policy = next((str(p.discovery.walked) for p in sighting.proofs if p.discovery), "no author domain")
    status, trouble = _judge(walked, listed), next((p.trouble for p in sighting.proofs if p.trouble), "")
    if status is Status.WARN and trouble:
        status = Status.UNKNOWN  # what is short may only not have been heard
    check = judged(
        sighting,
        "verdict",
        status,
        "aligned by SPF and DKIM, or by DKIM, under both RFCs",
        "; ".join(filter(None, [said, trouble if status is Status.UNKNOWN else ""])),
        "the other rows of relay.truth say what is short: DKIM alone survives forwarding, SPF alone does not",
        "RFC 9989 4.4",
    )
    return Fact(sighting.about, "verdict", said, f"policy {policy}", check)


def _common(each: Sequence[tuple[bool, bool, bool]]) -> str:
    """What holds for every message: SPF, DKIM, and whether something could not be told."""
    if all(s and d for s, d, _ in each):
        return "SPF and DKIM"
    if all(d for _, d, _ in each):
        return "DKIM"
    if all(s for s, _, _ in each):
        return "SPF"
    if any(not (s or d or t) for s, d, t in each):
        return "none"
    return "SPF or DKIM by turns" if all(s or d for s, d, _ in each) else "unknown"


def _judge(walked: str, listed: str) -> Status:
    """Receivers change over from one RFC to the other for years: what only one of them accepts is no failure yet."""
    if walked == "none":
        return Status.FAIL
    if "unknown" in {walked, listed}:
        return Status.UNKNOWN
    return Status.PASS if {walked, listed} <= {"SPF and DKIM", "DKIM"} else Status.WARN


# who sent it


def senders(sighting: Sighting) -> Fact:
    """The addresses that handed it over: the relay's where one sends, else our own."""
    own, seen = sighting.own_addresses, sighting.addresses
    relay = sighting.relay
    expected = f"addresses of {relay.host}, never ours" if relay else "our own addresses"
    wrong = [a for a in seen if sighting.stray(a)]
    status = Status.FAIL if wrong else Status.PASS if seen else Status.UNKNOWN
    said = ", ".join(f"{a} (ours)" if a in own else a for a in seen) or "no hop shows who handed it over"
    past = f"run stage 02: mail of {sighting.domain.name} leaves past the relay"
    fix = past if relay else "set server.ipv4 and ipv6 in params to what it leaves by, or let it leave by those"
    check = judged(sighting, "senders", status, expected, said, fix)
    check = replace(check, advisory=status is Status.UNKNOWN)
    return Fact(sighting.about, "sending addresses", said, expected, check)


# whom SPF names


async def authorised(look: Lookup, sighting: Sighting) -> list[Fact]:
    """One for each domain that stood in MAIL FROM."""
    if not sighting.evaluated:
        said = next((proof.trouble for proof in sighting.proofs if proof.trouble), "")
        check = judged(sighting, "spf", Status.UNKNOWN, "SPF passes", said, MESSAGES, "RFC 7208 2.6")
        return [Fact(sighting.about, "SPF", said, check=replace(check, advisory=True))]
    told = sighting.evaluated.items()
    found = await asyncio.gather(*(spf_at(look, sighting, host, results) for host, results in told))
    return [_numbered(fact, i) for i, fact in enumerate(found)]


def _numbered(fact: Fact, i: int) -> Fact:
    """A second return path has a row of its own."""
    again = fact.check and replace(fact.check, name=f"{fact.check.name} #{i + 1}")
    return replace(fact, check=again) if i else fact


async def spf_at(look: Lookup, sighting: Sighting, host: str, results: dict[str, Evaluation]) -> Fact:
    """Whether SPF at a return path's domain names all that sent; where not, the record that would."""
    failed = [a for a, r in results.items() if r.result not in {Result.PASS, Result.TEMPERROR}]
    silent = [a for a, r in results.items() if r.result is Result.TEMPERROR]
    said = "; ".join(f"{a}: {r.result}, {r.reason}" for a, r in results.items())
    status = Status.FAIL if failed else Status.UNKNOWN if silent else Status.PASS
    proposal = await _proposal(look, sighting, host, [a for a in failed if not sighting.stray(a)])
    expected, ref = f"SPF of {host} names every address that sent", "RFC 7208 2.6"
    fix = str(proposal) if failed else "run again: DNS did not answer"
    check = judged(sighting, "spf", status, expected, said, fix, ref)
    where = f"{host} TXT" if proposal.new else ""
    return Fact(sighting.about, f"SPF at {host}", ", ".join(results), said, check, where, proposal.old, proposal.new)


async def _proposal(look: Lookup, sighting: Sighting, host: str, addresses: Sequence[str]) -> Proposal:
    """A record of others is not ours to publish; who should not have sent is not let in."""
    if not sighting.owns(host):
        return Proposal(host, "", why=f"{host} is the relay's own: tell its support; till then DKIM has to align")
    if not addresses:
        return Proposal(host, "", why="nothing to publish: relay.truth.senders says who sent it instead")
    return await authorising(look, host, addresses, _pool(sighting, host))


def _pool(sighting: Sighting, host: str) -> list[str]:
    """The terms that params and the provider name for a domain in MAIL FROM, be it another than they expect."""
    site, relay = sighting.site, sighting.relay
    told = [w for w in records.desired(site, relays.records(site)) if w.kind == "spf" and w.values]
    here = [w.values[0] for w in told if w.name == host]
    elsewhere = [w.values[0] for w in relays.records(site) if w in told and sighting.owns(w.name)]
    if texts := [*here, *elsewhere]:
        return [term.text for term in spf.parse(texts[0]).tested]
    return (relay.spf or "").split() if relay else []


async def at_author(look: Lookup, sighting: Sighting) -> list[Fact]:
    """What SPF of the author domain would say, where another domain stands in MAIL FROM: no receiver asks it."""
    name = sighting.domain.name
    if name in sighting.evaluated or not sighting.addresses:
        return []
    results = await asyncio.gather(*(spf.evaluate(look, a, f"postmaster@{name}", name) for a in sighting.addresses))
    told = "; ".join(f"{a}: {r.result}" for a, r in zip(sighting.addresses, results, strict=True))
    return [Fact(sighting.about, f"SPF at {name}", "not in MAIL FROM, so no receiver asks it", told)]


# where bounces go


def return_path(sighting: Sighting) -> Fact:
    """MAIL FROM as it arrived, against the name at which 04 publishes SPF for it."""
    name, relay = sighting.domain.name, sighting.relay
    label = relay.return_path if relay else None
    expected = f"{label}.{name}" if label else name
    seen = ", ".join(host or "<> (a bounce)" for host in sighting.hosts) or "no Return-Path: recipients do not keep it"
    others = [host for host in sighting.hosts if host != expected]
    where = f"relays.{sighting.domain.relay}.return_path" if others and relay else ""
    new = _label(sighting, others[0]) if where else ""
    fix = _moved(others[0], where, new) if others else MESSAGES
    status = _broken(sighting) if others else Status.PASS if sighting.hosts else Status.UNKNOWN
    check = judged(sighting, "return-path", status, f"MAIL FROM at {expected}", seen, fix, "RFC 5321 4.4")
    check = replace(check, advisory=status is Status.UNKNOWN)
    old = (label or "none") if new else ""
    return Fact(sighting.about, "return path", seen, f"params: {expected}", check, where if new else "", old, new)


def _label(sighting: Sighting, host: str) -> str:
    """The value of return_path that would be true; empty where none can be."""
    if host == sighting.domain.name:
        return "null"
    return host.removesuffix(f".{sighting.domain.name}") if sighting.owns(host) else ""


def _moved(host: str, where: str, label: str) -> str:
    if not where:
        return "see whether something between our server and the recipient rewrites the envelope sender"
    if not label:
        return (
            f"the relay bounces to {host or 'nobody'}, its own name, so SPF cannot align: "
            "set up a return path of your own at the provider, name it in params, and run 04"
        )
    return f"set {where} to {label} in params, then run 04: it publishes what belongs at {host}"


def _broken(sighting: Sighting) -> Status:
    """Another name than params say works while SPF passes there, or DKIM stands in for it."""
    results = [r.result for found in sighting.evaluated.values() for r in found.values()]
    passing = bool(results) and all(r is Result.PASS for r in results)
    return Status.WARN if passing and all(p.aligned for p in sighting.proofs) else Status.FAIL
