"""A message somebody saved or pasted, judged as those that we sent ourselves.

What a paste lacks or may have changed is not known; it is never taken for wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from runbooklib.answers import Lookup
from runbooklib.eml import comparison
from runbooklib.eml.authentication import Authentication, authenticate
from runbooklib.eml.hops import Hop, is_address
from runbooklib.eml.judging import judge as judge_message
from runbooklib.eml.reading import Eml
from runbooklib.eml.reading import read as read_message
from runbooklib.eml.source import Source
from runbooklib.results import Check, Checklist, Status, Table, judged, passed
from runbooklib.spf import Result


@dataclass(frozen=True)
class Saved:
    """What was found out about one saved message."""

    source: Source
    receiver: str  # the host that stands for its recipient; empty where none is known
    proof: Authentication
    checks: Checklist

    @property
    def way(self) -> Table:
        """The way it took, oldest hop first."""
        rows = tuple(
            (hop.said, hop.address, hop.by, " ".join(filter(None, (hop.protocol, hop.tls))), str(hop.time or ""))
            for hop in self.proof.mail.hops
        )
        return Table("the way hop by hop", ("from", "address", "by", "with", "time"), rows)


async def judge(look: Lookup, source: Source, about: str, receiver: str = "") -> Saved:
    """The message in a source, as the host that took it in for its recipient could have judged it."""
    mail = read_message(source.raw)
    host = receiver or received_by(mail)
    proof = await authenticate(look, mail, [host] if host else [])
    rows = [_source(source, host, mail, about), *_authentic(proof, about), *judge_message(proof, about)]
    told = tuple(_doubted(row, source, mail) for row in rows if _body(mail) or "delivery.content" not in row.name)
    return Saved(source, host, proof, Checklist(f"{about}, as {host or 'nobody known'} received it", told))


def received_by(mail: Eml) -> str:
    """The newest hop's own name; those that only give an address there are passed over (Gmail's inner hops)."""
    return next((hop.by for hop in reversed(mail.hops) if "." in hop.by and not is_address(hop.by)), "")


def _source(source: Source, host: str, mail: Eml, about: str) -> Check:
    """What of the message is there at all."""
    name, expected = f"delivery.source {about}", "the whole message as its recipient's server stored it"
    lacks = list(_lacks(host, mail))
    said = "; ".join([*source.repairs, *lacks]) or f"{len(source.raw)} octets, {len(mail.hops)} hops"
    if not lacks:
        return passed(name, expected, said, "RFC 5321 4.4")
    fix = "save it from the mailbox: Show original, View source, or Save as .eml; not a forwarded copy"
    return Check(name, Status.UNKNOWN, expected, said, fix, "RFC 5321 4.4", advisory=True)


def _lacks(host: str, mail: Eml) -> Iterator[str]:
    if not mail.hops:
        yield "no Received field, so that nobody knows who handed it over: SPF, PTR and TLS cannot be told"
    elif not host:
        yield "no Received field names the recipient's server: say which it is (--receiver)"
    if mail.return_path is None:
        yield "no Return-Path, so that MAIL FROM and with it SPF cannot be told"
    if not _body(mail):
        yield "no body, so that no signature can be verified"


def _body(mail: Eml) -> bool:
    return bool(mail.raw.partition(b"\r\n\r\n")[2].strip())


def _doubted(row: Check, source: Source, mail: Eml) -> Check:
    """A failure that the paste alone may explain is not known; SPF rests on two lines that either came or did not."""
    if row.status is not Status.FAIL or row.name.startswith("delivery.spf ") or not (source.altered or not _body(mail)):
        return row
    why = "the paste has no body" if not _body(mail) else "the paste was repaired, which may have changed it"
    return replace(row, status=Status.UNKNOWN, observed=f"{row.observed}; {why}", advisory=True)


def _authentic(proof: Authentication, about: str) -> Iterator[Check]:
    yield _spf(proof, about)
    yield from _dkim(proof, about)
    yield _dmarc(proof, about)
    if proof.arc:
        yield _arc(proof, about)
    yield _tls(proof, about)
    yield comparison.says(about, proof)


def _spf(proof: Authentication, about: str) -> Check:
    name, expected, ref = f"delivery.spf {about}", "spf=pass for who handed it over and MAIL FROM", "RFC 7208 2.6"
    if proof.spf is None or proof.border is None:
        fix = "save the message from the recipient's mailbox, or name its server with --receiver"
        return Check(name, Status.UNKNOWN, expected, proof.trouble, fix, ref, advisory=True)
    client = proof.border.address
    status = {Result.PASS: Status.PASS, Result.TEMPERROR: Status.UNKNOWN}.get(proof.spf.result, Status.FAIL)
    if proof.aligned.dkim and status is Status.FAIL:
        status = Status.WARN  # a forwarder's address: DKIM is what survives forwarding
    fix = f"let the SPF record of {proof.spf_domain} name {client}, unless it was forwarded by that host"
    said = f"spf={proof.spf.result} for {proof.spf_domain} from {client}: {proof.spf.reason}"
    return Check(name, status, expected, said, "" if status is Status.PASS else fix, ref)


def _dkim(proof: Authentication, about: str) -> Iterator[Check]:
    ref = "RFC 6376 6.1"
    if not proof.signatures:
        fix = "let the sender's server or relay sign it (03)"
        yield Check(f"delivery.dkim {about}", Status.WARN, "a DKIM signature", "none", fix, ref)
    for i, signature in enumerate(proof.signatures, 1):
        covered = signature.status is Status.FAIL and proof.aligned.dkim
        status = Status.WARN if covered else signature.status
        said = signature.said if signature.good else f"dkim={signature.result}: {signature.said}"
        fix = "" if signature.good else "see whether the key is in DNS, and what changed the message after signing"
        name = f"delivery.dkim {about} {signature.selector or '?'} #{i}"
        yield Check(name, status, f"d={signature.domain} s={signature.selector} verifies", said, fix, ref)


def _dmarc(proof: Authentication, about: str) -> Check:
    name, ref = f"delivery.dmarc {about}", "RFC 9989 4.4"
    expected = f"{proof.author or 'the author domain'} aligned by SPF or DKIM"
    said = "; ".join(filter(None, [f"aligned by {proof.verdict}", proof.aligned.difference, proof.trouble]))
    fix = "let SPF pass for MAIL FROM, or a signature verify, under the From domain"
    if proof.verdict == "unknown":
        return Check(name, Status.UNKNOWN, expected, said, fix, ref, advisory=True)
    return judged(name, bool(proof.aligned), expected, said, fix, ref)


def _arc(proof: Authentication, about: str) -> Check:
    """A broken chain is a forwarder's own affair (RFC 8617 5.2)."""
    told, name = proof.arc, f"delivery.arc {about}"
    status = {"pass": Status.PASS, "temperror": Status.UNKNOWN}.get(told.result, Status.WARN)
    first = ", ".join(f"{m.name}={m.result}" for m in told.first)
    said = f"cv={told.result}: {told.said}; sealed by {', '.join(told.sealers)}" + (
        f"; first saw {first}" * bool(first)
    )
    fix = "" if status is Status.PASS else "nothing of the sender's: ask who forwards it"
    return Check(name, status, "a chain that holds", said, fix, "RFC 8617 5.2", advisory=True)


def _tls(proof: Authentication, about: str) -> Check:
    name, expected, ref = f"delivery.tls {about}", "TLS on each hop between hosts", "RFC 3848"
    between = [hop for hop in proof.mail.hops if not hop.local]
    if not between:
        said, fix = "no hop between two hosts", "save the message from the recipient's mailbox"
        return Check(name, Status.UNKNOWN, expected, said, fix, ref, advisory=True)
    bare = [hop for hop in between if not hop.secure]
    said = "; ".join(map(_step, bare or between))
    status, fix = (Status.WARN, "let both of them use TLS") if bare else (Status.PASS, "")
    return Check(name, status, expected, said, fix, ref)


def _step(hop: Hop) -> str:
    return f"{hop.said or hop.address} → {hop.by}: {hop.tls or hop.protocol or 'nothing said'}"
