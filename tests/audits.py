"""A small world that is in order, cases that bend one thing of it, and what the audit must say then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runbooklib import audit, zone
from runbooklib.answers import Word
from runbooklib.results import Check, Status

TOP, FIRST, SECOND, ELSEWHERE, RESOLVER = "5.2.0.1", "5.2.1.1", "5.2.2.1", "5.2.3.1", "9.9.9.9"
SOA = "@ SOA ns1 hostmaster 7 3600 600 86400 300"
KEY = (
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631"
    "uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
)  # 1024 bits
ZONE = f"""{SOA}
@ NS ns1
@ NS ns2
ns1 A {FIRST}
ns2 A {SECOND}
@ A 5.2.9.9
@ MX 10 mail
@ TXT "v=spf1 a:mail.lantern.example include:relay.example -all"
mail A 5.2.10.10
mail AAAA 2a0e:b100::10
mail TXT "v=spf1 a -all"
_dmarc TXT "v=DMARC1; p=reject; rua=mailto:dmarc@lantern.example"
"""
PARENT = f"""@ SOA ns.nic.example. h 1 2 3 4 60
@ NS ns.nic
ns.nic A {TOP}
lantern NS ns1.lantern
lantern NS ns2.lantern
ns1.lantern A {FIRST}
ns2.lantern A {SECOND}
relay NS ns.relay
ns.relay A {ELSEWHERE}
cdn NS ns.relay
"""
RELAY = f'@ SOA ns h 1 2 3 4 60\n@ NS ns\nns A {ELSEWHERE}\n@ TXT "v=spf1 ip4:5.2.20.0/24 -all"\n'
CDN = "@ SOA ns h 1 2 3 4 60\n@ NS ns.relay.example.\nwww A 104.16.1.1\n"
NAME = "lantern.example"
Checks = Callable[..., Awaitable[list[Check]]]


@dataclass(frozen=True)
class Case:
    """What is bent, and what the worst row of an id says then; an empty status is no row at all."""

    id: str
    status: str
    zone: str = ""  # lines that take the place of those at their owner and type; -owner or -owner TYPE removes
    parent: str = ""
    relay: str = ""
    second: str = ""  # the same for the second nameserver alone
    known: Mapping[str, Any] = field(default_factory=dict)  # fields of the subject
    outages: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    secure: frozenset[str] = frozenset()
    fetch: Any = None

    def __str__(self) -> str:
        return (
            f"{self.id} {self.status or 'no row'}: {' / '.join((self.zone or str(dict(self.known)))[:60].splitlines())}"
        )


def bent(text: str, changes: str) -> str:
    """A zone's lines with some replaced, added or removed, each with a TTL."""
    lines = [line.split(" ", 1) for line in text.splitlines()]
    new = [line.split(" ", 1) for line in changes.splitlines() if not line.startswith("-")]
    gone = [line[1:].split(" ") for line in changes.splitlines() if line.startswith("-")]
    gone += [[owner, rest.split(" ", 1)[0]] for owner, rest in new]
    kept = [(owner, rest) for owner, rest in lines if not any(_meant(owner, rest, g) for g in gone)]
    return "".join(f"{owner} 60 {rest}\n" for owner, rest in (*kept, *new))


def _meant(owner: str, rest: str, gone: Sequence[str]) -> bool:
    return owner == gone[0] and (len(gone) == 1 or rest.split(" ", 1)[0] == gone[1])


def world(case: Case) -> zone.Literal:
    """The registry, two nameservers of the domain, a relay's zone, and a resolver that follows."""
    own = bent(ZONE, case.zone)
    servers = {
        TOP: {"example": bent(PARENT, case.parent)},
        FIRST: {NAME: own},
        SECOND: {NAME: bent(own.replace(" 60 ", " "), case.second)},
        ELSEWHERE: {"relay.example": bent(RELAY, case.relay), "cdn.example": bent(CDN, "")},
    }
    return zone.Literal(servers, resolvers={RESOLVER}, outages=case.outages, secure=case.secure)


def stub(case: Case) -> zone.Stub:
    return zone.Stub(world(case), [RESOLVER])


def rows(checks: Checks, case: Case, subject: Any = None, **more: Any) -> list[Check]:
    """What one subject of the audit says."""
    about = subject or audit.Subject(**{"domain": NAME, **case.known})
    return asyncio.run(_run(checks, case, about, more))


async def _run(checks: Checks, case: Case, about: Any, more: Mapping[str, Any]) -> list[Check]:
    return await checks(stub(case), about, **more)


def worst(found: Sequence[Check], id_: str) -> str:
    """The worst row of an id; empty for none."""
    statuses = [row.status for row in found if row.name.split()[0] == id_]
    return Status.worst(statuses) if statuses else ""


def down(*names: str, word: Word = Word.SERVFAIL) -> dict[tuple[str, str], Word]:
    """The resolver fails for these names."""
    return {(RESOLVER, name): word for name in names}


def assert_told(found: Sequence[Check], case: Case) -> None:
    """The verdict, a reference on each row, and a fix wherever something is to be done."""
    assert worst(found, case.id) == case.status, "\n".join(row.advice() for row in found)
    for row in found:
        assert row.ref == audit.CATALOGUE[row.name.split()[0]].ref
        assert row.expected
        assert row.observed
        assert bool(row.fix) is (row.status is not Status.PASS), row


def named(part: object) -> str:
    """A test's id: the same in every process, so no function's address."""
    return part.__module__.rpartition(".")[2] if callable(part) else str(part)
