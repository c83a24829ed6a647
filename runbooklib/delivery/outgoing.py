"""What a recipient elsewhere really got from us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from runbooklib.delivery.arriving import Copy
from runbooklib.delivery.cases import Case
from runbooklib.eml import Authentication, comparison, dates, survival
from runbooklib.eml.hops import Hop, timeline
from runbooklib.eml.signatures import Signature
from runbooklib.results import Check, Status
from runbooklib.spf import Result

SKEW = 60.0  # seconds a clock may be off
SANE = timedelta(minutes=10)  # between our clock and a Date header; more is a clock gone wrong


def rows(case: Case, copy: Copy) -> Iterator[Check]:
    """Who vouches for it, the way it took, and what of it was changed."""
    proof = case.proof
    if proof is None:
        fix = "delivery.prove authenticates what arrived"
        yield case.check("dmarc", Status.UNKNOWN, "aligned authentication", "it was not authenticated", fix)
        return
    yield spf(case, proof)
    yield from dkim(case, proof)
    yield from survives(case, copy, proof)
    yield dmarc(case, proof)
    yield from arc(case, proof)
    yield comparison.says(case.letter.name, proof)
    yield way_out(case, proof)
    yield time(case, copy, proof)
    yield tls(case, list(proof.mail.hops))
    yield envelope(case, proof)
    yield headers(case, copy, proof)


def spf(case: Case, proof: Authentication) -> Check:
    """What SPF says of the client that handed it over and of MAIL FROM, evaluated by us (RFC 7208)."""
    expected = "spf=pass for who handed it over and MAIL FROM"
    if proof.spf is None or proof.border is None:
        fix = "look at the message's Received headers and the relay's own log by hand"
        return replace(case.check("spf", Status.UNKNOWN, expected, proof.trouble, fix, "RFC 7208 4.1"), advisory=True)
    result, client = proof.spf.result, proof.border.address
    status = {Result.PASS: Status.PASS, Result.TEMPERROR: Status.UNKNOWN}.get(result, Status.FAIL)
    said = f"spf={result} for {proof.spf_domain} from {client}: {proof.spf.reason}"
    fix = f"let the SPF record of {proof.spf_domain} name {client}: stage 04 plans it"
    return case.check("spf", status, expected, said, fix, "RFC 7208 2.6")


def dkim(case: Case, proof: Authentication) -> Iterator[Check]:
    """One row for each signature that must be there or is; a broken one only warns where another stands in for it."""
    ours, relay, domain = _signer(case), case.relay, case.domain
    wanted = [ours, *(d.selector for d in (relay.keys_for(domain.name) if relay else ()))]
    if ours != domain.dkim.selector:
        yield _rotating(case, ours)
    selectors = [s.selector for s in proof.signatures]
    for selector in wanted:
        if selector not in selectors:
            yield _unsigned(case, selector, proof, ours=selector == ours)
    for i, signature in enumerate(proof.signatures):
        twin = i - selectors.index(signature.selector)
        yield _signature(case, signature.selector + f" #{twin + 1}" * bool(twin), signature, proof)


def _signer(case: Case) -> str:
    """The selector our server signed with: by its own log, else as params say."""
    told = (selector for domain, selector in case.parcel.signers if domain == case.domain.name)
    return next(told, case.domain.dkim.selector)


def _rotating(case: Case, ours: str) -> Check:
    """The server's log names another key than params: the new one waits until DNS shows it."""
    wanted = case.domain.dkim.selector
    said, fix = f"our server signs with {ours} still", "see dkim.signing in 03: it says what the new key waits for"
    expected = f"a signature of selector {wanted}"
    return case.check("dkim", Status.PENDING, expected, said, fix, "RFC 6376 3.1", wanted)


def _unsigned(case: Case, selector: str, proof: Authentication, *, ours: bool) -> Check:
    seen = ", ".join(f"{s.selector} (d={s.domain})" for s in proof.signatures) or "no signature at all"
    if (case.domain.name, selector) in case.parcel.signers:
        return _stripped(case, selector, f"{seen}; our server's log says that it signed", proof)
    fix = "see stage 03: the key is not live" if ours else "see whether the relay has verified the domain"
    status = Status.FAIL if ours else Status.WARN
    return case.check("dkim", status, f"a signature of selector {selector}", seen, fix, "RFC 6376 3.5", selector)


