"""What the big receivers have published that they ask of senders: Gmail and Yahoo 2024, Outlook.com 2025.

Most binds only who sends them more than 5,000 messages a day; that part warns at most. What a single message cannot
show, such as the rate of complaints, is named in the row and not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from runbooklib.eml import sanity, unsubscribe
from runbooklib.eml.authentication import Authentication
from runbooklib.eml.folding import folded
from runbooklib.results import Check, Status
from runbooklib.spf import Result

BULK = "above 5,000 messages a day"
GOOGLE_OWN = {"gmail.com", "googlemail.com"}

Seen = tuple[Status, str]  # pass, fail or unknown, and what was seen


@dataclass(frozen=True)
class Receiver:
    """Who asks, where that is published, and what of it no message shows."""

    id: str
    name: str
    ref: str
    unseen: str


GMAIL = Receiver(
    "gmail",
    "Gmail",
    "https://support.google.com/a/answer/81126",
    "a spam rate below 0.1 %, never 0.3 % (Postmaster Tools shows it)",
)
YAHOO = Receiver(
    "yahoo",
    "Yahoo",
    "https://senders.yahooinc.com/best-practices/",
    "a spam rate below 0.3 % (its Complaint Feedback Loop shows it)",
)
OUTLOOK = Receiver(
    "microsoft",
    "Outlook.com",
    "https://support.microsoft.com/topic/fix-ndr-error-550-5-7-515-in-outlook-com-34cfe8f8-6fbf-457e-9e8b-9e4dbaf4e0ef",
    "complaints (SNDS and JMRP show them)",
)


@dataclass(frozen=True)
class Rule:
    """One thing that receivers ask; `broken` is what it is worth where it binds everybody."""

    id: str
    text: str
    see: Callable[[Authentication], Seen]
    fix: str
    everybody: tuple[Receiver, ...] = ()
    bulk: tuple[Receiver, ...] = ()  # who asks it above 5,000 messages a day
    broken: Status = Status.FAIL


def judge(proof: Authentication, about: str) -> list[Check]:
    """What each receiver asks: the rules that are kept in a row for everybody's and one for bulk, others alone."""
    return [row for receiver in (GMAIL, YAHOO, OUTLOOK) for row in _receiver(receiver, proof, about)]


def _receiver(receiver: Receiver, proof: Authentication, about: str) -> Iterator[Check]:
    name = f"delivery.rules.{receiver.id}"
    for rules, bulk in ((everybody(receiver), False), (above(receiver), True)):
        rows = [_row(rule, receiver, proof, about, bulk=bulk) for rule in rules]
        said = f"{BULK}: " if bulk else ""
        expected = f"{said}what {receiver.name} asks; not seen here: {receiver.unseen}"
        yield from folded(f"{name}{'-bulk' * bulk} {about}", expected, rows, receiver.ref)


def everybody(receiver: Receiver) -> list[Rule]:
    """What it asks of everybody."""
    return [rule for rule in RULES if receiver in rule.everybody]


def above(receiver: Receiver) -> list[Rule]:
    """What it asks above 5,000 messages a day."""
    return [rule for rule in RULES if receiver in rule.bulk]


def _row(rule: Rule, receiver: Receiver, proof: Authentication, about: str, *, bulk: bool) -> Check:
    status, said = rule.see(proof)
    broken = Status.WARN if bulk else rule.broken
    name = f"delivery.rules.{receiver.id}{'-bulk' * bulk}.{rule.id} {about}"
    expected = f"{BULK}: {rule.text}" if bulk else rule.text
    if status is Status.PASS:
        return Check(name, status, expected, rule.id, ref=receiver.ref)
    status = broken if status is Status.FAIL else status
    return Check(name, status, expected, said, rule.fix, receiver.ref, advisory=True)


# what a rule sees


def _spf(proof: Authentication) -> Seen:
    if proof.spf is None:
        return Status.UNKNOWN, proof.trouble or "SPF was not evaluated"
    said = f"spf={proof.spf.result} for {proof.spf_domain or '?'}: {proof.spf.reason}"
    if proof.spf.result is Result.TEMPERROR:
        return Status.UNKNOWN, said
    return (Status.PASS if proof.spf.result is Result.PASS else Status.FAIL), said


def _dkim(proof: Authentication) -> Seen:
    said = "; ".join(f"d={s.domain}: {s.said}" for s in proof.signatures) or "no signature"
    if any(s.good for s in proof.signatures):
        return Status.PASS, said
    unknown = any(s.status is Status.UNKNOWN for s in proof.signatures)
    return (Status.UNKNOWN if unknown else Status.FAIL), said


