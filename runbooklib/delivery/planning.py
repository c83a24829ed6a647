"""The test messages a site's params make possible."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

from runbooklib.delivery import doors, drafts, questions
from runbooklib.delivery.allowance import uses
from runbooklib.delivery.messages import SUBMISSION, SUBMISSIONS, Letter, Letters, numbered
from runbooklib.params import Recipient, Site
from runbooklib.results import Check, Status


def run_id() -> str:
    """The run we belong to, or a name of our own: UTC time and four random digits."""
    own = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    return os.environ.get("RUNBOOK_RUN") or own


def plan(site: Site, run: str = "") -> Letters:
    """What stage 05 would send for each domain; sends nothing."""
    run = run or run_id()
    letters = tuple(map(numbered, _letters(site, run)))
    counted = tuple((use.relay, f"{use}: {use.fix}" if use.excessive else str(use)) for use in uses(site, letters))
    marker, missing, asked = f"{run}-{site.name}", tuple(_missing(site)), questions.plan(site)
    return Letters(run, marker, letters, missing, asked, counted, tuple(_untested(site)))


def _letters(site: Site, run: str) -> Iterator[Letter]:
    for domain in site.domains:
        yield from drafts.outbound(site, domain)
    if stranger := _stranger(site):
        yield from drafts.inbound(site, stranger, run)
    for domain in site.domains:
        yield from doors.drafts(site, domain, run)


def _untested(site: Site) -> Iterator[str]:
    """What is left out on purpose."""
    for them in site.test.recipients:
        if not drafts.whole(site, them):
            few = f"{them.address} gets one message a domain and run, by {SUBMISSION}"
            yield f"{few}; at {SUBMISSIONS} a login is tried; test.matrix: true sends every form by each port"
    if not any(them.smtputf8 for them in site.test.recipients):
        yield "addresses outside ASCII (RFC 6531): no recipient has one; name it as smtputf8"
    for alias in (a for a in site.forwards if not a.startswith("@")):
        yield f"{alias} leads out of this site: what is sent there is somebody else's mail"
    if len(site.domains) > questions.EACH:
        yield f"as whom a mailbox may send is asked in {questions.EACH} domains for each kind of address"
    if over := drafts.named(site)[drafts.INSIDE :]:
        yield f"{len(over)} more mailboxes and aliases from outside: {drafts.INSIDE} a run are enough of one login"


def _stranger(site: Site) -> Recipient | None:
    return next((r for r in site.test.recipients if r.submission), None)


def _missing(site: Site) -> Iterator[Check]:
    """An advisory row for each thing that params do not let us see."""

    def unseen(name: str, expected: str, observed: str, fix: str) -> Check:
        return Check(name, Status.UNKNOWN, expected, observed, fix, advisory=True)

    if not site.test.recipients:
        fix = "name one, with imap: to read what arrived"
        yield unseen("delivery.outbound", "a message to someone outside", "no test.recipients in params", fix)
    for them in site.test.recipients:
        if them.imap is None:
            observed = "no imap for this recipient"
            yield unseen(f"delivery.arrived {them.address}", "what arrived", observed, them.advice)
    if _stranger(site) is None:
        fix = "add a submission: login of an address elsewhere"
        yield unseen("delivery.inbound", "a message from outside", "no recipient has submission", fix)
    for domain in site.domains:
        if not domain.mailboxes and not drafts.readers(site, domain):
            fix = "give it a mailbox, or an alias that a mailbox of this site reads"
            said = "not tested: nobody here can log in for it, since it has no mailbox and no alias that is read here"
            yield unseen(f"delivery.outbound {domain.name}", "a message as this domain", said, fix)
        if domain.mailboxes and site.test.recipients and not drafts.bouncing(site, domain):
            name, expected = f"delivery.bounce {domain.name}", "a bounce comes back, or the provider tells of it"
            fix = "look into your relay's panel after a real one; test mail to addresses that may not exist harms you"
            yield unseen(name, expected, "not proved: no address is known that is there to bounce", fix)
    yield from doors.missing(site)
    yield from questions.missing(site)
