"""The SPF record that would let the addresses that really send pass: what stands, and what should."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runbooklib import records, spf
from runbooklib.answers import Answer, Lookup
from runbooklib.records import TTL, Comparison, Wanted
from runbooklib.spf import Result


@dataclass(frozen=True)
class Proposal:
    """One TXT record to publish, or why none was found."""

    name: str
    old: str
    new: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"publish at {self.name}: {self.old} → {self.new}" if self.new else self.why


@dataclass(frozen=True)
class Overlay:
    """DNS as it would be if one answer were another."""

    look: Lookup
    answer: Answer

    async def __call__(self, name: str, type: str) -> Answer:  # noqa: A002 - the field's word
        asked, ours = (name.rstrip(".").lower(), type), self.answer.question
        return self.answer if asked == (ours.name.rstrip(".").lower(), ours.type) else await self.look(name, type)


async def authorising(look: Lookup, name: str, addresses: Sequence[str], pool: Sequence[str]) -> Proposal:
    """The least change of the SPF record at `name` by which all the addresses pass, proved by evaluating it.

    First with the terms that name the relay's `pool`; where it holds not all that sent, with the addresses beside it.
    """
    answer = await look(name, "TXT")
    standing = " + ".join(value for value in answer.values if spf.is_spf(value)) or "nothing"
    if not answer.heard:
        return Proposal(name, "not known", why=f"what stands at {name} is not known: {answer.shown}")
    why = f"nothing names the pool: set relays.*.spf to what the relay's documentation says, for {name}"
    for terms in _candidates(addresses, pool):
        told = records.compare(_wanted(name, terms), answer)
        values = _after(told, answer)
        if values is None:
            return Proposal(name, standing, why=told.fix or told.said)
        refused = await _refused(Overlay(look, answer.holding(values)), name, addresses)
        if not refused:
            return Proposal(name, standing, next(filter(spf.is_spf, values)))
        why = f"no term of ours helps at {name}: {refused}"
    return Proposal(name, standing, why=why)


def _candidates(addresses: Sequence[str], pool: Sequence[str]) -> Iterator[list[str]]:
    own = [f"ip{ipaddress.ip_address(a).version}:{a}" for a in addresses]
    yield from ([*pool], [*pool, *own]) if pool else ()
    yield own


def _wanted(name: str, terms: Sequence[str]) -> Wanted:
    return Wanted(name, "TXT", (str(spf.of(terms)),), TTL, "names who really sends", "RFC 7208 3", "05-send")


def _after(told: Comparison, answer: Answer) -> tuple[str, ...] | None:
    """The whole rrset as it should be; None where a person has to decide first."""
    return told.values or (answer.values if told.good else None)


async def _refused(look: Lookup, name: str, addresses: Sequence[str]) -> str:
    """What would not pass still."""
    results = await asyncio.gather(*(spf.evaluate(look, a, f"postmaster@{name}", name) for a in addresses))
    told = zip(addresses, results, strict=True)
    return next((f"{a}: {r.result}, {r.reason}" for a, r in told if r.result is not Result.PASS), "")
