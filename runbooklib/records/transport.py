"""What makes senders insist on TLS, and tells how it went: MTA-STS and TLS-RPT, where params ask for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from runbooklib.mtasts import Announcement, Policy
from runbooklib.params import Domain, Site
from runbooklib.records.wanted import TTL, Held, Wanted
from runbooklib.results import Check, Status

SECONDS = {"m": 60, "h": 3600, "d": 86400}
UNFETCHED = Held(
    "nobody looked whether the policy is served",
    "walk 04-dns, which fetches it",
    lacking=Status.UNKNOWN,
    standing=Status.PASS,
    differing=Status.UNKNOWN,
)


@dataclass(frozen=True)
class Served:
    """What strangers see of a domain's MTA-STS, and how TLS went by what they reported."""

    policy: Policy | None = None
    said: str = "not fetched"  # why there is none
    mx: tuple[str, ...] = ()  # as resolvers say, asked for only where the policy shall be enforced
    unverified: Mapping[str, str] = field(default_factory=dict)  # MX hosts whose certificate was not seen to verify
    failed: int | None = None  # sessions, by the reports of TLS-RPT; None: there are none
    silent: bool = False  # nobody answered, which says nothing of what is served


def wanted(site: Site, served: Mapping[str, Served] | None = None) -> Iterator[Wanted]:
    """The records of each mail domain; `served` is what was fetched, nothing where nobody looked."""
    for domain in site.domains:
        if "mta-sts" in site.dns.optional:
            yield _name(site, domain)
            yield _announcement(site, domain, (served or {}).get(domain.name))
        if "tls-rpt" in site.dns.optional:
            yield _reports(domain)


def _name(site: Site, domain: Domain) -> Wanted:
    why = "the web server that shows the MTA-STS policy"
    host = domain.mta_sts.host or site.server.hostname
    return Wanted(f"mta-sts.{domain.name}", "CNAME", (host,), TTL, why, "RFC 8461 3.3", "", advisory=True)


def _reports(domain: Domain) -> Wanted:
    why = "senders report where TLS to this server failed"
    value = f"v=TLSRPTv1; rua=mailto:{domain.tls_reports}"
    return Wanted(f"_smtp._tls.{domain.name}", "TXT", (value,), TTL, why, "RFC 8460 3", "", advisory=True)


def _announcement(site: Site, domain: Domain, served: Served | None) -> Wanted:
    """The record whose id says that the policy is another one: first the file, then the record (RFC 8461 8.1)."""
    ours = policy(site, domain, served)
    right = served and served.policy and _serves(served.policy, ours)
    why = f"senders fetch the policy (mode {ours.mode}) and keep it for {domain.mta_sts.max_age}"
    value = str(Announcement(identifier(served.policy if served and served.policy and right else ours)))
    held = None if right else UNFETCHED if served is None else _unserved(domain, served, ours)
    name = f"_mta-sts.{domain.name}"
    return Wanted(name, "TXT", (value,), TTL, why, "RFC 8461 3.1, 8.1", "", advisory=True, held=held)


def _unserved(domain: Domain, served: Served, ours: Policy) -> Held:
    there = f"mode {served.policy.mode} for {', '.join(served.policy.mx)}" if served.policy else served.said
    why = f"{address(domain)} does not show the policy yet: {there}"
    fix = f"serve the policy file that this stage shows (mode {ours.mode}), then run again"
    if served.silent:
        unknown = Status.UNKNOWN
        return Held(f"the policy could not be fetched: {served.said}", fix, unknown, unknown, unknown)
    return Held(why, fix, differing=Status.PENDING)


def _serves(there: Policy, ours: Policy) -> bool:
    """Whether the policy means what is wanted: its mode, every host of ours and nobody else; its age is its owner's."""
    return there.mode == ours.mode and set(there.mx) == set(ours.mx)


def address(domain: Domain) -> str:
    """Where senders fetch the policy (RFC 8461 3.3)."""
    return f"https://mta-sts.{domain.name}/.well-known/mta-sts.txt"


def identifier(policy: Policy) -> str:
    """An id of the policy's text: the same as long as it says the same."""
    return hashlib.sha256(str(policy).encode()).hexdigest()[:20]


def policy(site: Site, domain: Domain, served: Served | None = None) -> Policy:
    """The policy to serve: `testing` until nothing is lacking for `enforce`, which is not taken back by itself."""
    asked, max_age = domain.mta_sts.mode, domain.mta_sts.max_age
    enforced = asked == "enforce" and served is not None and (_enforcing(site, served) or not lacking(served))
    mode = "enforce" if enforced else "testing"
    return Policy(mode, (site.server.hostname,), int(max_age[:-1]) * SECONDS[max_age[-1]])


def _enforcing(site: Site, served: Served) -> bool:
    there = served.policy
    return there is not None and there.mode == "enforce" and there.covers(site.server.hostname)


def lacking(served: Served) -> tuple[str, ...]:
    """What has to be so before senders may refuse to deliver; empty: they may."""
    there = served.policy
    if there is None:
        return (f"the policy is not served: {served.said}",)
    if there.mode == "none":
        return ("the policy served says none: let it say testing first",)
    said = [f"the policy does not list the MX {host}" for host in served.mx if not there.covers(host)]
    said += [f"the policy lists {p}, which is no MX" for p in there.mx if not _used(p, served.mx)]
    said += ["no MX is known"] if not served.mx else []
    said += [f"{host}: {why}" for host, why in served.unverified.items()]
    if served.failed is None and there.mode != "enforce":
        said.append("no reports of TLS-RPT were read yet")
    if served.failed:
        said.append(f"TLS-RPT tells of {served.failed} failed sessions")
    return tuple(said)


def _used(pattern: str, mx: tuple[str, ...]) -> bool:
    return any(Policy("enforce", (pattern,), 0).covers(host) for host in mx)


def waiting(domain: Domain, served: Served) -> Check | None:
    """The row of a policy that shall be enforced: what is still in the way, or that it is."""
    if domain.mta_sts.mode != "enforce":
        return None
    row = Check(f"dns.mta-sts.enforce {domain.name}", Status.PASS, "senders may refuse to deliver without TLS", "")
    said, enforced = lacking(served), bool(served.policy and served.policy.mode == "enforce")
    fix = "mend what is named while the policy says testing; reports come once a day (dns.optional: tls-rpt)"
    if served.silent:
        status, fix = Status.UNKNOWN, "see that the policy can be fetched from here"
    elif said and enforced:
        status, fix = Status.WARN, "mend it soon: senders that know the policy keep mail back for want of this"
    else:
        status = Status.PENDING if said else Status.PASS
    observed = "; ".join(said) or "the policy, the MX hosts' certificates and the reports agree"
    fix = fix if said else ""
    return Check(row.name, status, row.expected, observed, fix, "RFC 8461 5, RFC 8460 4", advisory=True)


def admits(there: Policy | None, host: str) -> str:
    """Why mail must not be led to a host: senders keep an enforcing policy without it; empty where it may."""
    if there is None or there.mode != "enforce" or there.covers(host):
        return ""
    return (
        f"senders keep the MTA-STS policy up to {there.max_age // 3600} h, and it lists {', '.join(there.mx)}, not "
        f"{host}: they would deliver nothing (RFC 8461 5)"
    )
