"""What port 25 answers to recipients of every kind: each is only named, and nothing is sent."""

from __future__ import annotations

import secrets
import smtplib
from collections.abc import Iterable, Iterator, Mapping

from runbooklib import endpoint
from runbooklib.params import Site
from runbooklib.results import Check, judged
from runbooklib.servers import addresses

POSTSCREEN_SECONDS = 20.0  # it greets a new client after 6 s
STRANGER = "somebody@relay-probe.invalid"  # RFC 6761 6.4: no such domain, so nobody is written to
MAILBOX, ALIAS, MADE_UP, REFUSED, OPEN_RELAY = (
    f"server.rcpt.{kind}" for kind in ("mailbox", "alias", "made-up", "refused", "open-relay")
)


def asked(site: Site) -> list[tuple[str, str, str]]:
    """(name of the check, address, start of the expected answer) for every address worth asking about."""
    made_up = f"runbook-{secrets.token_hex(6)}"
    found = [(MAILBOX, address, "250") for address in site.mailboxes]
    found += [(ALIAS, a, "250") for a in addresses.aliases(site) if not a.startswith("@")]
    for domain in site.domains:
        known = "250" if domain.catch_all else "550 5.1.1"
        found.append((MADE_UP, f"{made_up}@{domain.name}", known))
        found += [(REFUSED, address, "550 5.1.1") for address in domain.refuse]
    return [*found, (OPEN_RELAY, STRANGER, "5")]


def replies(client: smtplib.SMTP, recipients: Iterable[str]) -> dict[str, str]:
    """The answer to each, from the null sender: nothing can bounce, no sender policy applies (RFC 5321 4.5.5)."""
    client.mail("")
    return {address: endpoint.reply(*client.rcpt(address)) for address in recipients}


def judge(
    questions: Iterable[tuple[str, str, str]], given: Mapping[str, str], fixes: Mapping[str, str], usual: str
) -> Iterator[Check]:
    """A row for each answer; `fixes` by the name of the check, `usual` for the others."""
    for name, address, wanted in questions:
        ok, fix = given[address].startswith(wanted), fixes.get(name, usual)
        yield judged(f"{name} {address}", ok, f"{wanted}…", given[address], fix, "RFC 5321 4.2.3, RFC 3463")