def _stripped(case: Case, selector: str, seen: str, proof: Authentication) -> Check:
    """It left with our signature and arrived without; where another stands in for it, that only warns."""
    who = case.relay.host if case.relay else "who took it from us"
    fix = f"{who} takes it out: its own signature has to stand in for it, or ask its support to leave ours"
    status = Status.WARN if proof.aligned.dkim else Status.FAIL
    return case.check("dkim", status, f"a signature of selector {selector}", seen, fix, "RFC 6376 4.2", selector)


def _signature(case: Case, about: str, signature: Signature, proof: Authentication) -> Check:
    expected = f"d={signature.domain} s={signature.selector} verifies"
    covered = signature.status is Status.FAIL and proof.aligned.dkim
    status = Status.WARN if covered else signature.status
    fix = "compare the key in DNS with the server's (03, 04); a relay that changes signed headers breaks ours"
    said = signature.said if signature.good else f"dkim={signature.result}: {signature.said}"
    return case.check("dkim", status, expected, said, fix, "RFC 6376 6.1", about)


def survives(case: Case, copy: Copy, proof: Authentication) -> Iterator[Check]:
    """What became of our own signature; broken, it only warns where the relay's stands in for it."""
    for signature in proof.signatures:
        if (signature.domain, signature.selector) == (case.domain.name, _signer(case)):
            row = survival.judge(case.letter.name, case.parcel.handed.raw, copy.raw, signature)
            covered = row.status is Status.FAIL and proof.aligned.dkim
            yield replace(row, status=Status.WARN) if covered else row
            return


def dmarc(case: Case, proof: Authentication) -> Check:
    """DMARC pass, and aligned by what; the recipient's own word counts where it gives one (RFC 9989)."""
    told = proof.method("dmarc")
    says = f"the recipient says dmarc={told.result}" if told else "the recipient wrote no DMARC result of its own"
    said = [f"aligned by {proof.verdict}", str(proof.aligned) * bool(proof.aligned), says, proof.aligned.difference]
    unknown = proof.verdict == "unknown" or (proof.aligned and told and told.result == "temperror")
    good = proof.aligned and (told is None or told.result == "pass")
    status = Status.UNKNOWN if unknown else Status.PASS if good else Status.FAIL
    return case.check(
        "dmarc",
        status,
        f"dmarc=pass, {proof.author or 'the author domain'} aligned by SPF or DKIM",
        "; ".join(filter(None, [*said, proof.trouble])),
        "publish DMARC (04), and let SPF pass for MAIL FROM, or a signature verify, under the From domain",
        "RFC 9989 4.4",
    )


def arc(case: Case, proof: Authentication) -> Iterator[Check]:
    """The chain of those who handed it on, where there is one; a broken one is nothing of ours (RFC 8617 5.2)."""
    chain, expected = proof.arc, "a chain of seals that holds"
    if not chain:
        return
    first = ", ".join(f"{m.name}={m.result}" for m in chain.first) or "nothing"
    said = f"arc={chain.result}: {chain.said}; sealed by {' → '.join(chain.sealers)}; the first of them found {first}"
    if chain.result == "temperror":
        fix = "run again: a resolver did not answer"
        yield replace(case.check("arc", Status.UNKNOWN, expected, said, fix, "RFC 8617 5.2"), advisory=True)
        return
    fix = "who seals last changed the message or has another key in DNS: theirs to mend; SPF, DKIM and DMARC decide"
    status = Status.PASS if chain.result == "pass" else Status.WARN
    yield case.check("arc", status, expected, said, fix, "RFC 8617 5.2")


def time(case: Case, copy: Copy, proof: Authentication) -> Check:
    """How long it took, and whose clock is wrong, by the clocks on the way and our own."""
    expected, ref = f"clocks on the way agree within {SKEW:.0f} s", "RFC 5321 4.4"
    way = timeline(proof.mail.hops, case.parcel.handed.at or None, case.parcel.came(copy))
    if way.slowest is None or way.total is None:
        row = case.check("time", Status.UNKNOWN, expected, "no hop says when it took the message", "", ref)
        return replace(row, advisory=True)
    wrong = [(host, skew) for host, skew in way.skews if abs(skew) > SKEW]
    said = [f"{way.total:.0f} s until it was there", f"slowest {way.slowest.seconds:.0f} s to {way.slowest.hop.by}"]
    said += [f"the clock of {host or 'this machine'} is {skew:+.0f} s off" for host, skew in wrong]
    ours = {"", case.site.server.hostname}
    fix = "set the clock by NTP (timedatectl); DKIM's t= and x=, TLS and logs depend on it"
    theirs = "nothing of ours: tell whoever runs it"
    mend = fix if any(host in ours for host, _ in wrong) else theirs
    return case.check("time", Status.WARN if wrong else Status.PASS, expected, "; ".join(said), mend, ref)


