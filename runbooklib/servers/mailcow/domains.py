"""Mail domains in mailcow: made with limits that hold what params ask for, raised where they are too tight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runbooklib.params import Domain, Site
from runbooklib.results import Change
from runbooklib.servers import addresses
from runbooklib.servers.mailcow.state import MEBIBYTE, Hosted, State
from runbooklib.servers.mailcow.writes import Write

DOMAINS = 52  # the step of a plan
UNITS = {"k": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
WHY = "mail for the domain is received here"


@dataclass(frozen=True)
class Limits:
    """How many mailboxes and aliases a domain may have, and how large, in MiB; mailcow's own template at first."""

    mailboxes: int = 10
    aliases: int = 400
    largest: int = 10240
    whole: int = 10240

    def at_least(self, other: Limits) -> Limits:
        """The wider of both, each for itself; no mailbox may be larger than all of them."""
        largest = max(self.largest, other.largest)
        whole = max(self.whole, other.whole, largest)
        return Limits(max(self.mailboxes, other.mailboxes), max(self.aliases, other.aliases), largest, whole)

    def __str__(self) -> str:
        return f"{self.mailboxes} mailboxes, {self.aliases} aliases, {self.largest} MiB each, {self.whole} MiB in all"


NEW = 3072  # MiB; what mailcow's template gives a new mailbox


def mebibytes(size: str) -> int:
    """A size of params in mailcow's unit, rounded up: `5G` is 5120."""
    return -(-int(size[:-1]) * UNITS[size[-1]] // MEBIBYTE)


def needed(site: Site, domain: Domain, have: State) -> Limits:
    """What the mailboxes and aliases of params take, together with those that are there."""
    quotas = {b.address: b.quota for b in have.mailboxes.values() if b.address.endswith(f"@{domain.name}")}
    quotas |= {m.address: mebibytes(m.quota) if m.quota else quotas.get(m.address, 0) for m in domain.mailboxes}
    there = {a for a in have.aliases if a.endswith(f"@{domain.name}")}
    wanted = {a for a in addresses.aliases(site) if a.endswith(f"@{domain.name}")}
    return Limits(len(quotas), len(there | wanted), max(quotas.values(), default=0), sum(quotas.values()))


def changes(site: Site, have: State) -> Iterator[Change]:
    """The domains to make, and the limits to raise."""
    others = set(have.domains) - {domain.name for domain in site.domains}
    for domain in site.domains:
        hosted, limits = have.domains.get(domain.name), needed(site, domain, have)
        if domain.name in have.alias_domains:
            continue  # refused below
        if hosted is None:
            yield _made(domain, Limits().at_least(limits), alone=not others)
        elif (wider := standing(hosted).at_least(limits)) != standing(hosted):
            yield _raised(hosted, wider)


def standing(hosted: Hosted) -> Limits:
    """The limits a domain has."""
    return Limits(hosted.mailboxes, hosted.aliases, hosted.largest, hosted.whole)


def _told(limits: Limits) -> dict[str, int]:
    return {
        "mailboxes": limits.mailboxes,
        "aliases": limits.aliases,
        "maxquota": limits.largest,
        "quota": limits.whole,
    }


def _shown(domain: str, limits: Limits) -> dict[str, object]:
    return {
        "domain_name": domain,
        "max_num_mboxes_for_domain": limits.mailboxes,
        "max_num_aliases_for_domain": limits.aliases,
        "max_quota_for_mbox": limits.largest * MEBIBYTE,
        "max_quota_for_domain": limits.whole * MEBIBYTE,
    }


def _made(domain: Domain, limits: Limits, *, alone: bool) -> Write:
    """With its DKIM key: mailcow makes one with every domain, with a selector of its own if it is told none.

    Webmail knows a new domain once it was restarted; where `alone` is false, others would be thrown out by that.
    """
    body = _told(limits) | {
        "domain": domain.name,
        "defquota": min(NEW, limits.largest),
        "active": 1,
        "backupmx": 0,
        "relay_all_recipients": 0,
        "key_size": domain.dkim.size,
        "dkim_selector": domain.dkim.selector,
        "restart_sogo": int(alone),
    }
    after = f"made: {limits}; DKIM selector {domain.dkim.selector}, {domain.dkim.size} bits; "
    after += "webmail restarts" if alone else "webmail knows it after `docker compose restart sogo-mailcow`"
    return Write(
        DOMAINS,
        f"domain {domain.name}",
        "absent",
        after,
        WHY,
        "delete it in mailcow, once it is empty",
        path="add/domain",
        body=body,
        read=("domain", "all"),
        shows=_shown(domain.name, limits) | {"active": 1},
    )


def _raised(hosted: Hosted, limits: Limits) -> Write:
    before = standing(hosted)
    return Write(
        DOMAINS,
        f"limits of {hosted.name}",
        str(before),
        str(limits),
        "what params declare does not fit in",
        f"set {before} again",
        path="edit/domain",
        body={"items": [hosted.name], "attr": _told(limits)},
        read=("domain", "all"),
        shows=_shown(hosted.name, limits),
    )


def refusals(site: Site, have: State) -> Iterator[str]:
    """What other hands have set up differently, and we do not undo."""
    for domain in site.domains:
        name, hosted = domain.name, have.domains.get(domain.name)
        if target := have.alias_domains.get(name):
            yield f"{name} is an alias domain of {target} in mailcow, params say it has mailboxes: make them agree"
        if hosted and hosted.relayed:
            yield f"mailcow passes mail for {name} on to another server (backup MX): make mailcow and params agree"
        if hosted and not hosted.active:
            yield f"{name} is switched off in mailcow: switch it on there, or take it out of params"
