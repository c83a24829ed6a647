"""SPF, DKIM and DMARC of one message that arrived: what its receiver says, and what we verify ourselves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage

from runbooklib import authres
from runbooklib.authres import Alignment, Method, Results
from runbooklib.delivery import hops, signatures, survival
from runbooklib.delivery.arriving import Copy, Parcel
from runbooklib.delivery.names import Names
from runbooklib.delivery.signatures import Signature
from runbooklib.endpoint import ResolverError
from runbooklib.params import Domain, Relay
from runbooklib.results import Check, Status, judged, passed

WORDS = {  # RFC 8601 2.7: what a method's result says about the message
    "pass": Status.PASS,
    "temperror": Status.UNKNOWN,
}


@dataclass(frozen=True)
class Proof:
    """What is known about who sent a message."""

    author: str  # the domain of From, RFC 9989's author domain
    told: tuple[Method, ...]  # what the receiver wrote, of headers that are its own
    signed: tuple[Signature, ...]
    aligned: Alignment

    def method(self, name: str) -> Method | None:
        return next((m for m in self.told if m.name == name), None)


def prove(copy: Copy, receivers: Collection[str], names: Names) -> Proof:
    """Reads the receiver's results and verifies every signature.

    Raises ResolverError when alignment cannot be told.
    """
    message = copy.message
    told = tuple(trusted(message, receivers, names))
    signed = tuple(signatures.verify(copy.raw, names.dkim_key))
    spf = next((m for m in told if m.name == "spf" and m.result == "pass"), None)
    mail_from = spf.domain("smtp.mailfrom", "smtp.helo") if spf else ""
    author = author_domain(message)
    valid = [s.domain for s in signed if s.status is Status.PASS]
    return Proof(author, told, signed, authres.align(author, mail_from, valid, names.dmarc))


def author_domain(message: EmailMessage) -> str:
    """The domain of the one From address, or nothing where there is not exactly one (RFC 9989 4.1)."""
    addresses: Sequence[Address] = getattr(message["From"], "addresses", ())
    return addresses[0].domain.lower() if len(addresses) == 1 else ""


def trusted(message: EmailMessage, receivers: Collection[str], names: Names) -> Iterator[Method]:
    """The methods in headers the receiver wrote itself (RFC 8601 5).

    A header is its own when its authserv-id is, and when no foreign hop stands above it: what stands below the first
    foreign Received was already there when the message came in, whatever name it bears.
    """
    own = {authres.organizational(host, names.dmarc) for host in receivers} | set(receivers)
    for name, value in message.items():
        if name.lower() == "received" and not _is_own(hops.parse(str(value)).by, own, names):
            return
        if name.lower() == "authentication-results":
            results: Results = authres.parse(str(value))
            yield from results.methods if _is_own(results.authserv_id, own, names) else ()
        elif name.lower() == "received-spf":
            yield authres.parse_received_spf(str(value))


def _is_own(host: str, own: set[str], names: Names) -> bool:
    return bool(host) and (host in own or authres.organizational(host, names.dmarc) in own)


def judge(
    parcel: Parcel, copy: Copy, receivers: Collection[str], names: Names, domain: Domain, relay: Relay | None
) -> list[Check]:
    """SPF, each signature, what the way did to ours, and DMARC of an outbound message."""
    about = parcel.letter.name
    try:
        proof = prove(copy, receivers, names)
    except ResolverError as error:
        return [Check(f"delivery.dmarc {about}", Status.UNKNOWN, "aligned authentication", str(error), error.fix)]
    ours = _signer(parcel, domain)
    rows = [spf(about, proof), *_dkim(about, proof, domain, relay, ours)]
    return [*rows, *_survival(parcel, copy, proof, domain, ours), dmarc(about, proof)]


def _signer(parcel: Parcel, domain: Domain) -> str:
    """The selector our server signed with: by its own log, else as params say."""
    return next((selector for d, selector in parcel.signers if d == domain.name), domain.dkim.selector)


def _survival(parcel: Parcel, copy: Copy, proof: Proof, domain: Domain, ours: str) -> Iterator[Check]:
    """What became of our own signature; broken, it only warns where the relay's stands in for it."""
    for signature in proof.signed:
        if (signature.domain, signature.selector) == (domain.name, ours):
            row = survival.judge(parcel.letter.name, parcel.handed.raw, copy.raw, signature)
            covered = row.status is Status.FAIL and proof.aligned.dkim
            yield replace(row, status=Status.WARN) if covered else row
            return


