"""How trouble between the mail server and its relays shows: by a dialogue with each, Postfix's tables, and APIs."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Sign

Signs = Callable[[Evidence], Iterator[Sign]]  # a Match whose signs always say what they are about
IMPLICIT = {465, 2465}  # RFC 8314 7.3, and what providers made of it
PORT = re.compile(r":(\d+)$")
# A provider that has not looked, is looking, or missed something; other words say nothing we know.
WAITING = {"not_started", "pending", "partially_verified", "failed", "partially_failed", "temporary_failure"}
FREE = {"today": 100, "this month": 3000}  # Resend's free plan; only there the use of today is told
# What relays mean by a refusal; the codes differ from one to the other (450, 550, 554), the words much less.
WORDS = {
    # the recipient's own server, asked before the relay takes a recipient: nothing is wrong with the sender
    "recipient": r"\bsaid: [45]\d\d|callout|(undeliverable|unverified) address",
    "suppressed": r"suppress",
    "not owned": r"not owned by|sender verify failed|(sender|from) address .*(not match|mismatch|not allowed)"
    r"|api key is not authorized|not authorized to perform",
    "unverified": r"not (yet )?verified|verify your domain|not authorized",
    "limit": r"quota|limit|throttl|too (many|much)|exceeded",
    "no login": r"\b53[05]\b|authentication (is )?required",
}


def _meaning(said: str) -> str:
    """The first whose words match; other words say nothing we know."""
    return next((word for word, pattern in WORDS.items() if re.search(pattern, said, re.IGNORECASE)), "other")


def _relays(evidence: Evidence) -> Iterator[tuple[str, dict[str, Any]]]:
    return evidence.under("relay")


def state(word: str) -> Signs:
    """What became of the attempt to log in at a relay."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        for name, seen in _relays(evidence):
            if seen["state"] == word:
                yield Sign(f"{name}: {seen['said']}", name)

    return match


def _refusals(evidence: Evidence, meaning: str) -> Iterator[tuple[str, str, str]]:
    """Relay, sender and answer; mail without a sender is another matter."""
    for name, seen in _relays(evidence):
        for sender, answer in seen.get("answers", {}).items():
            if sender and answer["code"] >= 400 and _meaning(answer["said"]) == meaning:  # noqa: PLR2004 - RFC 5321 4.2.1
                yield name, sender, answer["said"]


def refused_as(meaning: str) -> Signs:
    """What a relay says to one of our senders, once it has let us in."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        for name, sender, said in _refusals(evidence, meaning):
            yield Sign(f"{name}: {said}", f"{name} {_domain(sender)}")

    return match


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def refused_otherwise(evidence: Evidence) -> Iterator[Sign]:
    """A refusal for good whose words are none we know; what is put off may pass by itself."""
    for name, seen in _relays(evidence):
        for sender, answer in seen.get("answers", {}).items():
            if sender and answer["code"] >= 500 and _meaning(answer["said"]) == "other":  # noqa: PLR2004 - RFC 5321 4.2.1
                yield Sign(f"{name}: {answer['said']}", f"{name} {_domain(sender)}")


def login_refused(evidence: Evidence) -> Iterator[Sign]:
    """The one that params name; where the server holds another, that one may be right."""
    held = _held(evidence)
    for sign in (*state("login")(evidence), *refused_as("no login")(evidence)):
        other = held.get(sign.about) == "another"
        yield Sign(f"{sign.said}{'; the server holds another one' * other}", sign.about)


def _held(evidence: Evidence) -> Mapping[str, str]:
    """For each relay whether the server holds the login that params name."""
    found = ((_relay(d), _sending(evidence).get(d["name"], {}).get("login", "")) for d in evidence.domains)
    return dict(found)


def unverified(evidence: Evidence) -> Iterator[Sign]:
    """The provider's own word, else what it says by SMTP; each domain once."""
    told = {domain: (name, said) for name, domain, said in _told_unverified(evidence)}
    for name, sender, said in _refusals(evidence, "unverified"):
        told.setdefault(_domain(sender), (name, f"{name}: {said}"))
    for domain, (name, said) in told.items():
        yield Sign(said, f"{name} {domain}")


