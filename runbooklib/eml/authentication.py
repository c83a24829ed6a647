"""Who vouches for a message, found out from its bytes: SPF, DKIM, ARC and DMARC, with what DNS says now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from runbooklib import authres, dmarc, spf
from runbooklib.answers import Answer, Lookup, Word
from runbooklib.authres import Method, Results
from runbooklib.dmarc import Alignment, Discovery
from runbooklib.eml import arc, signatures
from runbooklib.eml.arc import Chain
from runbooklib.eml.border import belongs, border, organizations, own_fields
from runbooklib.eml.hops import Hop
from runbooklib.eml.reading import Eml, ascii_domain
from runbooklib.eml.reverse import Reverse, confirm
from runbooklib.eml.signatures import Signature
from runbooklib.results import Status
from runbooklib.spf import Evaluation, Result

NOTHING = Alignment("")


@dataclass(frozen=True)
class Authentication:
    """What is known about who sent a message; `trouble` says why something could not be told."""

    mail: Eml = field(repr=False)
    border: Hop | None = None  # where its recipient took it in
    mail_from: str | None = None  # empty for the null return path, None where nobody wrote it down
    spf: Evaluation | None = None  # None where the client or the envelope sender is not known
    spf_domain: str = ""  # the domain that SPF was evaluated for
    signatures: tuple[Signature, ...] = ()
    arc: Chain = field(default_factory=Chain)
    discovery: Discovery | None = None  # whose policy holds; None where there is no one author domain
    aligned: Alignment = NOTHING  # by RFC 9989
    listed: Alignment = NOTHING  # by RFC 7489
    told: tuple[Method, ...] = ()  # what the recipient's own servers wrote
    trouble: str = ""
    reverse: Reverse | None = None  # FCrDNS of the client; None where it is not known
    heard: Mapping[tuple[str, str], Answer] = field(default_factory=dict, repr=False)  # by name and type: DNS, now

    @property
    def author(self) -> str:
        """The author domain (RFC 9989 4.1)."""
        return self.mail.author

    @property
    def verdict(self) -> str:
        """By what the author domain is aligned: SPF and DKIM, SPF, DKIM, none, or unknown."""
        said = ["SPF"] * bool(self.aligned.spf) + ["DKIM"] * bool(self.aligned.dkim)
        return " and ".join(said) or ("unknown" if self.trouble else "none")

    def method(self, name: str) -> Method | None:
        """What the recipient says about one method."""
        return next((m for m in self.told if m.name == name), None)


class Noted:
    """A lookup that keeps what it was told, for whoever explains the results."""

    def __init__(self, look: Lookup) -> None:
        self.look = look
        self.heard: dict[tuple[str, str], Answer] = {}

    async def __call__(self, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        answer = self.heard[name, type] = await self.look(name, type)
        return answer


async def authenticate(look: Lookup, mail: Eml, hosts: Sequence[str]) -> Authentication:
    """Everything about one message; `hosts` are its recipient's servers and domain. Never raises."""
    at, look = border(mail, hosts), Noted(look)
    told = tuple(trusted(mail, at, hosts))
    signed, chain, checked, discovery, back = await asyncio.gather(
        signatures.verify(look, mail.raw), arc.validate(look, mail), _spf(look, mail, at, told),
        _discovery(look, mail.author), _reverse(look, at),
    )  # fmt: skip
    evaluation, domain, missing = checked
    troubles = [*missing, *_troubles(evaluation, signed)]
    passed = domain if evaluation and evaluation.result is Result.PASS else ""
    valid = [s.domain for s in signed if s.good]
    aligned, listed, unheard = await _aligned(look, mail.author, passed, valid)
    return Authentication(
        mail, at, mail.return_path, evaluation, domain, tuple(signed), chain, discovery, aligned, listed,
        told, "; ".join(filter(None, [*troubles, unheard])), back, look.heard,
    )  # fmt: skip


