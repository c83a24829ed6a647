"""Whether mail from mailcow's webmail takes the relay too, by the newest such message in Postfix's log.

SOGo hands its mail to a door of its own, port 588 inside mailcow's network, whose lines bear the name postfix/sogo.
Nobody outside can use that door, so a person has to send the message.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from runbooklib import maillog, servers
from runbooklib.maillog import Departure
from runbooklib.params import MAILCOW, Domain, Relay, Site
from runbooklib.results import Check, RunbookError, Status, passed

DOOR = "postfix/sogo/smtpd"
SEND = "send one message from webmail to somebody elsewhere, then run 05 again"


def rows(site: Site) -> tuple[Check, ...]:
    """A row for each domain, where the server has a webmail."""
    if site.mail.server != MAILCOW:
        return ()
    try:
        gone = maillog.departures(maillog.parse(servers.of(site).log()))
    except RunbookError as error:
        said = f"the log could not be read: {error}"
        return tuple(_unseen(site, d, said, getattr(error, "fix", "")) for d in _users(site))
    return tuple(judge(site, domain, gone) for domain in _users(site))


def _users(site: Site) -> Iterator[Domain]:
    return (domain for domain in site.domains if domain.mailboxes)


def judge(site: Site, domain: Domain, gone: Sequence[Departure]) -> Check:
    """The newest one that left, in a log that goes in time.

    One that left otherwise is wrong only if the domain's mail took the relay before it: else nobody knows whether the
    relay was set then.
    """
    ours = [d for d in gone if d.sender.rpartition("@")[2] == domain.name]
    relay, webmail = site.relay_of(domain), [i for i, d in enumerate(ours) if d.door == DOOR]
    if not webmail:
        return _unseen(site, domain, "no message from webmail in what mailcow still has of its log", SEND)
    newest = ours[webmail[-1]]
    said = f"{newest.attempt.time}: {newest.attempt.status} by {newest.attempt.relay}: {newest.attempt.said}"
    if took(newest, site, relay):
        return _taken(site, domain, newest, said)
    if not any(took(before, site, relay) for before in ours[: webmail[-1]]):
        return _unseen(site, domain, f"{said}; perhaps before the relay was set", SEND)
    fix = "run stage 02, and see in 06 which transport this sender has: a mailbox may have one of its own"
    return Check(_name(domain), Status.FAIL, _expected(site, domain), said, fix)


def took(departure: Departure, site: Site, relay: Relay | None) -> bool:
    """Whether it went, or tried to go, to that relay; of a direct domain, to none."""
    tried = departure.attempt
    where = tried.said.lower() if tried.relay == "none" else tried.relay.lower()
    if relay:
        return f"{relay.host}[" in where
    return not any(f"{other.host}[" in where for other in site.relays.values())


def _taken(site: Site, domain: Domain, newest: Departure, said: str) -> Check:
    if newest.attempt.status == "sent":
        return passed(_name(domain), _expected(site, domain), said)
    fix = "it took its way; the answer says why it was not accepted there"
    return Check(_name(domain), Status.WARN, _expected(site, domain), said, fix)


def _unseen(site: Site, domain: Domain, said: str, fix: str) -> Check:
    return Check(_name(domain), Status.UNKNOWN, _expected(site, domain), said, fix, advisory=True)


def _name(domain: Domain) -> str:
    return f"send.webmail {domain.name}"


def _expected(site: Site, domain: Domain) -> str:
    relay = site.relay_of(domain)
    return f"mail from webmail leaves by {relay.host if relay else 'the recipient’s MX'}"
