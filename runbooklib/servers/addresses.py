"""The addresses a site answers beside its mailboxes: pure functions of the params, the same for every mail server."""

from __future__ import annotations

from runbooklib.params import Domain, Site

REQUIRED_LOCAL_PARTS = ("postmaster", "abuse")  # RFC 5321 4.5.1, RFC 2142 4 and 2


def aliases(site: Site) -> dict[str, str]:
    """Every alias the site declares, with postmaster@ and abuse@ of each domain, and the catch-alls last."""
    found: dict[str, str] = {}
    for domain in site.domains:
        target = owner(site, domain)
        required = {f"{local}@{domain.name}": target for local in REQUIRED_LOCAL_PARTS}
        found |= {a: t for a, t in required.items() if a not in site.mailboxes}
        found |= {alias: _kept(site, domain, targets) for alias, targets in domain.aliases.items()}
    return found | {f"@{d.name}": _kept(site, d, (d.catch_all,)) for d in site.domains if d.catch_all}


def _kept(site: Site, domain: Domain, targets: tuple[str, ...]) -> str:
    """An alias's targets; where all are elsewhere the domain's owner keeps a copy: a forward may be refused there."""
    local = any(target in site.mailboxes for target in targets)
    return ",".join(targets if local else (owner(site, domain), *targets))


def owner(site: Site, domain: Domain) -> str:
    """Who reads postmaster@ of a domain where nobody was named: its catch-all, its first mailbox, the site's first."""
    own = [a for a in (domain.catch_all, *(m.address for m in domain.mailboxes)) if a in site.mailboxes]
    return next(iter([*own, *site.mailboxes]))
