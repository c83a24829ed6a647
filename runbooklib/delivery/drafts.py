"""Which messages travel between a domain and others: every form by each port where that harms nobody, else one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from runbooklib.delivery.messages import SUBMISSION, SUBMISSIONS, Form, Letter, Route
from runbooklib.params import Domain, Recipient, Site
from runbooklib.servers import addresses

TAG = "runbook"  # of a sub-address (RFC 5233): hi+runbook@
PORTS = SUBMISSION, SUBMISSIONS
INSIDE = 10  # mailboxes and aliases written to from outside in one run: that login is somebody's account elsewhere
NOBODY = "nobody@stranger.example"  # whom the testbed's stranger does not have
BOUNCING = {"resend": "bounced@resend.dev"}  # the addresses that providers keep for this


def outbound(site: Site, domain: Domain) -> Iterator[Letter]:
    """What the domain sends: to each recipient, to the reflector, and to an address that is known to bounce."""
    if not domain.mailboxes:
        yield from _as_alias(site, domain)
        return
    sender = domain.mailboxes[0].address
    for them in site.test.recipients:
        yield from _to(site, domain, them)
    if site.test.reflector:
        yield Letter(0, Route.REFLECTOR, domain.name, sender, site.test.reflector, answered_in=sender)
    if nobody := bouncing(site, domain):
        yield Letter(0, Route.BOUNCE, domain.name, sender, nobody)


def _as_alias(site: Site, domain: Domain) -> Iterator[Letter]:
    """The one message of a domain without mailboxes: as its first alias, by the login of who reads that."""
    for alias, reader in readers(site, domain)[:1]:
        for them in site.test.recipients:
            lands = them.address if them.imap else ""
            answered = reader if them.imap and them.submission else ""
            route, name = Route.OUTBOUND, domain.name
            yield Letter(0, route, name, alias, them.address, lands, answered, form=Form.ALIAS, login=reader)


def whole(site: Site, them: Recipient) -> bool:
    """Whether somebody gets every form by each port: who asked for it, and the testbed's stranger."""
    return site.test.matrix or unreal(site, them.address)


def unreal(site: Site, address: str) -> bool:
    """Whether an address is the testbed's: no real one ends so (RFC 2606 2)."""
    return site.rehearsed and address.endswith(".example")


def bouncing(site: Site, domain: Domain) -> str:
    """An address that bounces and is meant to: the provider's own, or nobody's in the testbed; else none."""
    relay = site.relay_of(domain)
    own = BOUNCING.get(relay.provider, "") if relay else ""
    theirs = any(unreal(site, them.address) for them in site.test.recipients)
    return own or (NOBODY if theirs else "")


def _to(site: Site, domain: Domain, them: Recipient) -> Iterator[Letter]:
    """The plain message by 587 is the one that is answered."""
    sender, lands = domain.mailboxes[0].address, them.address if them.imap else ""
    answered = sender if them.imap and them.submission else ""
    yield Letter(0, Route.OUTBOUND, domain.name, sender, them.address, lands, answered)
    for form, port in product(Form, PORTS) if whole(site, them) else ():
        author, login = _author(site, domain, form)
        recipient = them.smtputf8 or "" if form is Form.SMTPUTF8 else them.address
        if author and recipient and (form, port) != (Form.PLAIN, SUBMISSION):
            yield Letter(0, Route.OUTBOUND, domain.name, author, recipient, lands, form=form, port=port, login=login)


def _author(site: Site, domain: Domain, form: Form) -> tuple[str, str]:
    """Who a message of this form is from, and who submits it where that is another; nothing where there is none."""
    box = domain.mailboxes[0].address
    if form is Form.SUB_ADDRESS:
        return tagged(box), box
    if form is Form.ALIAS:
        return next(((alias, reader) for alias, reader in readers(site, domain)), ("", ""))
    return box, ""


def tagged(address: str) -> str:
    """A sub-address of a mailbox (RFC 5233)."""
    local, _, domain = address.rpartition("@")
    return f"{local}+{TAG}@{domain}"


def readers(site: Site, domain: Domain) -> list[tuple[str, str]]:
    """Each alias of a domain that a mailbox of the site reads, with that mailbox."""
    named = [(alias, [t for t in targets if t in site.mailboxes]) for alias, targets in domain.aliases.items()]
    return [(alias, boxes[0]) for alias, boxes in named if boxes]


def inbound(site: Site, stranger: Recipient, run: str) -> Iterator[Letter]:
    """What comes from outside: to mailboxes and aliases, to a sub-address, to an address that nobody has."""
    for domain, address, box in named(site)[:INSIDE]:
        yield Letter(0, Route.INBOUND, domain.name, stranger.address, address, box)
    for domain in [d for d in site.domains if d.mailboxes][:1]:
        box = domain.mailboxes[0].address
        yield Letter(0, Route.INBOUND, domain.name, stranger.address, tagged(box), box)
    for domain in [d for d in site.domains if d.catch_all]:
        made_up = f"probe-{run.lower()}@{domain.name}"
        # Where it leads away, the domain's owner keeps a copy.
        yield Letter(0, Route.CATCH_ALL, domain.name, stranger.address, made_up, addresses.owner(site, domain))


def named(site: Site) -> Sequence[tuple[Domain, str, str]]:
    """Each address that somebody has, with the mailbox its mail is read in: a first mailbox of each domain first."""
    boxes = [[(domain, m.address, m.address) for m in domain.mailboxes] for domain in site.domains]
    aliases = [
        (domain, alias, box)
        for domain in site.domains
        for alias, box in readers(site, domain)
        if alias not in site.forwards
    ]
    return [*(b for own in boxes for b in own[:1]), *(b for own in boxes for b in own[1:]), *aliases]
