"""MTA-STS as senders see it: the policy that is served, and, before it is enforced, all that it rests on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from runbooklib import endpoint, https
from runbooklib.audit.policies import PolicyError, SilentPolicyError, fetch
from runbooklib.endpoint import Endpoint, EndpointError
from runbooklib.mtasts import Policy, StsError, is_sts, parse_policy
from runbooklib.params import MAILCOW, Domain, Site
from runbooklib.probes.outside import SECONDS, SMTP
from runbooklib.records import Desired, Served, Wanted, transport
from runbooklib.results import Status, Table
from runbooklib.tlsrpt import Report
from runbooklib.zone import together
from runbooklib.zone.observation import at_authorities
from runbooklib.zone.questions import INTERNET, Wire

Fetch = Callable[[str], Awaitable[str]]
SUBMISSIONS = 465


@dataclass(frozen=True)
class Policies(Desired):
    """The MTA-STS records of a site, and the policy file for each domain: what to serve where, and who serves it."""

    files: tuple[tuple[str, ...], ...] = ()
    served: Mapping[str, Served] = field(default_factory=dict)

    def parts(self) -> tuple[str, Sequence[str], Sequence[Sequence[str]]]:
        title = "policy files to serve" if self.files else "no policy file is asked for (dns.optional: mta-sts)"
        return title, ("address", "served by", "text"), self.files

    def data(self) -> dict[str, Any]:
        title, columns, _ = self.parts()
        return Table(title, tuple(columns), self.files).data()


def policies(site: Site, reports: Mapping[str, Sequence[Report]] | None = None, get: Fetch | None = None) -> Policies:
    """What each domain serves, where params ask for MTA-STS; nobody is asked where they do not.

    `reports` are those of TLS-RPT for each domain; without any, a policy stays in mode testing.
    """
    if "mta-sts" not in site.dns.optional:
        return Policies(())
    asked = get or partial(fetch, trust=https.trusting(site.mail.tls.ca))
    found = together(_policy(asked, domain) for domain in site.domains)
    pairs = zip(site.domains, found, strict=True)
    served = {d.name: _served(site, d, seen, (reports or {}).get(d.name)) for d, seen in pairs}
    notes = [transport.waiting(d, served[d.name]) for d in site.domains]
    return Policies(
        records=tuple(transport.wanted(site, served)),
        notes=tuple(note for note in notes if note),
        files=tuple(_file(site, d, served[d.name]) for d in site.domains),
        served=served,
    )


async def _policy(get: Fetch, domain: Domain) -> Policy | PolicyError | StsError:
    """The policy, or why there is none."""
    try:
        return parse_policy(await get(domain.name))
    except (PolicyError, StsError) as error:
        return error


def _served(
    site: Site, domain: Domain, seen: Policy | PolicyError | StsError, reports: Sequence[Report] | None
) -> Served:
    if not isinstance(seen, Policy):
        return Served(said=str(seen), silent=isinstance(seen, SilentPolicyError))
    if domain.mta_sts.mode != "enforce":
        return Served(seen)
    mx = _mx(site, domain)
    unverified = {host: why for host in mx if (why := _unverified(site, host))}
    return Served(seen, "", mx, unverified, failures(domain.name, reports))


def failures(domain: str, reports: Sequence[Report] | None) -> int | None:
    """The sessions to a domain that failed; None where nobody reported of it."""
    told = [s for report in reports or () for s in report.policies if s.domain == domain]
    return sum(s.failed for s in told) if told else None


def _mx(site: Site, domain: Domain) -> tuple[str, ...]:
    try:
        found = endpoint.lookup(domain.name, "MX", site.dns.resolvers)
    except EndpointError:
        return ()
    return tuple(sorted(record.to_text().split()[1].rstrip(".").lower() for record in found))


def _unverified(site: Site, host: str) -> str:
    """Why the certificate of an MX host was not seen to verify; empty: it does."""
    try:
        if site.test.smtp25:
            _greet(site, host)
        elif host == site.server.hostname:
            where = Endpoint(host, SUBMISSIONS, "implicit", site.mail.tls.ca)
            endpoint.connect(where, endpoint.local_dial, site.server.ipv4).close()
        else:
            return "its port 25 was not asked: test.smtp25 is false"
    except (EndpointError, OSError) as error:
        return str(error)
    return ""


def _greet(site: Site, host: str) -> None:
    where = Endpoint(host, SMTP, "starttls", site.mail.tls.ca)
    own = host == site.server.hostname
    address = site.server.ipv4 if own else endpoint.resolve(host, site.dns.resolvers)[0]
    with endpoint.ending(endpoint.smtp(where, endpoint.local_dial, address, SECONDS + SECONDS)):
        pass


def _file(site: Site, domain: Domain, served: Served) -> tuple[str, str, str]:
    """One row of what the user has to serve."""
    host = domain.mta_sts.host or site.server.hostname
    whose = f"a web server on {host} with a certificate for mta-sts.{domain.name}"
    if site.mail.server == MAILCOW and host == site.server.hostname:
        whose = f"mailcow: E-Mail, Configuration, {domain.name}, MTA-STS"
    if served.silent and domain.mta_sts.mode == "enforce":
        whose += "; it could not be fetched: one that says enforce already stays"
    ours = transport.policy(site, domain, served)
    return transport.address(domain), whose, str(ours).replace("\r\n", "\n").rstrip()


def kept_out(site: Site, domain: Domain, get: Fetch | None = None, wire: Wire = INTERNET) -> tuple[Status, str]:
    """Whether senders that keep a policy would deliver to this server, and why not; unknown where nobody can tell.

    A policy outlives its record (RFC 8461 5.1): the file counts wherever there may be one. Whether there may be is
    asked of authoritative servers, since resolvers would remember an absence.
    """
    web = f"mta-sts.{domain.name}"
    asked = [_asked(f"_mta-sts.{domain.name}", "TXT"), _asked(web, "A"), _asked(web, "AAAA")]
    told = at_authorities(site, asked, wire)
    heard = [[a for a in told.at_authority(w) if a.heard] for w in asked]
    if not all(heard):
        return Status.UNKNOWN, f"no authoritative server says whether {domain.name} has an MTA-STS policy"
    announced = any(a.chain or any(map(is_sts, a.values)) for a in heard[0])
    if not announced and not any(a.values or a.chain for a in (*heard[1], *heard[2])):
        return Status.PASS, ""
    (seen,) = together([_policy(get or partial(fetch, trust=https.trusting(site.mail.tls.ca)), domain)])
    return _admission(seen, site.server.hostname, announced=announced)


def _asked(name: str, kind: str) -> Wanted:
    return Wanted(name, kind, (), 0, "", "", "")


def _admission(seen: Policy | PolicyError | StsError, host: str, *, announced: bool) -> tuple[Status, str]:
    if isinstance(seen, Policy):
        said = transport.admits(seen, host)
        return (Status.FAIL, said) if said else (Status.PASS, "")
    if announced or isinstance(seen, SilentPolicyError):
        return Status.UNKNOWN, f"senders may keep an MTA-STS policy, and it cannot be read: {seen}"
    return Status.PASS, ""  # a web server that shows none, as behind a wildcard
