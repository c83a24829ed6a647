"""Full mailboxes refuse mail in SMTP: what Dovecot has to be told so that nothing is accepted first and bounced later.

docker-mailserver has Postfix ask Dovecot's quota service about every recipient as it was written. As 15.1.0 sets
Dovecot 2.3 up, that leaves three gaps: an alias is counted in an empty mailbox of its own name, recipients of a
catch-all and of an alias with several targets are unknown and pass, and what passed bounces when it is stored.
"""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.servers import addresses
from runbooklib.servers.docker_mailserver import layout

UNLIMITED = "0"


def limits(site: Site) -> dict[str, str]:
    """The mailboxes that have a quota in params."""
    return {address: m.quota for address, m in site.mailboxes.items() if m.quota}


def differing(site: Site, standing: str) -> dict[str, tuple[str, str]]:
    """For each mailbox whose limit is another in dovecot-quotas.cf: the old one, empty for none, and the new one."""
    pairs = (line.partition(":") for line in standing.splitlines())
    have = {address.strip(): limit.strip() for address, _, limit in pairs}
    return {a: (have.get(a, ""), limit) for a, limit in limits(site).items() if have.get(a) != limit}


def files(site: Site) -> dict[str, list[str]]:
    """Our lines of each file that quotas need; none where no mailbox has one."""
    if not limits(site):
        return {layout.DOVECOT: [], layout.QUOTA_RECIPIENTS: []}
    return {layout.DOVECOT: dovecot(), layout.QUOTA_RECIPIENTS: [*recipients(site)]}


def dovecot() -> list[str]:
    """The lines of dovecot.cf, which only a new container reads."""
    return [
        # The same folder for a mailbox, but its target's for an alias, whose home docker-mailserver sets so.
        "mail_location = maildir:%h/..",
        *_users(""),
        *_users("username_format=@%d "),
        # What passed the question at RCPT is stored: a bounce would go to a sender that is often forged.
        "protocol lmtp {",
        "  plugin {",
        "    quota = count:User quota:noenforcing",
        "  }",
        "}",
    ]


def _users(options: str) -> list[str]:
    return [
        "userdb {",
        "  driver = passwd-file",
        f"  args = {options}{layout.CONFIG}/quota-recipients",
        "  default_fields = uid=docker gid=docker",
        "}",
    ]


def recipients(site: Site) -> Iterator[str]:
    """The passwd-file of recipients that docker-mailserver makes no user for; a catch-all stands as @domain."""
    quotas = limits(site)
    for alias, targets in addresses.aliases(site).items():
        local = [target for target in targets.split(",") if target in site.mailboxes]
        if "," not in targets and not alias.startswith("@"):
            continue
        # Of several mailboxes one may be full and the other not: none is asked, all get it.
        limit = quotas.get(local[0], UNLIMITED) if len(local) == 1 else UNLIMITED
        name, _, domain = local[0].rpartition("@")
        yield f"{alias}:::::/var/mail/{domain}/{name}/home::userdb_quota_rule=*:bytes={limit}"
