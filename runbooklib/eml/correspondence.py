"""Whom a reader takes for the sender, and where a plain reply goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbooklib.dmarc import registered
from runbooklib.eml import fields
from runbooklib.eml.authentication import Authentication
from runbooklib.eml.fields import Header, Mailbox
from runbooklib.results import Check, Status
from runbooklib.spf import Result


@dataclass(frozen=True)
class Sight:
    """One thing a reader sees beside, or in the place of, the author's address."""

    status: Status
    said: str
    fix: str


def judge(proof: Authentication, about: str) -> list[Check]:
    """Two rows: who is shown as the sender, and who gets the answer."""
    header = fields.read(proof.mail.raw)
    return [_shown(proof, header, about), _reply(header, about)]


def _shown(proof: Authentication, header: Header, about: str) -> Check:
    name, expected = f"delivery.sender-shown {about}", "the author's address alone, no via, no on behalf of"
    seen = [*_authors(header), *_sender(header), *_via(proof, header), *_names(header)]
    status = Status.worst(s.status for s in seen)
    authors = ", ".join(box.address for box in header.mailboxes("From")) or "nobody"
    said = "; ".join([authors, *_path(proof, header), *(s.said for s in seen)])
    fix = "; ".join(dict.fromkeys(s.fix for s in seen if s.fix))
    return Check(name, status, expected, said, fix, "RFC 5322 3.6.2", advisory=True)


def _authors(header: Header) -> Iterator[Sight]:
    count, authors = len(header.of("From")), header.mailboxes("From")
    if count > 1:
        yield Sight(Status.FAIL, f"{count} From fields: each reader shows another one", "write one From")
    elif not authors:
        yield Sight(Status.FAIL, "From names no address", "write From with one address")
    elif len(authors) > 1:
        said = "From names several, of which readers show the first and DMARC takes none"
        yield Sight(Status.WARN, said, "write one address in From (RFC 9989 4.1)")


def _sender(header: Header) -> Iterator[Sight]:
    """Outlook writes `Sender on behalf of From`; others show the domain of Sender as via."""
    senders, authors = header.mailboxes("Sender"), header.mailboxes("From")
    for sender in senders[:1]:
        if sender.address.lower() not in {a.address.lower() for a in authors}:
            said = f"Outlook shows {sender.address} on behalf of {authors[0].address if authors else 'nobody'}"
            yield Sight(Status.WARN, said, "leave Sender out, or let it be the author (RFC 5322 3.6.2)")


def _via(proof: Authentication, header: Header) -> Iterator[Sight]:
    """Gmail writes via where no domain that vouches for the message is the author's."""
    author = next((a.domain for a in header.mailboxes("From")), "")
    vouching = _vouching(proof)
    if not author or any(registered(domain) == registered(author) for domain in vouching):
        return
    if proof.verdict == "unknown":
        fix = "see delivery.spf and delivery.dkim"
        yield Sight(Status.UNKNOWN, f"whether Gmail shows a via is not known: {proof.trouble}", fix)
    else:
        shown = next((d for d in (*vouching, _mail_from(proof)) if d and registered(d) != registered(author)), "")
        said = f"Gmail shows it via {shown}" if shown else "nobody vouches for the author: Gmail shows a question mark"
        yield Sight(Status.WARN, said, "sign with DKIM under the author domain (03), or let MAIL FROM lie under it")


def _vouching(proof: Authentication) -> list[str]:
    """The domains that passed, signatures first."""
    passed = proof.spf is not None and proof.spf.result is Result.PASS
    return [*(s.domain for s in proof.signatures if s.good), *([proof.spf_domain] if passed else [])]


def _mail_from(proof: Authentication) -> str:
    return (proof.mail_from or "").rpartition("@")[2]


def _names(header: Header) -> Iterator[Sight]:
    """A name that is an address itself is what readers on phones see, and what phishing does."""
    for box in header.mailboxes("From")[:1]:
        others = [a for a in fields.addresses_in(box.shown) if a != box.address.lower()]
        if others:
            said = f"the name shown is another address: {others[0]}"
            yield Sight(Status.WARN, said, "write a name there, not an address")


def _path(proof: Authentication, header: Header) -> list[str]:
    """The return path is seen by nobody; that a relay rewrote it is worth a word."""
    path = proof.mail_from or ""
    authors = {a.address.lower() for a in header.mailboxes("From")}
    return [f"MAIL FROM {path} is not shown"] if path and path.lower() not in authors else []


def _reply(header: Header, about: str) -> Check:
    name, expected = f"delivery.reply-goes {about}", "a plain reply goes to the author, or to one who is named for it"
    authors, named = header.mailboxes("From"), header.mailboxes("Reply-To")
    ref = "RFC 5322 3.6.2"
    if header.of("Reply-To") and not named:
        said = f"Reply-To names no address: {header.first('Reply-To')[:60]!r}"
        return Check(name, Status.FAIL, expected, said, "correct Reply-To, or leave it out", ref)
    goes = named or authors
    if not goes:
        return Check(name, Status.FAIL, expected, "nobody: From names no address", "write From with one address", ref)
    said = ", ".join(box.address for box in goes)
    foreign = [box.address for box in named if not _kin(box, authors)]
    if foreign:
        fix = "use an address of the author's own domain: filters count another one against the message"
        return Check(name, Status.WARN, expected, f"{said}, by Reply-To under another domain", fix, ref)
    return Check(name, Status.PASS, expected, f"{said}, by {'Reply-To' if named else 'From'}", ref=ref)


def _kin(box: Mailbox, authors: tuple[Mailbox, ...]) -> bool:
    return any(registered(box.domain) == registered(author.domain) for author in authors)
