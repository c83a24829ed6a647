"""How the keys a server signs with, those that DNS holds and the policy that rests on both show in evidence."""

# ruff: noqa: D103 - a symptom's name is its sentence; the rule that names it says what it means

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runbooklib.diagnosis import damage
from runbooklib.diagnosis.evidence import Evidence
from runbooklib.diagnosis.rules import Sign

LABEL = "._domainkey."


@dataclass(frozen=True)
class Used:
    """The key that signs a domain's mail now, and what DNS says at its name."""

    domain: str
    name: str
    public: str  # base64; empty where it is not known
    published: list[str] | None  # None: not seen


def used(evidence: Evidence) -> Iterator[Used]:
    """The keys in use: those the running signer has, or, where it was not seen, those that are stored."""
    signer = evidence["signer"]
    held: Mapping[str, str] = evidence["keys"] or {}
    if signer is None:
        names = {name: key.public if (key := damage.read(text)) else "" for name, text in held.items()}
    else:
        names = {name: signer["keys"].get(name, {}).get("live", "") for name in _signing(signer)}
    for name, public in names.items():
        yield Used(_domain(name), name, public, _published(evidence, name))


def _signing(signer: Mapping[str, Any]) -> Iterator[str]:
    for domain, rows in signer["signs"].items():
        if rows["live"]:
            yield f"{rows['live']}{LABEL}{domain}"


def _domain(name: str) -> str:
    return name.partition(LABEL)[2]


def _published(evidence: Evidence, name: str) -> list[str] | None:
    asked: list[str] | None = evidence[f"dkim {name}"]
    return asked if asked is not None else ((evidence["signer"] or {}).get("published") or {}).get(name)


def dkim_missing(evidence: Evidence) -> Iterator[Sign]:
    """Of the keys of params and of their relays."""
    for name, found in evidence.under("dkim"):
        if not found:
            yield Sign(f"{name} has no TXT record", _domain(name))


def dkim_misplaced(evidence: Evidence) -> Iterator[Sign]:
    for domain, strays in evidence.under("strays"):
        for place, texts in strays.items():
            lacking = [name for name, found in evidence.under("dkim") if not found and _domain(name) == domain]
            if lacking and any(damage.read(text) for text in texts):
                yield Sign(f"{lacking[0]} has no TXT record, a key stands at {place}", domain)


def dkim_broken(evidence: Evidence) -> Iterator[Sign]:
    for key in used(evidence):
        said = damage.damage(key.published or (), key.public) if key.public else ""
        if said:
            yield Sign(f"{key.name}: {said}", key.domain)


def dkim_wrong_key(evidence: Evidence) -> Iterator[Sign]:
    for key in used(evidence):
        if key.published and key.public and not _known(key):
            yield Sign(
                f"{key.name} holds {_shown(key.published)}, the server signs with {_short(key.public)}", key.domain
            )


def _known(key: Used) -> bool:
    texts = key.published or []
    return damage.good(texts, key.public) or bool(damage.damage(texts, key.public))


def _shown(published: list[str]) -> str:
    if len(published) > 1:
        return f"{len(published)} records"
    key = damage.read(published[0])
    if key is None:
        return "nothing that is a key"
    return _short(key.public) if key.public and not key.unusable else f"no key that counts ({key.unusable})"


def _short(public: str) -> str:
    """What tells one key from another: all of a kind and size begin and end alike (RFC 5280 4.1.2.7, RFC 8017 A.1)."""
    return f"the key …{public[44:60] or public[:16]}…"


def dkim_wrong_selector(evidence: Evidence) -> Iterator[Sign]:
    for domain, rows in ((evidence["signer"] or {}).get("signs") or {}).items():
        name = f"{rows['live']}{LABEL}{domain}"
        if rows["live"] and rows["live"] != rows["wanted"] and _published(evidence, name) == []:
            yield Sign(f"mail of {domain} is signed with s={rows['live']}, and {name} has no TXT record", domain)


def dkim_not_live(evidence: Evidence) -> Iterator[Sign]:
    """What is stored is what DNS has, and the running signer has something else."""
    signer = evidence["signer"] or {"signs": {}}
    if signer.get("stale"):
        yield Sign("the signer started before its tables were last written")
    for key, stored in _replaced(evidence):
        if stored and damage.good(key.published or (), stored) and not damage.good(key.published or (), key.public):
            yield Sign(f"{key.name}: DNS and the server's disk hold {_short(stored)}, the signer another", key.domain)


def dkim_next_key(evidence: Evidence) -> Iterator[Sign]:
    """What is stored is not what signs, and DNS has what signs: it breaks with the next container."""
    for key, stored in _replaced(evidence):
        if stored and damage.good(key.published or (), key.public):
            yield Sign(
                f"{key.name}: a new container will sign with {_short(stored)}, DNS has what signs now", key.domain
            )


def _replaced(evidence: Evidence) -> Iterator[tuple[Used, str]]:
    """Keys of which another is stored than signs."""
    held = (evidence["signer"] or {"keys": {}})["keys"]
    for key in used(evidence):
        stored = held.get(key.name, {}).get("stored", "")
        if key.public and stored != key.public:
            yield key, stored


def unsigned(evidence: Evidence) -> Iterator[Sign]:
    for domain, rows in ((evidence["signer"] or {}).get("signs") or {}).items():
        if not rows["live"]:
            yield Sign(f"no row of the signer's table is for {domain}", domain)


def sent_unsigned(evidence: Evidence) -> Iterator[Sign]:
    """By the log of whoever signs, where it has one."""
    for domain, last in _sent(evidence):
        if last["heard"] and not last["selectors"]:
            yield Sign(f"what a user of {domain} sent at {last['time']} left without its signature", domain)


def sent_otherwise(evidence: Evidence) -> Iterator[Sign]:
    """Signed under a name of which no key stands in DNS."""
    for domain, last in _sent(evidence):
        for selector in last["selectors"]:
            if last["published"].get(selector) == []:
                name = f"{selector}{LABEL}{domain}"
                yield Sign(f"mail sent at {last['time']} is signed with s={selector}; {name} has no TXT record", domain)


def _sent(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((evidence["log"] or {}).get("sent") or {}).items()


def unreadable(evidence: Evidence) -> Iterator[Sign]:
    signer = evidence["signer"] or {"signs": {}, "keys": {}}
    for name in _signing(signer):
        if why := signer["keys"].get(name, {}).get("closed"):
            yield Sign(f"{name}: {why}", _domain(name))
