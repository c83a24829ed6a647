"""Which way Postfix's own tables send each domain's mail, and whether it logs in there as params say."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from runbooklib.params import Site
from runbooklib.probes.mailflow import UnseenError
from runbooklib.servers.effective import Effective
from runbooklib.servers.nexthops import DIRECT, NULL, POSTMASTER


def told(site: Site, have: Effective) -> dict[str, dict[str, Any]]:
    """For each domain, and <> for mail without a sender: next hop, own line, TLS at once, and the login as a word.

    Raises UnseenError where no Postfix answered.
    """
    if not have.transport:  # it always has a default one
        raise UnseenError("no Postfix answers")
    ways = {domain.name: _way(have, f"@{domain.name}", _digest(site, domain.name)) for domain in site.domains}
    return {**ways, NULL: _way(have, NULL, "")}


def hops(ways: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Of that only the next hop of each domain, as every mail server can tell it."""
    return {domain: way["hop"] for domain, way in ways.items() if domain != NULL}


def _way(have: Effective, sender: str, wanted: str) -> dict[str, Any]:
    hop = have.way(sender)
    return {
        "hop": "" if hop in {DIRECT, POSTMASTER} else hop,
        "line": sender in have.senders,
        "implicit": have.implicit(sender),
        "login": _login(have.login(sender, hop), wanted),
    }


def _login(held: str, wanted: str) -> str:
    """Digests compared, since neither login may be told: the same, another, or none; empty where none is wanted."""
    if not wanted:
        return ""
    return "none" if not held else "same" if held == wanted else "another"


def _digest(site: Site, domain: str) -> str:
    """The login params name for a domain, as `servers.effective` has the server digest its own."""
    relay = site.relay_of(site.domain(domain))
    if relay is None or relay.password is None:
        return ""
    return hashlib.sha256(f"{relay.username}:{relay.password.reveal()}".encode()).hexdigest()
