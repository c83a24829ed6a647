"""Looking at DNS from the command line: at a list of domains, or at sites with what their params know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from runbooklib import https, records, relays, zone
from runbooklib.audit import lists
from runbooklib.audit.gathering import host
from runbooklib.audit.many import ABREAST, each
from runbooklib.audit.policies import fetch
from runbooklib.audit.sites import machine, subjects
from runbooklib.audit.subject import Subject
from runbooklib.audit.transport import Fetch
from runbooklib.params import Site
from runbooklib.results import Checklist
from runbooklib.zone import Wire
from runbooklib.zone.resolvers import nameservers
from runbooklib.zone.stub import PER_SERVER


@dataclass
class Look:
    """Whom to ask, and how much at once; `asked` counts the questions of its audits."""

    wire: Wire
    resolvers: Sequence[str] = ()  # none: the system's, or those params name
    authoritative: Sequence[str] = ()
    abreast: int = ABREAST
    per_server: int = PER_SERVER
    policies: bool = False  # fetch MTA-STS policies, which are web pages
    asked: int = 0

    async def listed(self, text: str, selectors: Sequence[str] = ()) -> AsyncIterator[Checklist]:
        """The audit of each domain of a list, as they are done."""
        async for found in self._audited(lists.subjects(text, selectors), self._stub(nameservers())):
            yield found

    async def site(self, site: Site) -> AsyncIterator[Checklist]:
        """The records that params want as they stand, then the audit of each domain and of the host."""
        site = self._asked_so(site)
        yield await asyncio.to_thread(_records, site, self.wire)
        stub = self._stub(site.dns.resolvers)
        trust = https.trusting(site.mail.tls.ca if site.rehearsed else None)
        async for found in self._audited(subjects(site), stub, partial(fetch, trust=trust)):
            yield found
        before = stub.asked
        yield await host(stub, machine(site))
        self.asked += stub.asked - before

    def _stub(self, resolvers: Sequence[str]) -> zone.Stub:
        chosen = self.resolvers or (() if self.authoritative else resolvers)
        return zone.Stub(self.wire, chosen, self.authoritative, per_server=self.per_server)

    async def _audited(
        self, these: Iterable[Subject], stub: zone.Stub, fetched: Fetch = fetch
    ) -> AsyncIterator[Checklist]:
        async for found in each(stub, these, self.abreast, fetched if self.policies else None):
            yield found
        self.asked += stub.asked

    def _asked_so(self, site: Site) -> Site:
        """With the servers that were named here in the place of those of its params; nothing is published."""
        servers = {"resolvers": self.resolvers, "authoritative": self.authoritative}
        named = {name: tuple(given) for name, given in servers.items() if given}
        return site.model_copy(update={"dns": site.dns.model_copy(update={"publish": "by-hand", **named})})


def _records(site: Site, wire: Wire) -> Checklist:
    """What params want, DNS alone asked: neither the server for its keys nor a provider for its records."""
    want = records.desired(site, relays.records(site))
    seen = zone.observe(site, want, wire=wire)
    found = records.verify(want, seen, records.diff(want, seen))
    return replace(found, title=f"records of {site.name}")
