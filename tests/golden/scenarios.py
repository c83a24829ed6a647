"""The golden set: scenarios of known truth, read from the YAML files beside this one.

A scenario is a world of name servers (world.yaml), a base in it that is in order, and a few lines that make it special;
what a file says beside its scenarios holds for all of them:

    name, why        what it is, and the sentence that makes the truth true
    base             which base of world.yaml; a file may name one for all its scenarios
    zone             lines for the base's zone; they replace what it has at their owners and types, -owner and
                     -owner TYPE take away
    spf, dmarc, dkim the TXT record at the domain, at its _dmarc and at its first selector; null: none; a list: several
    zones            lines for other zones, by apex; one that is new needs SOA and NS only where they matter
    reverse          address → name or names of its PTR records; null: none
    servers          what one server or resolver says instead: its name → apex → lines
    holders          apex → the servers that hold it
    outages          `server` or `server name` → how it fails: a word of answers.Word, or truncated
    secure           apexes that validate
    resolvers        who is asked; authoritative: servers asked before them
    policy           what the MTA-STS host serves
    subject, machine fields of audit.Subject and audit.Machine over the base's; null leaves that audit out
    truth            id of audit.CATALOGUE → what the worst of its rows may be: pass, warn, fail, unknown, bad (warn
                     or fail), unused (pass, or no row), any, several with | between them; `id + id` is the worst of
                     both, which are then free by themselves; a pattern speaks for ids that are not named; no id
                     beside these may fail
    green            no row of the whole audit fails, warns or blocks

In lines {rsa2048} is a public key of keys.yaml, {rsa2048.head} and {rsa2048.tail} its parts, {40*text} text repeated.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from golden import worlds

from runbooklib import audit
from runbooklib.zone import Literal

FILES = [path for path in sorted(Path(__file__).parent.glob("*.yaml")) if path.stem not in {"world", "keys"}]
WORDS = {
    **{word: frozenset({word}) for word in ("pass", "warn", "fail", "unknown")},
    "bad": frozenset({"warn", "fail"}),
    "unused": frozenset({"pass", ""}),
    "any": frozenset({"pass", "warn", "fail", "unknown", ""}),
}
WORLDLY = {"zone", "spf", "dmarc", "dkim", "zones", "reverse", "servers", "holders", "outages", "secure"}
ASKED = {"resolvers", "authoritative", "policy", "subject", "machine"}
KEYS = {"name", "why", "base", "truth", "green"} | WORLDLY | ASKED


@dataclass(frozen=True)
class Truth:
    """What the worst row of these ids, or of ids like these, may say; "" stands for no row."""

    ids: tuple[str, ...]
    allowed: frozenset[str]

    @property
    def pattern(self) -> bool:
        return self.ids[0].endswith("*")


@dataclass(frozen=True)
class Scenario:
    """One world, whom to audit in it, and what is true of them."""

    name: str
    why: str
    file: str
    wire: Literal
    resolvers: tuple[str, ...]
    authoritative: tuple[str, ...]
    policy: str | None
    subject: audit.Subject | None
    machine: audit.Machine | None
    truth: tuple[Truth, ...]
    green: bool

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"

    async def fetch(self, domain: str) -> str:
        """What the MTA-STS host of the subject serves."""
        del domain
        return self.policy or ""


@cache
def every() -> tuple[Scenario, ...]:
    """All scenarios; raises ValueError where one is not well formed."""
    read = tuple(scenario for path in FILES for scenario in _file(path))
    names = [scenario.name for scenario in read]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two scenarios of one name: {sorted(twice)}")
    return read


def _file(path: Path) -> Iterator[Scenario]:
    content = worlds.read(path)
    shared = {key: said for key, said in content.items() if key != "scenarios"}
    for given in content["scenarios"]:
        try:
            yield scenario(path.stem, shared | given)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: {given.get('name')}: {error!r}") from error


def scenario(file: str, given: dict[str, Any]) -> Scenario:
    """One scenario as a file gives it; raises KeyError, TypeError or ValueError where it is not well formed."""
    if unknown := set(given) - KEYS:
        raise ValueError(f"no such keys: {sorted(unknown)}")
    base = worlds.base(given["base"])
    subject, machine = _over(base.subject, given, "subject"), _over(base.machine, given, "machine")
    return Scenario(
        given["name"],
        given["why"],
        file,
        worlds.build(base, given),
        worlds.addresses(given.get("resolvers", "resolver")),
        worlds.addresses(given.get("authoritative", [])),
        given.get("policy"),
        audit.Subject(**subject) if subject else None,
        audit.Machine(**machine) if machine else None,
        tuple(Truth(_ids(key), _allowed(said)) for key, said in given["truth"].items()),
        given.get("green", False),
    )


def _over(base: Mapping[str, Any], given: Mapping[str, Any], key: str) -> dict[str, Any]:
    if given.get(key, ()) is None:
        return {}
    merged = {**base, **given.get(key, {})}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in merged.items()}


def _ids(key: str) -> tuple[str, ...]:
    ids = tuple(part.strip() for part in key.split("+"))
    if unknown := [id_ for id_ in ids if not fnmatch.filter(audit.CATALOGUE, id_)]:
        raise ValueError(f"no such check: {unknown}")
    return ids


def _allowed(said: str) -> frozenset[str]:
    return frozenset[str]().union(*(WORDS[word.strip()] for word in said.split("|")))
