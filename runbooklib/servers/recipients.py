"""What port 25 answers to recipients of every kind: each is only named, and nothing is sent."""

from __future__ import annotations

import secrets
import smtplib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from runbooklib import endpoint
from runbooklib.params import Site
from runbooklib.results import Check, Status, judged
from runbooklib.servers import addresses

POSTSCREEN_SECONDS = 20.0  # it greets a new client after 6 s
STRANGER = "somebody@relay-probe.invalid"  # RFC 6761 6.4: no such domain, so nobody is written to
MAILBOX, ALIAS, MADE_UP, REFUSED, OPEN_RELAY = (
    f"server.rcpt.{kind}" for kind in ("mailbox", "alias", "made-up", "refused", "open-relay")
)


LATER = "the server puts us off, which says nothing of the address: ask again later"
TAKEN, UNKNOWN, DENIED = ("250",), ("550 5.1.1",), ("5",)  # how an answer should begin


Question = tuple[str, str, tuple[str, ...]]


def asked(site: Site, denied: tuple[str, ...] = DENIED) -> list[Question]:
    """(name of the check, address, starts of the expected answer) for every address worth asking about."""
    made_up = f"runbook-{secrets.token_hex(6)}"
    found: list[Question] = [(MAILBOX, address, TAKEN) for address in site.mailboxes]
    found += [(ALIAS, a, TAKEN) for a in addresses.aliases(site) if not a.startswith("@")]
    for domain in site.domains:
        known = TAKEN if domain.catch_all else UNKNOWN
        found.append((MADE_UP, f"{made_up}@{domain.name}", known))
        found += [(REFUSED, address, UNKNOWN) for address in domain.refuse]
    return [*found, (OPEN_RELAY, STRANGER, denied)]


def replies(client: smtplib.SMTP, recipients: Iterable[str]) -> dict[str, str]:
    """The answer to each, from the null sender: nothing can bounce, no sender policy applies (RFC 5321 4.5.5)."""
    client.mail("")
    return {address: endpoint.reply(*client.rcpt(address)) for address in recipients}


def judge(
    questions: Iterable[Question], given: Mapping[str, str], fixes: Mapping[str, str], usual: str
) -> Iterator[Check]:
    """A row for each answer; `fixes` by the name of the check, `usual` for the others."""
    for name, address, wanted in questions:
        answer, fix = given[address], fixes.get(name, usual)
        expected = " or ".join(f"{start}…" for start in wanted)
        row = judged(f"{name} {address}", answer.startswith(wanted), expected, answer, fix, "RFC 5321 4.2.3, RFC 3463")
        put_off = row.status is Status.FAIL and answer.startswith("4")
        yield replace(row, status=Status.UNKNOWN, fix=LATER) if put_off else row
