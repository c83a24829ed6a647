"""Names in DNS that mail programs look for, compared with what the files tell them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbooklib.answers import Answer, Lookup
from runbooklib.autoconfig.services import Service
from runbooklib.params import Site
from runbooklib.records.setup import SERVICES
from runbooklib.results import Check, Status, passed

PAGES = ("autoconfig", "autodiscover")
STAGE = "04-dns"


async def rows(look: Lookup, site: Site, services: Mapping[str, Sequence[Service]]) -> list[Check]:
    """For each domain whether the names that params publish lead where its files do."""
    asked = {domain: tuple(_questions(site, domain, named)) for domain, named in services.items()}
    told = await asyncio.gather(*(_all(look, questions) for questions in asked.values()))
    return [_row(domain, leads) for domain, leads in zip(asked, told, strict=True) if leads]


@dataclass(frozen=True)
class Lead:
    """What DNS says at a name, and what has to be there: of an SRV record port and target, else an address."""

    answer: Answer
    expected: str

    @property
    def status(self) -> Status:
        if not self.answer.heard:
            return Status.UNKNOWN
        if not self.answer.values:
            return Status.PENDING
        return Status.PASS if self._led == {self.expected} else Status.WARN

    @property
    def _led(self) -> set[str]:
        srv = self.answer.question.type == "SRV"  # its priority and weight are the publisher's (RFC 2782)
        return {" ".join(value.split()[-2:]) if srv else value for value in self.answer.values}

    def __str__(self) -> str:
        return f"{self.answer.question.name} {self.answer.question.type}: {self.answer.shown}"


def _questions(site: Site, domain: str, named: Sequence[Service]) -> Iterator[tuple[str, str, str]]:
    """Name, type, and what has to be there."""
    if "srv" in site.dns.optional:
        told = {f"_{s.name}": f"{s.port} {s.host}" for s in named}
        yield from ((f"{label}._tcp.{domain}", "SRV", told[label]) for label in SERVICES if label in told)
    yield from ((f"{page}.{domain}", "A", site.server.ipv4) for page in PAGES if page in site.dns.optional)


async def _all(look: Lookup, questions: Sequence[tuple[str, str, str]]) -> list[Lead]:
    answers = await asyncio.gather(*(look(name, kind) for name, kind, _ in questions))
    return [Lead(answer, expected) for answer, (_, _, expected) in zip(answers, questions, strict=True)]


def _row(domain: str, leads: Sequence[Lead]) -> Check:
    """The worst of a domain's names."""
    name, expected = f"autoconfig.names {domain}", "the names in DNS lead programs where the files do"
    status = Status.worst(lead.status for lead in leads)
    if status is Status.PASS:
        return passed(name, expected, f"all {len(leads)} do", REF)
    said = "; ".join(str(lead) for lead in leads if lead.status is status)
    waits_for = STAGE if status is Status.PENDING else ""
    return Check(name, status, expected, said, FIXES[status], REF, advisory=True, waits_for=waits_for)


REF = "RFC 6186 3, RFC 8314 5.1"
FIXES = {
    Status.UNKNOWN: "see whether dns.resolvers answer from this machine",
    Status.PENDING: "04-dns publishes them; programs that look there ask their user meanwhile",
    Status.WARN: "correct the record (04-dns), or take it out: who follows it comes to another server or port",
}
