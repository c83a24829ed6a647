"""What we found out about a message against what its recipient wrote about it (RFC 8601), each difference explained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbooklib import domainkeys
from runbooklib.authres import Method
from runbooklib.domainkeys import DkimKey, KeyRecordError
from runbooklib.eml import signatures
from runbooklib.eml.authentication import Authentication
from runbooklib.eml.signatures import Signature
from runbooklib.results import Check, Status, passed

METHODS = ("spf", "dkim", "dmarc")
BAD = {"fail", "softfail", "permerror"}
TEMPORARY = "its DNS gave no answer when the message came"
USUAL = 2048  # bits of a key that nobody calls short


@dataclass(frozen=True)
class Difference:
    """A method that came to two ends, and why that may be."""

    method: str
    theirs: str
    ours: str
    why: str

    def __str__(self) -> str:
        return f"{self.method}={self.theirs} there, {self.ours} by us: {self.why}"


def says(about: str, proof: Authentication) -> Check:
    """Whether the recipient found what we find; where not, what explains it."""
    name, expected, ref = f"delivery.recipient-says {about}", "the recipient's own results are ours", "RFC 8601 5"
    told = [m for m in proof.told if m.name in METHODS]
    if not told:
        said = "the recipient wrote no result of its own, or none that can be trusted"
        return Check(name, Status.UNKNOWN, expected, said, "look at the message's headers by hand", ref, advisory=True)
    said = ", ".join(f"{m.name}={m.result}" for m in told)
    found = [str(difference) for difference in differences(proof)]
    if not found:
        return passed(name, expected, said, ref)
    fix = "if it stays so when caches have forgotten what stood before, ask the recipient's postmaster"
    return Check(name, Status.WARN, expected, "; ".join([said, *found]), fix, ref)


def differences(proof: Authentication) -> Iterator[Difference]:
    """Every method that came to two ends; what we could not tell ourselves is left out."""
    yield from _spf(proof)
    for told in proof.told:
        if told.name == "dkim":
            yield from _dkim(proof, told)
    yield from _dmarc(proof)


def _spf(proof: Authentication) -> Iterator[Difference]:
    told = [m for m in proof.told if m.name == "spf"]
    ours = str(proof.spf.result) if proof.spf else ""
    if told and ours not in {"", "temperror", *(m.result for m in told)}:
        yield Difference("spf", told[0].result, ours, _why_spf(proof, told[0]))


def _why_spf(proof: Authentication, told: Method) -> str:
    client, seen = told.properties.get("smtp.client-ip", ""), proof.border.address if proof.border else ""
    if told.result == "temperror":
        return TEMPORARY
    if client and client != seen:
        return f"it sees the client as {client}, behind a gateway of its own, not as {seen}"
    if "smtp.mailfrom" not in told.properties and "smtp.helo" in told.properties and proof.mail_from:
        return f"it checked the HELO name {told.domain('smtp.helo')} only, not MAIL FROM (RFC 7208 2.3)"
    domain = told.domain("smtp.mailfrom", "smtp.helo")
    if domain and domain != proof.spf_domain:
        return f"it checked {domain}, and Return-Path says {proof.spf_domain}"
    return _changed(proof, proof.spf_domain, "the SPF record")


def _dkim(proof: Authentication, told: Method) -> Iterator[Difference]:
    """Only whether it counts is compared: receivers have many words for a signature that does not."""
    ours = _same(proof, told)
    if ours and ours.result != "temperror" and ours.good != (told.result == "pass"):
        yield Difference(f"dkim ({ours.selector})", told.result, ours.result, _why_dkim(proof, told, ours))
    elif ours is None and told.result == "pass" and (domain := told.domain("header.d", "header.i")):
        why = "the signature it names is not in the message any more"
        yield Difference(f"dkim ({domain})", told.result, "none", why)
    elif ours is None and told.result == "none" and any(s.good for s in proof.signatures):
        yield Difference("dkim", "none", "pass", "it did not look, or the signature was added after it did")


def _same(proof: Authentication, told: Method) -> Signature | None:
    """The signature a result is about: the one that begins with header.b, else of that domain and selector."""
    start = told.properties.get("header.b", "")
    domain, selector = told.domain("header.d", "header.i"), told.properties.get("header.s", "").lower()
    near = [s for s in proof.signatures if domain == s.domain and selector in {"", s.selector}]
    exact = (s for s in near if start and s.begins(start))
    agreeing = (s for s in near if s.result == told.result)
    return next(exact, None) or next(agreeing, None) or next(iter(near), None)


def _why_dkim(proof: Authentication, told: Method, ours: Signature) -> str:
    name, key = f"{ours.selector}._domainkey.{ours.domain}", _key(proof, ours)
    if told.result == "temperror":
        return TEMPORARY
    if told.result in {"neutral", "policy"} and key:
        weak = f"its policy: a key of {key.bits} bits" if key.kind == "rsa" and key.bits < USUAL else "its own policy"
        return "its policy: the key says t=y, only testing" if key.testing else weak
    if told.result == "pass" and ours.result == "policy":
        return f"it takes what it should refuse: {ours.said}"
    if told.result == "pass":
        return f"it was changed after that check, in the recipient's own mailbox; or {_changed(proof, name, 'the key')}"
    return _changed(proof, name, "the key")


def _key(proof: Authentication, signature: Signature) -> DkimKey | None:
    """The key that DNS has now."""
    text = signatures.record(proof.heard.get((f"{signature.selector}._domainkey.{signature.domain}", "TXT")))
    try:
        return domainkeys.parse(text.decode()) if text else None
    except KeyRecordError:
        return None


def _dmarc(proof: Authentication) -> Iterator[Difference]:
    told = proof.method("dmarc")
    found = proof.discovery
    ours = "none" if not (found and found.walked.policy) else "pass" if proof.aligned else "fail"
    known = (found is None or found.known) and proof.verdict != "unknown"
    if told and known and ours != told.result:
        yield Difference("dmarc", told.result, ours, _why_dmarc(proof, told))


def _why_dmarc(proof: Authentication, told: Method) -> str:
    if told.result == "temperror":
        return TEMPORARY
    if bool(proof.listed) != bool(proof.aligned) and (told.result == "pass") == bool(proof.listed):
        return f"it goes by RFC 7489: {proof.aligned.difference}"
    if [*_spf(proof), *(d for m in proof.told if m.name == "dkim" for d in _dkim(proof, m))]:
        return "it follows from what it says of SPF and DKIM"
    return _changed(proof, f"_dmarc.{proof.author}", "the DMARC record")


def _changed(proof: Authentication, name: str, what: str) -> str:
    """That DNS may be another now than when the message came, and how long the old answer may live."""
    answer = proof.heard.get((name, "TXT"))
    cached = f"; an answer is cached for up to {answer.ttl} s" if answer and answer.ttl else ""
    return f"{what} of {name} may have changed since{cached}"


def checked(about: str, proof: Authentication) -> Check:
    """What our own server wrote about a message from outside: whether it checks, and what it found."""
    said = ", ".join(f"{m.name}={m.result}" for m in proof.told if m.name in METHODS)
    name, expected = f"delivery.checked {about}", "our server checks SPF, DKIM and DMARC of what comes in"
    if not said:
        fix = "switch on the server's SPF, DKIM and DMARC checks"
        return Check(name, Status.WARN, expected, "no result of our server's in the headers", fix, "RFC 8601")
    if any(m.result in BAD for m in proof.told):
        fix = "see whether our server sees the sender's own address, and whether the sender's DNS is right"
        return Check(name, Status.WARN, expected, said, fix, "RFC 8601")
    return passed(name, expected, said, "RFC 8601")