def spf(about: str, proof: Proof) -> Check:
    """What the receiver says about the connecting relay and MAIL FROM (RFC 7208)."""
    name, expected, told = f"delivery.spf {about}", "spf=pass at the receiver", proof.method("spf")
    if told is None:
        said = "the receiver wrote no SPF result of its own"
        return Check(name, Status.UNKNOWN, expected, said, "look at the message's headers by hand", advisory=True)
    domain = told.domain("smtp.mailfrom", "smtp.helo") or "?"
    fix = f"let the SPF record of {domain} name where the message came from: stage 04 plans it"
    status = WORDS.get(told.result, Status.FAIL)
    return Check(name, status, expected, f"spf={told.result} for {domain}", _unless_passed(status, fix), "RFC 7208 2.6")


def _unless_passed(status: Status, fix: str) -> str:
    return "" if status is Status.PASS else fix


def _dkim(about: str, proof: Proof, domain: Domain, relay: Relay | None, ours: str) -> Iterator[Check]:
    """One row for each signature that must be there or is; a broken one only warns where another stands in for it."""
    wanted = [ours, *(d.selector for d in (relay.keys_for(domain.name) if relay else ()))]
    present = {s.selector for s in proof.signed}
    if ours != domain.dkim.selector:
        yield _rotating(about, domain, ours)
    for selector in wanted:
        if selector not in present:
            yield _unsigned(about, selector, proof, ours=selector == ours)
    for i, signature in enumerate(proof.signed):
        twin = i - [s.selector for s in proof.signed].index(signature.selector)
        yield _signature(f"{about} {signature.selector}" + f" #{twin + 1}" * bool(twin), signature, proof)


def _rotating(about: str, domain: Domain, ours: str) -> Check:
    """The server's log names another key than params: the new one waits until DNS shows it."""
    name, wanted = f"delivery.dkim {about} {domain.dkim.selector}", domain.dkim.selector
    said, fix = f"our server signs with {ours} still", "see dkim.signing in 03: it says what the new key waits for"
    return Check(name, Status.PENDING, f"a signature of selector {wanted}", said, fix, "RFC 6376 3.1")


def _unsigned(about: str, selector: str, proof: Proof, *, ours: bool) -> Check:
    name, expected = f"delivery.dkim {about} {selector}", f"a signature of selector {selector}"
    seen = ", ".join(f"{s.selector} (d={s.domain})" for s in proof.signed) or "no signature at all"
    fix = "see stage 03: the key is not live" if ours else "see whether the relay has verified the domain"
    return Check(name, Status.FAIL if ours else Status.WARN, expected, seen, fix, "RFC 6376 3.5")


def _signature(about: str, signature: Signature, proof: Proof) -> Check:
    expected = f"d={signature.domain} s={signature.selector} verifies"
    status = signature.status
    if status is Status.FAIL and proof.aligned.dkim:
        status = Status.WARN
    fix = "compare the key in DNS with the server's (03, 04); a relay that changes signed headers breaks ours"
    return Check(
        f"delivery.dkim {about}", status, expected, signature.said, _unless_passed(status, fix), "RFC 6376 6.1"
    )


def dmarc(about: str, proof: Proof) -> Check:
    """DMARC pass, and aligned by what; the receiver's own word counts where it gives one (RFC 9989)."""
    told = proof.method("dmarc")
    says = f"the receiver says dmarc={told.result}" if told else "the receiver wrote no DMARC result of its own"
    return judged(
        f"delivery.dmarc {about}",
        bool(proof.aligned) and (told is None or told.result == "pass"),
        f"dmarc=pass, {proof.author or 'the author domain'} aligned by SPF or DKIM",
        f"aligned by {proof.aligned}; {says}",
        "publish DMARC (04), and let SPF pass for MAIL FROM, or a signature verify, under the From domain",
        "RFC 9989 4.4",
    )


def received(about: str, copy: Copy, host: str, names: Names) -> list[Check]:
    """What our own server wrote about a message from outside: whether it checks, and what it found."""
    try:
        proof = prove(copy, [host], names)
    except ResolverError as error:
        return [Check(f"delivery.checked {about}", Status.UNKNOWN, "our results", str(error), error.fix, advisory=True)]
    said = ", ".join(f"{m.name}={m.result}" for m in proof.told if m.name in {"spf", "dkim", "dmarc"})
    name, expected = f"delivery.checked {about}", "our server checks SPF, DKIM and DMARC of what comes in"
    if not said:
        fix = "switch on the server's SPF, DKIM and DMARC checks"
        return [Check(name, Status.WARN, expected, "no result of our server's in the headers", fix, "RFC 8601")]
    bad = [m for m in proof.told if m.result in {"fail", "softfail", "permerror"}]
    if bad:
        fix = "see whether our server sees the sender's own address, and whether the sender's DNS is right"
        return [Check(name, Status.WARN, expected, said, fix, "RFC 8601")]
    return [passed(name, expected, said, "RFC 8601")]
