"""How the causes of mailcow's own trouble show in what its API tells."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from runbooklib.diagnosis import symptoms
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match

PORT = re.compile(r"^\[?[^\]]+\]?:\d+$")
BRACKETED = re.compile(r"^\[[^\]]+\]")
RELEASE = re.compile(r"^(20\d\d-\d\d)")
ALIAS_DOMAINS_LOG_IN = "2019-03"  # the first release that looks up their login


def api(state: str) -> Match:
    """What the API did with our key."""

    def match(evidence: Evidence) -> Iterator[str]:
        told = evidence["api"]
        if told and told["state"] == state:
            yield told["said"]

    return match


def containers_down(evidence: Evidence) -> Iterator[str]:
    for name, state in sorted((evidence["containers"] or {}).items()):
        if state != "running":
            yield f"{name} is {state}"


def _transports(evidence: Evidence) -> list[dict[str, Any]]:
    return evidence["transports"] or []


def _named(row: dict[str, Any]) -> str:
    return f"transport {row['id']}, {row['hop']}"


def hanging(evidence: Evidence) -> Iterator[str]:
    yield from (f"{_named(row)}, begins with TLS" for row in _transports(evidence) if row["hangs"])


def escaped(evidence: Evidence) -> Iterator[str]:
    for row in _transports(evidence):
        if row["escaped"]:
            yield f"{_named(row)}: a backslash stands before each colon of the password it stores"
        elif ":" in row["username"]:
            yield f"{_named(row)}: its user name has a colon, where Postfix ends it"


def login_differs(evidence: Evidence) -> Iterator[str]:
    for row in _transports(evidence):
        if row["fits"] is False and not row["escaped"]:
            yield f"{_named(row)}: stores another login than params name"


def crossed(evidence: Evidence) -> Iterator[str]:
    for sender, way in sorted((evidence["ways"] or {}).items()):
        if way["crossed"]:
            yield f"{sender} goes to {way['hop']} with the login of its domain's relay"


def inactive(evidence: Evidence) -> Iterator[str]:
    for domain, told in sorted((evidence["domains"] or {}).items()):
        if told["dangles"]:
            yield f"{domain} names transport {told['relayhost']}, which is not there or not active: it leaves directly"


def without_port(evidence: Evidence) -> Iterator[str]:
    for row in _transports(evidence):
        if not PORT.search(row["hop"]):
            yield f"{_named(row)}: no port, so Postfix takes 25"
        elif not BRACKETED.search(row["hop"]):
            yield f"{_named(row)}: no brackets, so Postfix looks up the MX of the relay's name first"


def _foreign(evidence: Evidence) -> list[dict[str, str]]:
    return evidence["foreign"] or []


def sent_by_users(evidence: Evidence) -> Iterator[str]:
    for row in _foreign(evidence):
        if row["login"]:
            yield f"{row['login']} wrote as {row['sender']}: {row['status']} by {row['relay']}"


def passed_on(evidence: Evidence) -> Iterator[str]:
    for row in _foreign(evidence):
        if not row["login"]:
            yield f"mail of {row['sender']} was sent on: {row['status']} by {row['relay']}"


def relayed_domain(evidence: Evidence) -> Iterator[str]:
    for domain, told in sorted((evidence["domains"] or {}).items()):
        if told["relayed"]:
            yield f"{domain} is a domain that mailcow relays"


def missing_domain(evidence: Evidence) -> Iterator[str]:
    known = evidence["domains"]
    for domain in evidence.domains if known is not None else []:
        if domain["name"] not in known:
            yield f"mailcow has no domain {domain['name']}"


def overruled(evidence: Evidence) -> Iterator[str]:
    for destination, hop in sorted((evidence["overruling"] or {}).items()):
        yield f"whatever goes to {destination} goes to {hop}"


def watchdog(evidence: Evidence) -> Iterator[str]:
    told = evidence["watchdog"]
    if told and told["email"] and not told["webhook"] and told["port 25"] != "open":
        yield f"it writes to {told['email']} by itself, and port 25 is {told['port 25']} from the server"


def alias_inactive(evidence: Evidence) -> Iterator[str]:
    for address, told in sorted((evidence["aliases"] or {}).items()):
        if not told["active"]:
            yield f"{address} is not active"


def alias_may_not_send(evidence: Evidence) -> Iterator[str]:
    for address, told in sorted((evidence["aliases"] or {}).items()):
        if told["active"] and not told["sender"] and not address.startswith("@"):
            yield f"{address} has sender_allowed 0"


def sender_not_owned(evidence: Evidence) -> Iterator[str]:
    """A refusal in the log; where its address is an alias that may not send, that is the cause and says so itself."""
    barred = {a for a, told in (evidence["aliases"] or {}).items() if not told["sender"]}
    for line in symptoms.logged(r"Sender address rejected: not owned by user")(evidence):
        if not any(f"<{address}>" in line for address in barred):
            yield line


def too_old(evidence: Evidence) -> Iterator[str]:
    """Only releases of then lack it; a version that does not say its year is not judged."""
    released = RELEASE.match((evidence["api"] or {}).get("version", ""))
    if released and released[1] < ALIAS_DOMAINS_LOG_IN and evidence["alias domains"]:
        yield f"mailcow {evidence['api']['version']} with alias domains {', '.join(evidence['alias domains'])}"