def way_out(case: Case, proof: Authentication) -> Check:
    """Who handed it to the recipient: never our own address where a relay sends."""
    ours = {case.site.server.ipv4, case.site.server.ipv6}
    way = proof.mail.hops
    last = proof.border or next((hop for hop in reversed(way) if not hop.local), None)
    expected = f"through {case.relay.host}" if case.relay else "straight from our server"
    seen = " → ".join(hop.by for hop in way if not hop.local) or "no hop between two hosts"
    direct = last is not None and last.address in ours
    fix = "run stage 02, and see whether the sender's domain has a relay"
    return case.judged("path", last is not None and direct == (case.relay is None), expected, seen, fix)


def tls(case: Case, way: list[Hop]) -> Check:
    """TLS from host to host, as each receiving host wrote it down (RFC 3848)."""
    between = [hop for hop in way if not hop.local]
    bare = [hop for hop in between if not hop.secure]
    ours = [hop for hop in bare if case.site.server.hostname in {hop.by, hop.said}]
    seen = "; ".join(f"{hop.by}: {hop.tls or hop.protocol or 'nothing said'}" for hop in between) or "no hop"
    weak = bare or [hop for hop in between if hop.outdated]  # RFC 8996
    status = Status.FAIL if ours or not between else Status.WARN if weak else Status.PASS
    fix = "give our side a certificate and TLS (01), and the relay's policy `encrypt` or `secure` (02)"
    return case.check("tls", status, "TLS 1.2 or later on each hop between hosts", seen, fix, "RFC 3848, RFC 8996")


def envelope(case: Case, proof: Authentication) -> Check:
    """The envelope sender as it arrived: kept, or rewritten to the relay's return path."""
    sender, path = case.letter.sender, proof.mail_from
    label = case.relay.return_path if case.relay else None
    expected = f"rewritten to {label}.{case.domain.name}" if label else f"kept as {sender}"
    if path is None:
        return case.check("envelope", Status.UNKNOWN, expected, "no Return-Path: the recipient does not keep it")
    host = path.rpartition("@")[2].lower()
    observed = "kept" if path.lower() == sender else f"rewritten to {path or 'the null return path <>'}"
    right = host == f"{label}.{case.domain.name}" if label else path.lower() == sender
    fix = "set return_path of the relay in params to what it really uses, so that 04 publishes SPF there"
    return case.check("envelope", Status.PASS if right else Status.WARN, expected, observed, fix, "RFC 5321 4.4")


def headers(case: Case, copy: Copy, proof: Authentication) -> Check:
    """From as written, one Message-ID, and a Date near our clock (RFC 5322 3.6)."""
    mail = proof.mail
    ids, dates = mail.all("message-id"), mail.all("date")
    wrong = []
    if proof.author != case.domain.name:
        wrong.append(f"From is {', '.join(mail.all('from')) or 'missing'}")
    if len(ids) != 1:
        wrong.append(f"{len(ids)} Message-ID headers")
    if not _near("".join(dates[:1]), case.parcel.came(copy)):
        wrong.append(f"Date is {', '.join(dates) or 'missing'}")
    kept = any(case.arrived.sent.plan.marker in ident for ident in ids)
    said = "Message-ID kept" if kept else f"Message-ID rewritten to {', '.join(ids)}"
    fix = "see whether the relay rewrites headers, and the clocks here and on the server"
    expected = f"From @{case.domain.name}, one Message-ID, Date of now"
    return case.judged("headers", not wrong, expected, "; ".join(wrong) or said, fix, "RFC 5322 3.6")


def _near(date: str, at: float) -> bool:
    said = dates.parse(date)
    if said is None:
        return False
    aware = said if said.tzinfo else said.replace(tzinfo=UTC)
    return abs(aware - datetime.fromtimestamp(at, UTC)) < SANE
