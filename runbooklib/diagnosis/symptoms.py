"""How causes show in evidence: each function gives what was seen, in the field's words, or nothing."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runbooklib.diagnosis.certificate_symptoms import misdated
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Match, Sign

REQUIRED = {"changedetector", "dovecot", "opendkim", "postfix", "rsyslog"}  # where there is one of that name
ABSENT = "absent"  # another cause than a service that stopped
LISTENERS = (25, 143, 465, 587, 993)
MIB = 2**20  # octets
MESSAGE = 10_240_000  # octets, postconf(5) message_size_limit where nothing is set
FEW_INODES = 100  # a message takes one or two
FULL, FILLING, AMPLE = 100, 85, 20 * 2**30  # percent, and octets with which a disk is far from full at any percentage
LOCAL = re.compile(r"\[(?:private)?/")  # a socket, by which LMTP reaches Dovecot
INODES = " (inodes)"
SKEW = 30.0  # seconds; TSIG allows 300, people notice a minute
SHORT_OF_MEMORY = 50  # MiB

FEW = 3  # queue ids that are named
FLOOD = 300  # messages of one sender that wait; a newsletter of a small site may make a hundred
LISTED = r"blocked using|listed (?:at|in|on|by) |\b(?:dnsbl|rbl|blocklist|blacklist|spamhaus|spamcop)\b"


def services_down(evidence: Evidence) -> Iterator[str]:
    for name, state in sorted((evidence["services"] or {}).items()):
        if name in REQUIRED and state not in {"RUNNING", ABSENT}:
            yield f"{name} is {state}"


def not_listening(evidence: Evidence) -> Iterator[Sign]:
    ports = evidence["listeners"]
    for port in sorted(set(evidence.site.get("ports", LISTENERS)) - set(ports)) if ports is not None else ():
        yield Sign(f"nothing listens on {port}", str(port))


def disk_full(evidence: Evidence) -> Iterator[str]:
    """What is free is less than Postfix must see to take a message, or than a message needs."""
    needed = _needed(evidence)
    for mount, told in sorted((evidence["disk"] or {}).items()):
        if mount.endswith(INODES) and told["free"] < FEW_INODES:
            yield f"{mount.removesuffix(INODES)} has {told['free']} inodes left"
        elif not mount.endswith(INODES) and told.get("free", needed) < needed:
            yield f"{mount} has {told['free'] / MIB:.1f} MiB left, and mail needs {needed / MIB:.1f}"
        elif "free" not in told and told["percent"] >= FULL:
            yield f"{mount} is {told['percent']} % full"


def _needed(evidence: Evidence) -> float:
    """The octets without which smtpd answers 452 4.3.1: postconf(5) queue_minfree, message_size_limit."""
    told = evidence["postfix"] or {}
    return max(1.5 * int(told.get("message_size_limit") or MESSAGE), int(told.get("queue_minfree") or 0))


def disk_filling(evidence: Evidence) -> Iterator[str]:
    for mount, told in sorted((evidence["disk"] or {}).items()):
        ample = not mount.endswith(INODES) and told.get("free", 0) >= AMPLE
        if told["percent"] >= FILLING and not ample:
            yield f"{mount} is {told['percent']} % full"


def memory_low(evidence: Evidence) -> Iterator[str]:
    memory = evidence["memory"]
    if memory and memory["available"] < SHORT_OF_MEMORY:
        yield f"{memory['available']} of {memory['total']} MiB available"


def clock_skew(evidence: Evidence) -> Iterator[Sign]:
    """About the clock, and about the ports whose certificate only one of both clocks refuses."""
    skew = evidence["clock"]
    if skew is not None and abs(skew) > SKEW:
        said = f"the server's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the one here"
        yield Sign(said, " ".join(["clock", *misdated(evidence, skew)]))


def resolver_broken(evidence: Evidence) -> Iterator[str]:
    said = evidence["resolver"]
    if said is not None and said != "NOERROR":
        yield f"asked for the root's name servers, the server's resolver said {said}"


def logged(pattern: str) -> Callable[[Evidence], Iterator[str]]:
    """A line of the recent mail log."""

    def match(evidence: Evidence) -> Iterator[str]:
        lines = (evidence["log"] or {}).get("lines", [])
        yield from [line for line in lines if re.search(pattern, line)][-1:]

    return match


def resting(evidence: Evidence) -> Iterator[str]:
    """A port says nothing, and the log has what should speak there die as it began."""
    states = {port: seen["state"] for port, seen in evidence.under("port")}
    unshown = {port for port in ("465", "587") if (fact := evidence.facts.get(f"tls {port}")) and fact.unseen}
    if "silent" in states.values() or any(states.get(port, "open") == "open" for port in unshown):
        yield from logged(r"smtpd: fatal: ")(evidence)


def other_hostname(evidence: Evidence) -> Iterator[Sign]:
    name, wanted = (evidence["postfix"] or {}).get("myhostname", ""), evidence.site["hostname"]
    if name and name.lower() != wanted and not list(domain_as_hostname(evidence)):
        yield Sign(f"Postfix calls itself {name}, params say {wanted}", "hostname")


def domain_as_hostname(evidence: Evidence) -> Iterator[Sign]:
    local = re.split(r"[\s,]+", (evidence["postfix"] or {}).get("mydestination", "").lower())
    for domain in evidence.domains:
        if domain["name"] in local:
            yield Sign(f"mydestination holds the mail domain {domain['name']}", "hostname")


def waiting(pattern: str, but: str = "") -> Match:
    """Messages that wait in the queue now for such a reason; `but` is left to other rules."""
    return _groups("queue", "deferred", pattern, but)


def bounced(pattern: str, but: str = "") -> Callable[[Evidence], Iterator[Sign]]:
    """Messages that such an answer recently bounced, where none got through since."""
    return _groups("log", "bounced", pattern, but)


def rejected(pattern: str, but: str = "") -> Callable[[Evidence], Iterator[Sign]]:
    """Messages that our own server or a milter of it recently refused, and has not taken since."""
    return _groups("log", "rejected", pattern, but)


def untried(evidence: Evidence) -> Iterator[str]:
    """What gives no reason why it waits; while something is tried again it gives none either, but the log knows one."""
    told, groups = evidence["queue"] or {}, (evidence["log"] or {}).get("groups", [])
    answered = {queue_id for group in groups for queue_id in group.get("ids", [])}
    left = [queue_id for queue_id in told.get("untried", []) if queue_id not in answered]
    if left:
        waits = f"{told['count']} messages wait, the oldest for {told['oldest']} s"
        yield f"{waits}; nobody answered for {', '.join(left[:FEW])}{' and others' if len(left) > FEW else ''}"


def flooded(evidence: Evidence) -> Iterator[Sign]:
    """Most of a large queue; what comes back to forged senders has none, and fills it as well."""
    told = evidence["queue"] or {}
    for sender, count in (told.get("senders") or {}).items():
        if count >= FLOOD and count * 2 > told["read"]:
            part = "" if told["read"] == told["count"] else f" of the {told['read']} that were read"
            said = f"{told['count']} messages wait, {count}{part} from {sender or 'the null sender (bounces)'}"
            yield Sign(said, sender.rpartition("@")[2])


def forwarded(pattern: str) -> Match:
    """Mail of strangers that passed through here, and was not taken for such a reason."""
    wanted = re.compile(pattern, re.IGNORECASE)

    def match(evidence: Evidence) -> Iterator[Sign]:
        own = {"", *(domain["name"] for domain in evidence.domains)}
        groups = [g for fact in ("queue", "log") for g in (evidence[fact] or {}).get("groups", [])]
        for group in groups:
            strange = group["senders"] and not own & set(group["senders"]) and group["status"] != "rejected"
            if strange and wanted.search(group["said"]) and not LOCAL.search(group["relay"]):
                yield from (Sign(f"{group['count']} × {group['said']}", about) for about in _ways(evidence, group))

    return match


def listed(evidence: Evidence) -> Iterator[str]:
    for name, seen in evidence.under("blocklist"):
        if seen["codes"]:
            yield f"{seen['address']} is on {seen['list']} ({name}: {', '.join(seen['codes'])})"


def listed_and_minded(evidence: Evidence) -> Iterator[str]:
    """Whoever receives from the server itself sees its address; behind relays only they do, where they ask a list."""
    direct = any(not domain["next_hop"] for domain in evidence.domains)
    answers = (a["said"] for _, seen in evidence.under("relay") for a in seen.get("answers", {}).values())
    heard = any(re.search(LISTED, said, re.IGNORECASE) for said in answers)
    if direct or heard or [*waiting(LISTED)(evidence), *bounced(LISTED)(evidence)]:
        yield from listed(evidence)


def _groups(fact: str, status: str, pattern: str, but: str) -> Callable[[Evidence], Iterator[Sign]]:
    wanted, others = re.compile(pattern, re.IGNORECASE), re.compile(but or r"(?!)", re.IGNORECASE)

    def match(evidence: Evidence) -> Iterator[Sign]:
        for group in (evidence[fact] or {}).get("groups", []):
            said = group["said"]
            if group["status"] == status and wanted.search(said) and not others.search(said):
                yield from (Sign(f"{group['count']} × {said}", about) for about in _ways(evidence, group))

    return match


def _ways(evidence: Evidence, group: Mapping[str, Any]) -> list[str]:
    """The relays by which such mail leaves; of what goes to our own mailboxes their domains."""
    if LOCAL.search(group["relay"]):
        return list(group["recipients"])
    if group["status"] == "rejected":
        own = {domain["name"] for domain in evidence.domains}
        return [name for name in group["recipients"] if name in own] or [""]
    relays = {domain["name"]: domain.get("relay", "") for domain in evidence.domains}
    host = group["relay"].partition("[")[0]
    by_hop = {d.get("relay", "") for d in evidence.domains if host and f"[{host}]:" in d["next_hop"]}
    return sorted({relays[name] for name in group["senders"] if name in relays} or by_hop) or [""]
