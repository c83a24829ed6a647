"""Aliases and catch-alls in mailcow; ours carry a private comment, so that only they are ever taken away."""

from __future__ import annotations

from collections.abc import Iterator

from runbooklib.params import Site
from runbooklib.results import Change, Check, Status, passed
from runbooklib.servers import addresses
from runbooklib.servers.mailcow.state import Alias, State
from runbooklib.servers.mailcow.writes import Write, targets

REMOVALS, ALIASES = 53, 56  # the steps of a plan; an address may become a mailbox once its alias is gone
ALL = ("alias", "all")
USABLE = {"active": 1, "sender_allowed": 1}  # both are off where an API call does not say


def mark(site: Site) -> str:
    """The private comment of our aliases; two sites in one mailcow keep their hands off each other's."""
    return f"mail-runbooks, site {site.name}"


def changes(site: Site, have: State) -> Iterator[Change]:
    """Aliases to make, to correct where they are ours, and to take away where they were."""
    wanted = addresses.aliases(site)
    for address, goto in wanted.items():
        there = have.aliases.get(address)
        if there is None and address not in have.mailboxes:
            yield _made(site, address, goto)
        elif there and ours(site, there) and (wrong := _wrong(there, goto)):
            yield _corrected(there, goto, wrong)
    yield from (_removed(a) for a in have.sorted_aliases if ours(site, a) and a.address not in wanted)


def ours(site: Site, alias: Alias) -> bool:
    """Whether an alias was made by us for this site."""
    return alias.comment == mark(site)


def _wrong(alias: Alias, goto: str) -> str:
    """What of an alias is not as it should be."""
    said = [] if alias.targets == targets(goto) else [", ".join(sorted(alias.targets))]
    said += [] if alias.active else ["switched off"]
    said += [] if alias.sender else ["may not be used as sender"]
    return "; ".join(said)


def _made(site: Site, address: str, goto: str) -> Write:
    return Write(
        ALIASES,
        f"alias {address}",
        "absent",
        goto,
        _why(address),
        "delete it in mailcow",
        path="add/alias",
        body={"address": address, "goto": goto, "private_comment": mark(site), **USABLE},
        read=ALL,
        shows={"address": address, "goto": goto, **USABLE},
    )


def _why(address: str) -> str:
    local = address.partition("@")[0]
    if local in addresses.REQUIRED_LOCAL_PARTS:
        return "RFC 5321 4.5.1, RFC 2142: it has to be read"
    return "declared in params" if local else "every other address of the domain: the catch-all of params"


def _corrected(alias: Alias, goto: str, wrong: str) -> Write:
    return Write(
        ALIASES,
        f"alias {alias.address}",
        wrong,
        goto,
        "declared in params, and made by us",
        f"set {wrong} again",
        path="edit/alias",
        body={"items": [alias.id], "attr": {"goto": goto, **USABLE}},
        read=ALL,
        shows={"address": alias.address, "goto": goto, **USABLE},
    )


def _removed(alias: Alias) -> Write:
    goto = ", ".join(sorted(alias.targets))
    return Write(
        REMOVALS,
        f"alias {alias.address}",
        goto,
        "removed",
        "made by us, and no longer in params",
        f"make it again, to {goto}",
        path="delete/alias",
        body=(alias.id,),
        read=ALL,
        shows={"id": alias.id, "address": alias.address},
        gone=True,
    )


def refusals(site: Site, have: State) -> Iterator[str]:
    """What other hands set up differently, and what mailcow cannot do."""
    for address, goto in addresses.aliases(site).items():
        there = have.aliases.get(address)
        if address in have.mailboxes and address not in _undeclared(site):
            yield f"{address} is a mailbox in mailcow, params declare an alias: make them agree"
        elif there and not ours(site, there):
            if there.targets != targets(goto) and address not in _undeclared(site):
                to = ", ".join(sorted(there.targets))
                yield f"mailcow sends {address} to {to}, params say {goto}: make them agree"
            if not there.active:
                yield f"alias {address} of other hands is switched off in mailcow: switch it on, or delete it there"
    yield from _unrefusable(site, have)


def _undeclared(site: Site) -> set[str]:
    """postmaster@ and abuse@ for which params name nobody: whoever reads them already may go on to."""
    required = {f"{local}@{d.name}" for local in addresses.REQUIRED_LOCAL_PARTS for d in site.domains}
    return required - {address for domain in site.domains for address in domain.aliases}


def _unrefusable(site: Site, have: State) -> Iterator[str]:
    """An address that is nobody's is refused by itself, unless a catch-all takes it."""
    for domain in site.domains:
        caught = domain.catch_all or f"@{domain.name}" in have.aliases
        for address in domain.refuse:
            if address in have.mailboxes or address in have.aliases:
                yield f"params refuse {address}, and mailcow delivers it: delete it there, or take it out of refuse"
            elif caught:
                yield (
                    f"{address} cannot be refused beside a catch-all: mailcow's API can only discard such mail unseen. "
                    "By hand: in data/conf/postfix/extra.cf write smtpd_relay_restrictions = check_recipient_access "
                    f"inline:{{{{{address} = 550 5.1.1 User unknown}}}}, permit_mynetworks, permit_sasl_authenticated, "
                    "reject_unauth_destination, restart postfix-mailcow, and take the address out of refuse"
                )


def rows(site: Site, have: State) -> Iterator[Check]:
    """Each alias of params: where it leads, and whether it may be used as sender."""
    for address, goto in addresses.aliases(site).items():
        name = f"server.catch-all {address}" if address.startswith("@") else f"server.alias {address}"
        there = have.aliases.get(address)
        if address in have.mailboxes:
            yield passed(name, goto, "a mailbox of its own")
        elif there is None:
            yield Check(name, Status.FAIL, goto, "absent", "run 01-bootstrap with apply")
        else:
            fix = "run 01-bootstrap with apply" if ours(site, there) else "other hands made it: correct it in mailcow"
            yield _row(name, there, ", ".join(there.targets) if address in _undeclared(site) else goto, fix)


def _row(name: str, there: Alias, goto: str, fix: str) -> Check:
    wrong = _wrong(there, goto)
    if not wrong:
        return passed(name, goto, "so it is")
    lost = not there.active or there.targets != targets(goto)
    return Check(name, Status.FAIL if lost else Status.WARN, goto, wrong, fix)
