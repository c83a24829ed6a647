"""How it shows that our own server refuses: mail from outside, mail of its users, logins and addresses."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Sign

UNKNOWN = re.compile(r"\b5\.1\.1\b|User unknown", re.IGNORECASE)
RELAYING = re.compile(r"Relay access denied", re.IGNORECASE)


def _takes(evidence: Evidence) -> set[str]:
    """The addresses for which params say that mail is taken."""
    return {address.lower() for domain in evidence.domains for address in domain.get("takes", ())}


def _refused(evidence: Evidence, pattern: re.Pattern[str]) -> Iterator[Mapping[str, Any]]:
    for group in (evidence["log"] or {}).get("groups", []):
        if group["status"] == "rejected" and pattern.search(group["said"]):
            yield group


def own_domain(evidence: Evidence) -> Iterator[Sign]:
    """A domain of the site for which the server says that it is none."""
    own = {domain["name"] for domain in evidence.domains}
    for group in _refused(evidence, RELAYING):
        for address in group.get("addresses", []):
            name = address.rpartition("@")[2]
            local = address.rpartition("@")[0].strip('"')
            if name in own and not re.search(r"[%!@]", local):  # those ask it to pass mail on (RFC 5321 3.6.1)
                yield Sign(f"mail for {address} was refused: Relay access denied", name)


def own_mailbox(evidence: Evidence) -> Iterator[Sign]:
    takes = _takes(evidence)
    for group in _refused(evidence, UNKNOWN):
        for address in group.get("addresses", []):
            if address in takes:
                yield Sign(f"mail for {address} was refused: the mailbox is unknown", address)


def own_sender(evidence: Evidence) -> Iterator[Sign]:
    """Somebody who sent as one of the site's domains to others, and had not logged in."""
    own = {domain["name"] for domain in evidence.domains}
    for group in _refused(evidence, RELAYING):
        for name in sorted(own & set(group["senders"])):
            yield Sign(f"{group['count']} × {group['said']}", name)


def login(evidence: Evidence) -> Iterator[Sign]:
    for told in (evidence["log"] or {}).get("logins", []):
        places = ", ".join(told["clients"])
        yield Sign(f"{told['user']} was refused {told['count']} times, from {places}: {told['said']}", told["user"])


def banned(evidence: Evidence) -> Iterator[Sign]:
    for jail, addresses in sorted((evidence["bans"] or {}).items()):
        yield from (Sign(f"{jail} bans {address}", address) for address in addresses if not _inner(evidence, address))


def banned_gateway(evidence: Evidence) -> Iterator[Sign]:
    """An address behind which many stand, or the server itself."""
    for jail, addresses in sorted((evidence["bans"] or {}).items()):
        yield from (Sign(f"{jail} bans {address}", address) for address in addresses if _inner(evidence, address))


def _inner(evidence: Evidence, address: str) -> bool:
    try:
        private = ipaddress.ip_address(address).is_private
    except ValueError:
        return False
    return address in {evidence.site["ipv4"], evidence.site["ipv6"]} or (private and address.startswith("172."))