def _either(proof: Authentication) -> Seen:
    seen = [_spf(proof), _dkim(proof)]
    return _best(status for status, _ in seen), "; ".join(said for _, said in seen)


def _both(proof: Authentication) -> Seen:
    seen = [_spf(proof), _dkim(proof)]
    return Status.worst(status for status, _ in seen), "; ".join(said for s, said in seen if s is not Status.PASS)


def _best(statuses: Iterator[Status]) -> Status:
    """One that passes is enough; else one that is not known leaves it open."""
    seen = set(statuses)
    return next(s for s in (Status.PASS, Status.UNKNOWN, Status.FAIL) if s in seen)


def _dmarc(proof: Authentication) -> Seen:
    found = proof.discovery
    if found is None:
        return Status.FAIL, "there is no one author domain"
    if not found.listed.known:
        return Status.UNKNOWN, str(found.listed)
    return (Status.PASS if found.listed.policy else Status.FAIL), f"{found.domain}: {found.listed}"


def _aligned(proof: Authentication) -> Seen:
    words = {"unknown": Status.UNKNOWN, "none": Status.FAIL}
    said = f"{proof.author or 'no one author domain'} is aligned by {proof.verdict}"
    return words.get(proof.verdict, Status.PASS), f"{said}: {proof.trouble}" if proof.trouble else said


def _reverse(proof: Authentication) -> Seen:
    found = proof.reverse
    if found is None or not found.known:
        return Status.UNKNOWN, str(found or "no hop shows which client handed it to the recipient")
    return (Status.PASS if found.confirmed else Status.FAIL), str(found)


def _tls(proof: Authentication) -> Seen:
    hop = proof.border
    if hop is None:
        return Status.UNKNOWN, "no hop shows how it came to the recipient"
    said = f"{hop.by} took it with {hop.tls or hop.protocol or 'nothing it says'}"
    return (Status.PASS if hop.secure else Status.FAIL), said


def _format(proof: Authentication) -> Seen:
    refused = [d for d in sanity.defects(proof.mail) if d.status is Status.FAIL]
    return (Status.FAIL if refused else Status.PASS), "; ".join(map(str, refused))


def _own_from(proof: Authentication) -> Seen:
    if proof.author not in GOOGLE_OWN or proof.aligned:
        return Status.PASS, ""
    if proof.verdict == "unknown":
        return Status.UNKNOWN, f"whether Gmail sent it is not known: {proof.trouble}"
    return Status.FAIL, f"From is @{proof.author}, and Gmail does not vouch for it"


def _one_click(proof: Authentication) -> Seen:
    return unsubscribe.one_click(proof)


RULES = (
    Rule(
        "authenticated",
        "SPF or DKIM passes",
        _either,
        "see delivery.spf and delivery.dkim; publish what 04 plans",
        everybody=(GMAIL, YAHOO),
    ),
    Rule(
        "ptr",
        "the sending address has a PTR record that leads back to it",
        _reverse,
        "set the PTR at the host of the address; a relay's is the relay's to mend",
        everybody=(GMAIL, YAHOO),
    ),
    Rule(
        "tls",
        "it comes over TLS",
        _tls,
        "let what sends use TLS wherever it is offered (02); see whether the recipient offers STARTTLS",
        everybody=(GMAIL,),
        broken=Status.WARN,
    ),
    Rule("format", "it is written as RFC 5322 has it", _format, "see delivery.format", everybody=(GMAIL, YAHOO)),
    Rule(
        "own-from",
        "no address of Gmail's in From that Gmail did not send",
        _own_from,
        "write From with an address of your own domain, the Gmail one in Reply-To",
        everybody=(GMAIL,),
    ),
    Rule("spf-and-dkim", "SPF and DKIM both pass", _both, "publish what 04 plans", bulk=(GMAIL, YAHOO, OUTLOOK)),
    Rule("dmarc", "the From domain has a DMARC record", _dmarc, "publish one (04)", bulk=(GMAIL, YAHOO, OUTLOOK)),
    Rule(
        "aligned",
        "From is aligned with SPF or DKIM",
        _aligned,
        "see delivery.dmarc: MAIL FROM or a signature under the From domain",
        bulk=(GMAIL, YAHOO, OUTLOOK),
    ),
    Rule(
        "one-click",
        "subscriptions can be left with one click; personal mail need not",
        _one_click,
        "add List-Unsubscribe with an https address and List-Unsubscribe-Post, and sign both",
        bulk=(GMAIL, YAHOO),
    ),
)
