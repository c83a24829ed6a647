"""Who sent a report: whoever can write to its mailbox could move a policy, were the sender not proved."""

from __future__ import annotations

from collections.abc import Sequence

from runbooklib import eml
from runbooklib.authres import Method
from runbooklib.dmarc import registered
from runbooklib.eml import Eml

DOMAINS = {"dkim": ("header.d", "header.i"), "spf": ("smtp.mailfrom", "smtp.helo")}


def doubt(mail: Eml, host: str) -> str:
    """What `host` says of a sender that it could not prove; empty where it could, or wrote down nothing of it.

    Reports have to pass DMARC (RFC 7489 7.2.1.1), those on TLS to be signed (RFC 8460 5.3). Only what our own server
    wrote counts (RFC 8601 5).
    """
    told = eml.trusted(mail, eml.border(mail, (host,)), (host,))
    if not any(m.name in {"dmarc", "dkim"} for m in told) or _proved(mail.author, told):
        return ""
    said = ", ".join(dict.fromkeys(f"{m.name}={m.result}" for m in told if m.name in {"dmarc", *DOMAINS}))
    return f"{mail.author or 'no one author'}: {said}"


def _proved(author: str, told: Sequence[Method]) -> bool:
    """DMARC's own word; where it says nothing, SPF or DKIM in relaxed alignment (RFC 9989 4.4)."""
    dmarc = [m.result for m in told if m.name == "dmarc" and m.result != "none"]
    if dmarc:
        return "pass" in dmarc
    passed = [m.domain(*DOMAINS[m.name]) for m in told if m.name in DOMAINS and m.result == "pass"]
    return bool(author) and registered(author) in {registered(domain) for domain in passed if domain}