def _told_unverified(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    for name, seen in evidence.under("provider"):
        for domain, told in seen.get("domains", {}).items():
            if told["status"] in WAITING and not told["trusted"]:
                lacking = "; ".join(told["missing"]) or "it names no record"
                yield name, domain, f"{name} calls {domain} {told['status']}: {lacking}"


def unknown_there(evidence: Evidence) -> Iterator[Sign]:
    for name, seen in evidence.under("provider"):
        for domain, told in seen.get("domains", {}).items():
            if told["status"] == "absent":
                yield Sign(f"{name} knows no {domain}", f"{name} {domain}")


def limited(evidence: Evidence) -> Iterator[Sign]:
    """By its answers to senders, or as its API counts."""
    told = {name: f"{name}: {said}" for name, _, said in _refusals(evidence, "limit")}
    for name, seen in evidence.under("provider"):
        used = seen.get("used", {})
        for period, limit in FREE.items() if "today" in used else ():
            if used.get(period, 0) >= limit:
                told.setdefault(name, f"{name}: {used[period]} messages {period} of {limit}")
    yield from (Sign(said, name) for name, said in told.items())


def suppressed(evidence: Evidence) -> Iterator[Sign]:
    for name, seen in evidence.under("provider"):
        for held in seen.get("suppressed", []):
            since = f", since {held['since']}" if held["since"] else ""
            yield Sign(f"{name} skips {held['address']} without a word ({held['origin']}{since})", name)
    yield from refused_as("suppressed")(evidence)


def key_refused(evidence: Evidence) -> Iterator[Sign]:
    for name, seen in evidence.under("provider"):
        if seen["state"] == "key":
            yield Sign(f"{name}: {seen['said']}", name)


def _sending(evidence: Evidence) -> Mapping[str, dict[str, Any]]:
    """For each domain, and <> for mail without a sender, what Postfix's own tables say."""
    return evidence["sending"] or {}


def _relay(domain: Mapping[str, Any]) -> str:
    return str(domain.get("relay", ""))


def _ways(evidence: Evidence) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
    """Each relayed domain, its way, and what a sign of it is about."""
    for domain in evidence.domains:
        way = _sending(evidence).get(domain["name"])
        if way and domain["next_hop"]:
            yield domain, way, f"{_relay(domain)} {domain['name']}".strip()


def routes_differ(evidence: Evidence) -> Iterator[Sign]:
    current = evidence["routes"]
    for domain in evidence.domains if current is not None else []:
        hop = current.get(domain["name"], "")
        if hop != domain["next_hop"]:
            said = f"{domain['name']} leaves by {hop or 'the recipient’s MX'}, not by {domain['next_hop'] or 'it'}"
            yield Sign(said, f"{_relay(domain)} {domain['name']}".strip())


def not_assigned(evidence: Evidence) -> Iterator[Sign]:
    for domain, way, about in _ways(evidence):
        if not way["line"] and way["hop"] != domain["next_hop"]:
            yield Sign(f"{domain['name']} has no line, and leaves by {way['hop'] or 'the recipient’s MX'}", about)


def tls_other_way(evidence: Evidence) -> Iterator[Sign]:
    """The relay itself, at a port where TLS begins another way than Postfix begins it there."""
    for domain, way, about in _ways(evidence):
        if _host(way["hop"]) == _host(domain["next_hop"]) and way["implicit"] != _begins(domain, way["hop"]):
            spoken = "with TLS at once" if way["implicit"] else "with STARTTLS"
            yield Sign(f"{domain['name']} leaves by {way['hop']} {spoken}", about)


def _host(hop: str) -> str:
    return PORT.sub("", hop)


def _begins(domain: Mapping[str, Any], hop: str) -> bool:
    """Whether TLS comes at once there: as params say of their port, as everybody has it on others."""
    port = PORT.search(hop)
    usual = bool(port and int(port[1]) in IMPLICIT)
    return bool(domain.get("implicit", usual)) if hop == domain["next_hop"] else usual


def login_held(word: str) -> Signs:
    """What Postfix finds for its next hop; where that is another than params name, its route is the matter."""

    def match(evidence: Evidence) -> Iterator[Sign]:
        for domain, way, about in _ways(evidence):
            if way["hop"] == domain["next_hop"] and way["login"] == word:
                yield Sign(f"{domain['name']}, next hop {way['hop']}", about)

    return match


def null_refused(evidence: Evidence) -> Iterator[Sign]:
    """The relay that mail without a sender leaves by refuses it, and answers otherwise to what has one.

    A relay that asks the recipient's server first answers for that server, in words that change from one question to
    the next, and puts off who comes before it knows: none of that is about the sender.
    """
    hop = _sending(evidence).get("<>", {}).get("hop", "")
    name = next((_relay(d) for d in evidence.domains if d["next_hop"] == hop), "")
    answers = (evidence[f"relay {name}"] or {}).get("answers", {})
    answer, others = answers.get(""), [told for sender, told in answers.items() if sender]
    heard = [told for told in others if not 400 <= told["code"] < 500]  # noqa: PLR2004 - RFC 5321 4.2.1
    alone = not others or any(told["said"] != answer["said"] for told in heard if answer)
    refused = answer and answer["code"] >= 500 and _meaning(answer["said"]) != "recipient"  # noqa: PLR2004 - the same
    if hop and refused and alone:
        yield Sign(f"{name}: {answer['said']}", name)
