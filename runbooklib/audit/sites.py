"""The audit of a site: its params say what is sent by whom, so that little stays unknown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

from runbooklib import https, relays
from runbooklib.audit.gathering import domain, host
from runbooklib.audit.policies import fetch
from runbooklib.audit.subject import Machine, Subject
from runbooklib.params import Domain, Site
from runbooklib.records import RecordChange, Wanted
from runbooklib.results import Check, Checklist, Plan, Status
from runbooklib.zone import Stub, Wire, together
from runbooklib.zone.authorities import locate
from runbooklib.zone.questions import INTERNET
from runbooklib.zone.resolvers import resolvers

KEYS = "._domainkey."
# What `zone.preflight` and `records.verify` judge against the params, with what is planned and cached in mind.
REPEATED = {
    *("dns.zone", "dns.alias", "dns.ns.answers", "dns.ns.parent", "dns.soa.serial"),
    *("dns.mx", "dns.mx.null", "dns.mx.ours", "dns.host.address", "dns.ptr", "dns.ptr.confirmed", "dns.ptr.host"),
    *("dns.spf.record", "dns.spf.sends", "dns.dkim.published", "dns.dmarc.record", "dns.dmarc.policy"),
    *("dns.dmarc.authorised", "dns.srv", "dns.autoconfig", "dns.names.doubled", "dns.names.stripped"),
}


# The records that rows of a group look at, by what they are about.
JUDGED = {
    "dns.spf": ("{} TXT",),
    "dns.dkim": ("{} TXT", "{} CNAME"),
    "dns.dmarc": ("{} TXT", "_dmarc.{} TXT"),
    "dns.mx": ("{} MX", "{} A", "{} AAAA"),
    "dns.host": ("{} TXT", "{} A", "{} AAAA"),
    "dns.mta-sts": ("_mta-sts.{} TXT", "mta-sts.{} A", "mta-sts.{} AAAA", "mta-sts.{} CNAME"),
    "dns.tls-rpt": ("_smtp._tls.{} TXT",),
    "dns.caa": ("{} CAA",),
    "dns.dane": ("_25._tcp.{} TLSA",),
}
# Rows that rest on what resolvers say of them, who may still hold what stood before.
REMEMBERED = {"dns.dane", "dns.mta-sts.policy"}


def subjects(site: Site) -> tuple[Subject, ...]:
    """Each mail domain with what params know of it."""
    wanted = relays.records(site)
    return tuple(_subject(site, d, wanted) for d in site.domains)


def _subject(site: Site, domain: Domain, wanted: tuple[Wanted, ...]) -> Subject:
    """The server's selectors and the relay's; behind a relay nobody knows the addresses that send."""
    below = [w for w in wanted if w.name.endswith(f".{domain.name}")]
    theirs = tuple(w.name.partition(KEYS)[0] for w in below if w.name.partition(KEYS)[2] == domain.name)
    own = filter(None, (domain.dkim.selector, domain.dkim.ed25519))
    direct = site.relay_of(domain) is None
    return Subject(
        domain=domain.name,
        selectors=tuple(dict.fromkeys([*own, *theirs])),
        borrowed=theirs,
        return_paths=tuple(dict.fromkeys(w.name for w in below if w.kind == "spf")),
        senders=_addresses(site) if direct else (),
        host=site.server.hostname,
        sends=True,
        receives=True,
        blocklists=site.dns.domain_blocklists,
        rehearsed=site.rehearsed,
    )


def machine(site: Site) -> Machine:
    """The mail host with its addresses."""
    return Machine(
        hostname=site.server.hostname,
        addresses=_addresses(site),
        sends=site.sends_directly,
        blocklists=site.dns.blocklists,
        domain_blocklists=site.dns.domain_blocklists,
        rehearsed=site.rehearsed,
    )


def _addresses(site: Site) -> tuple[str, ...]:
    return tuple(filter(None, (site.server.ipv4, site.server.ipv6)))


def site(site: Site, wire: Wire = INTERNET, plan: Plan | None = None) -> Checklist:
    """What DNS says beyond the records this site publishes.

    Left out is what `zone.preflight` and `records.verify` judge: they know the plan, the caches and every nameserver,
    and would say *pending* where this look could only say *wrong* (REPEATED names the ids). What `plan` changes is
    pending here as well while it does not stand yet, or resolvers may hold what stood before; what every authoritative
    server shows as planned is judged as it is.
    """
    changes = [change for change in plan or () if isinstance(change, RecordChange)]
    rows, done = together([_whole(site, wire, changes)])[0]
    targets = {change.target for change in plan or ()}
    kept = (row for row in dict.fromkeys(rows) if row.name.split()[0] not in REPEATED)
    return Checklist(
        "DNS beyond these records", tuple(_pending(row) if _planned(row, targets, done) else row for row in kept)
    )


def _planned(row: Check, targets: set[str], done: set[str]) -> bool:
    """Whether a row that is not green judges a record that the plan changes, as it was before."""
    id_, about = row.name.split()[:2]
    group = ".".join(id_.split(".")[:2])
    judged = {shape.format(about) for shape in JUDGED.get(group, ())}
    before = targets if id_ in REMEMBERED else targets - done
    return row.status in {Status.FAIL, Status.UNKNOWN} and bool(judged & before)


def _pending(row: Check) -> Check:
    fix = "the plan changes this record: run again when it stands, and caches have forgotten the old one"
    return replace(row, status=Status.PENDING, fix=fix)


async def stub(site: Site, wire: Wire) -> Stub:
    """The zones' own servers first: a resolver would remember that a record to be published is absent."""
    holders = await locate(wire, site, ())
    servers = dict.fromkeys(address for holder in holders.values() for address in holder.servers)
    return Stub(wire, resolvers(site), site.dns.authoritative or tuple(servers))


async def _whole(site: Site, wire: Wire, changes: list[RecordChange]) -> tuple[list[Check], set[str]]:
    """The rows, and the targets of changes that stand; one stub for all: domains of one server share most answers."""
    look = await stub(site, wire)
    ca = site.mail.tls.ca if site.rehearsed else None
    fetched = partial(fetch, trust=https.trusting(ca))
    jobs = [domain(look, subject, fetched) for subject in subjects(site)]
    found = await asyncio.gather(*jobs, host(look, machine(site)))
    done = {change.target for change in changes if await _stands(look, change)}
    return [row for rows in found for row in rows], done


async def _stands(look: Stub, change: RecordChange) -> bool:
    """Whether every authoritative server that holds the name shows the change."""
    answers = await asyncio.gather(*(look.at(server, change.name, change.type) for server in look.authoritative))
    heard = [answer for answer in answers if answer.heard]
    return bool(heard) and all(map(change.shown_by, heard))
