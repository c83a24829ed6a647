"""A score like a mail tester's, without the website: a spam filter's verdict, and DNSBLs of the addresses that send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from runbooklib import servers
from runbooklib.answers import Lookup
from runbooklib.audit import blocklists
from runbooklib.delivery.cases import Case
from runbooklib.delivery.filters import Filter, Inside, NoFilterError, Sample, find
from runbooklib.delivery.messages import Form
from runbooklib.delivery.proving import Proven
from runbooklib.delivery.sightings import Sighting, sightings
from runbooklib.eml import Authentication
from runbooklib.eml.score import Score, Symbol, matched, taken, telling, to_wide, total
from runbooklib.params import MAILCOW, Site
from runbooklib.results import Check, Checklist, RunbookError, Status
from runbooklib.zone import Stub, together
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

TITLE = "score"
AT_ONCE = 4  # messages a filter is given side by side
ASK = "see whether the filter answers there: on the server itself, or what test.rspamd names, and its password"


def score(site: Site, proven: Proven) -> Checklist:
    """What a spam filter and the DNSBLs make of what arrived elsewhere; all of it advisory where it cannot be told."""
    return together([scored(Stub(INTERNET, resolvers(site)), servers.of(site).inside, site, proven)])[0]


async def scored(look: Lookup, inside: Inside, site: Site, proven: Proven) -> Checklist:
    """The same with DNS as it is given, and commands run by `inside`."""
    found = [sighting for sighting in sightings(site, proven) if sighting.proofs]
    samples = [_samples(sighting) for sighting in found]
    listed, rows = await asyncio.gather(
        listings(look, site, found), asyncio.to_thread(_filtered, site, inside, found, samples)
    )
    return Checklist(TITLE, (*rows, *listed))


# the filter


def _samples(sighting: Sighting) -> list[Sample]:
    """One for each form a domain's mail has: ports and recipients are nothing to a filter."""
    forms: dict[Form, Case] = {}
    for case in sighting.cases:
        forms.setdefault(case.letter.form, case)
    return [_sample(case, proof) for case in forms.values() if (proof := case.proof)]


def _sample(case: Case, proof: Authentication) -> Sample:
    raw, at = taken(proof.mail, proof.border), proof.border
    sample = Sample(case.letter.name, raw, sender=proof.mail_from or "", recipient=case.letter.recipient)
    if at is None or not at.address:
        return sample
    named = proof.reverse.confirmed if proof.reverse else ()
    name = at.said if at.said in named else next(iter(named), "")
    return replace(sample, address=at.address, helo=at.said, hostname=name)


def _filtered(
    site: Site, inside: Inside, found: Sequence[Sighting], samples: Sequence[Sequence[Sample]]
) -> list[Check]:
    every = [sample for each in samples for sample in each]
    if not every:
        return []
    try:
        ask, first = find(site, inside, every[0])
    except RunbookError as error:
        return [_unknown(site, sighting.domain.name, error) for sighting in found]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        scores = [first, *pool.map(lambda sample: _asked(ask, sample), every[1:])]
    told = dict(zip((sample.name for sample in every), scores, strict=True))
    return [row for sighting, each in zip(found, samples, strict=True) for row in _rows(site, sighting, each, told)]


def _asked(ask: Filter, sample: Sample) -> Score | RunbookError:
    try:
        return ask(sample)
    except RunbookError as error:
        return error


def _rows(
    site: Site, sighting: Sighting, samples: Sequence[Sample], told: dict[str, Score | RunbookError]
) -> Iterator[Check]:
    """The total of each form, then each telling symbol once for the domain."""
    by_name: dict[str, list[tuple[str, Symbol]]] = {}
    for sample in samples:
        found = told[sample.name]
        if isinstance(found, RunbookError):
            yield _unknown(site, sample.name, found)
            continue
        found = found if sample.recipient.isascii() else to_wide(found)
        yield total(sample.name, found)
        for symbol in telling(found):
            by_name.setdefault(symbol.name, []).append((sample.name, symbol))
    for name in sorted(by_name):
        yield matched(sighting.domain.name, by_name[name], len(samples))


def _unknown(site: Site, about: str, error: RunbookError) -> Check:
    expected = "below what is filed as spam"
    fix = _remedy(site) if isinstance(error, NoFilterError) else str(getattr(error, "fix", "")) or ASK
    return Check(f"delivery.score {about}", Status.UNKNOWN, expected, str(error), fix, advisory=True)


def _remedy(site: Site) -> str:
    if site.mail.server == MAILCOW and site.mail.url:
        return f"name mailcow's own: test.rspamd: {{url: {site.mail.url}/rspamd, password: env:RSPAMD_PASSWORD}}"
    return "name an rspamd in test.rspamd, as http://127.0.0.1:11334, or write to a mail tester by hand"


# the lists


async def listings(look: Lookup, site: Site, found: Sequence[Sighting]) -> list[Check]:
    """DNSBLs of each address that handed mail to a recipient, and of our own where it sends by itself."""
    seen = dict.fromkeys(address for sighting in found for address in sighting.addresses)
    relays = {a: sighting.domain.relay for sighting in found if sighting.relay for a in sighting.addresses}
    own = [site.server.ipv4, site.server.ipv6] if site.sends_directly else []
    addresses = dict.fromkeys([*seen, *filter(None, own)])
    rows = await blocklists.of_addresses(look, site.dns.blocklists, addresses, sends=True) if addresses else []
    return [_explained(row, relays) for row in rows]


def _explained(row: Check, relays: dict[str, str]) -> Check:
    """A listed address of a relay is the relay's to mend; that mail arrived shows that not all go by that list."""
    relay = relays.get(row.name.split()[1])
    if relay is None or row.status is not Status.FAIL:
        return row
    fix = f"tell {relay}'s support that its address is listed, or ask for another pool; some refuse mail meanwhile"
    return replace(row, status=Status.WARN, fix=fix)