async def _reverse(look: Lookup, at: Hop | None) -> Reverse | None:
    return await confirm(look, at.address) if at and at.address else None


async def _spf(
    look: Lookup, mail: Eml, at: Hop | None, told: Sequence[Method]
) -> tuple[Evaluation | None, str, list[str]]:
    """The result, the domain it is about, and what is missing for it; a null MAIL FROM is HELO (RFC 7208 2.4)."""
    sender = mail.return_path if mail.return_path is not None else _written_down(told)
    missing = ["no hop shows which client handed it to the recipient"] * (at is None or not at.address)
    missing += ["no Return-Path: the recipient does not keep MAIL FROM"] * (sender is None)
    if at is None or sender is None or missing:
        return None, "", missing
    domain = ascii_domain(sender.rpartition("@")[2] if sender else at.said)
    return await spf.evaluate(look, at.address, sender, at.said), domain, []


def _written_down(told: Sequence[Method]) -> str | None:
    """MAIL FROM as the recipient's own SPF result has it: some keep it nowhere else."""
    named = (m.properties.get("smtp.mailfrom", "").strip("<>") for m in told if m.name == "spf")
    return next(filter(None, named), None)


async def _discovery(look: Lookup, author: str) -> Discovery | None:
    if not author:
        return None
    exists = await look(author, "MX")
    return await dmarc.ask(look, author, exists=exists.word is not Word.NXDOMAIN)


def _troubles(evaluation: Evaluation | None, signed: Sequence[Signature]) -> Iterator[str]:
    if evaluation and evaluation.result is Result.TEMPERROR:
        yield f"SPF: {evaluation.reason}"
    yield from (f"DKIM {s.selector} (d={s.domain}): {s.said}" for s in signed if s.status is Status.UNKNOWN)


async def _aligned(look: Lookup, author: str, passed: str, valid: list[str]) -> tuple[Alignment, Alignment, str]:
    """By RFC 9989, by RFC 7489, and what was not heard."""
    if not author:
        return NOTHING, NOTHING, ""
    names = [name for domain in dict.fromkeys([author, passed, *valid]) if domain for name in dmarc.asked(domain)]
    answers = await signatures.answers(look, names)
    silent = [f"{answer.question.name} TXT: {answer.shown}" for answer in answers.values() if not answer.heard]
    if silent:  # one and the same domain aligns, whatever DNS says
        same = Alignment(author, passed if passed == author else "", (author,) if author in valid else ())
        return same, same, f"DMARC: {silent[0]}"
    return *dmarc.alignments(author, passed, valid, lambda name: _published(answers[f"_dmarc.{name}"])), ""


def _published(answer: Answer) -> str | None:
    """The one DMARC record in an answer; several are as none (RFC 9989 4.10)."""
    found = [value for value in answer.values if dmarc.is_dmarc(value)]
    return found[0] if len(found) == 1 else None


def trusted(mail: Eml, at: Hop | None, hosts: Sequence[str]) -> list[Method]:
    """The methods in headers the recipient wrote itself (RFC 8601 5).

    A header is its own when its authserv-id is, and when it stands above the hop by which the message came in; one
    that stands just below counts only for methods that none above names. Microsoft's bear no authserv-id.
    """
    own = organizations(hosts)
    above, below = own_fields(mail, at)
    told = [method for name, value in above for method in _methods(name, value, own)]
    named = {method.name for method in told}
    return [*told, *(m for name, value in below for m in _methods(name, value, own) if m.name not in named)]


def _methods(name: str, value: str, own: frozenset[str]) -> tuple[Method, ...]:
    if name == "received-spf":
        return (authres.parse_received_spf(value),)
    results = authres.parse(value) if name == "authentication-results" else Results("")
    unnamed = not results.authserv_id and "outlook.com" in own
    return results.methods if unnamed or belongs(results.authserv_id, own) else ()
