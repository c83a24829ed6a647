"""Which DMARC policy holds for a domain, by RFC 9989's tree walk and by RFC 7489's public suffix list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runbooklib.answers import Answer, Lookup
from runbooklib.dmarc.record import POLICIES, Record
from runbooklib.dmarc.suffixes import registered
from runbooklib.dmarc.walk import Held, Holding, climb, held, walk, walked

WALK, LIST = "RFC 9989", "RFC 7489"
NAMED = {WALK: ("p", "sp", "np"), LIST: ("p", "sp")}  # the tags that have to name a policy where they stand


@dataclass(frozen=True)
class Found:
    """What one RFC makes of the answers for one domain."""

    rfc: str
    organizational: str  # empty: an answer that decides it was not heard
    at: str = ""  # the domain whose record holds
    record: Record | None = None
    policy: str = ""  # what is asked about mail of the domain; empty: DMARC does not apply to it
    unheard: tuple[str, ...] = ()  # the names whose answer decides and was not heard: nothing is known

    @property
    def known(self) -> bool:
        return not self.unheard

    def __str__(self) -> str:
        if not self.known:
            return f"not known: no answer for {', '.join(self.unheard)}"
        return f"{self.policy} (_dmarc.{self.at})" if self.policy else "none applies"


@dataclass(frozen=True)
class Discovery:
    """What receivers make of a domain, those that follow RFC 9989 and those that still follow RFC 7489."""

    domain: str
    walked: Found
    listed: Found
    several: tuple[str, ...] = ()  # names that hold more than one record

    @property
    def known(self) -> bool:
        """Whether both are known."""
        return self.walked.known and self.listed.known

    @property
    def differences(self) -> tuple[str, ...]:
        """In words, where the two RFCs come to different ends; only of what is known."""
        return tuple(_differences(self.walked, self.listed)) if self.known else ()


def discover(domain: str, published: Mapping[str, Answer], *, exists: bool = True) -> Discovery:
    """The policy and organizational domain of `domain` under both RFCs.

    `published` holds the answers to the TXT questions that `asked` names, by those names; what is not in it was not
    heard. `exists` says whether the domain itself exists: for one that does not, np= counts (RFC 9989 4.7).
    """

    def holding(name: str) -> Held:
        return held(published.get(f"_dmarc.{name}"))

    several = tuple(name for name in asked(domain) if held(published.get(name)).count > 1)
    return Discovery(domain, by_walk(domain, holding, exists=exists), by_list(domain, holding), several)


def asked(domain: str) -> tuple[str, ...]:
    """The names whose TXT records decide under either RFC."""
    return tuple(dict.fromkeys([*walk(domain), f"_dmarc.{registered(domain)}"]))


async def ask(look: Lookup, domain: str, *, exists: bool = True) -> Discovery:
    """Asks all the names side by side, and discovers."""
    names = asked(domain)
    answers = await asyncio.gather(*(look(name, "TXT") for name in names))
    return discover(domain, dict(zip(names, answers, strict=True)), exists=exists)


def by_walk(domain: str, holding: Holding, *, exists: bool = True) -> Found:
    """RFC 9989 4.10.1: the author domain's record, else its organizational domain's, else its public suffix's."""
    organization, own = walked(domain, holding), holding(domain)
    if not own.heard:
        return Found(WALK, organization, unheard=(f"_dmarc.{domain}",))
    if own.record:
        return _found(WALK, organization, domain, own.record, own.record.policy)
    passed = list(climb(domain, holding))
    if not organization:
        return Found(WALK, "", unheard=tuple(f"_dmarc.{name}" for name, here in passed if not here.heard))
    record = holding(organization).record
    at = organization
    if record is None:
        at, record = next(((n, h.record) for n, h in reversed(passed) if h.record), ("", None))
    return _found(WALK, organization, at, record, _passed_on(record, exists=exists))


def by_list(domain: str, holding: Holding) -> Found:
    """RFC 7489 6.6.3: the author domain's record, else that of the domain registered below a public suffix."""
    organization = registered(domain)
    for name in dict.fromkeys([domain, organization]):
        here = holding(name)
        if not here.heard:
            return Found(LIST, organization, unheard=(f"_dmarc.{name}",))
        if here.count > 1:  # ends the discovery, where RFC 9989 goes on
            return Found(LIST, organization)
        if here.record:
            policy = here.record.policy if name == domain else here.record.subdomain_policy
            return _found(LIST, organization, name, here.record, policy)
    return Found(LIST, organization)


def _passed_on(record: Record | None, *, exists: bool) -> str:
    """What a record from above asks about mail of a domain below it."""
    if record is None:
        return ""
    return record.subdomain_policy if exists else record.missing_policy


def _found(rfc: str, organization: str, at: str, record: Record | None, policy: str) -> Found:
    return Found(rfc, organization, at, record, _heeded(rfc, record, policy) if record else "")


def _heeded(rfc: str, record: Record, policy: str) -> str:
    """An unknown policy is none where reports can go, else DMARC does not apply (RFC 9989 4.10.1, RFC 7489 6.6.3)."""
    if record.names(*NAMED[rfc]) and (rfc == WALK or "p" in record.tags):  # RFC 7489 6.3 requires p=
        return policy
    return POLICIES[0] if record.aggregate else ""


def _differences(walked: Found, listed: Found) -> Iterator[str]:
    if walked.organizational and walked.organizational != listed.organizational:
        yield (
            f"organizational domain {walked.organizational} by the tree walk of {WALK}, "
            f"{listed.organizational} by the public suffix list of {LIST}"
        )
    if str(walked) != str(listed):
        yield f"policy under {WALK}: {walked}, under {LIST}: {listed}"
    yield from _shares(walked.record)


def _shares(record: Record | None) -> Iterator[str]:
    """Where a record asks for less than its policy in words only one of the RFCs knows."""
    if record is None or record.policy == record.subdomain_policy == POLICIES[0]:
        return
    if record.testing:
        yield f"t=y: {WALK} applies one policy less, {LIST} does not know the tag"
    if record.percentage < 100:  # noqa: PLR2004 - per cent
        yield f"pct={record.percentage}: {LIST} applies the policy to that share, {WALK} to all failing mail"
