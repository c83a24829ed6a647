"""Worlds of name servers out of a few lines: zones laid over zones, delegated, and given to servers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import dns.reversename
import yaml

from runbooklib.answers import Word
from runbooklib.zone import Literal

HERE = Path(__file__).parent
START = {
    "SOA": "ns.provider.example. hostmaster.provider.example. 1 7200 3600 1209600 3600",
    "NS": "ns.provider.example.",
}
LINE = re.compile(r"(?P<owner>\S+)\s+(?P<ttl>\d+\s+)?(?P<type>[A-Z0-9]+)\s+(?P<rdata>.+)")
INSERT = re.compile(r"(?<!%)\{(?:(?P<times>\d+)\*(?P<text>[^{}]*)|(?P<key>[a-z]\w+)(?:\.(?P<half>head|tail))?)\}")
QUOTED = re.compile(r'"((?:\\.|[^"\\])*)"')
LONGEST = 255  # octets of one string (RFC 1035 3.3)
HALF = 200  # characters of a key's head

Zone = dict[tuple[str, str], tuple[str, ...]]  # rdata by owner and type, both as zone files write them


@dataclass(frozen=True)
class Base:
    """A world that is in order, and the subject and machine in it."""

    apex: str  # of the zone that scenarios change
    zones: Mapping[str, Zone]
    holders: Mapping[str, Any]
    subject: Mapping[str, Any]
    machine: Mapping[str, Any]

    @property
    def owner(self) -> str:
        """The subject's domain within its zone."""
        return _relative(self.subject["domain"], self.apex)


@cache
def base(name: str) -> Base:
    """One of world.yaml; it may build on another."""
    given = _world()["bases"][name]
    if "like" not in given:
        zones = {apex: _laid({}, lines) for apex, lines in _world()["zones"].items()}
        below = Base(given["zone_of"], zones, _world()["holders"], {}, {})
    else:
        below = base(given["like"])
    return Base(
        given.get("zone_of", below.apex),
        _overlaid(below.zones, given.get("zones", {}) | _reverse(given.get("reverse", {}))),
        {**below.holders, **given.get("holders", {})},
        _beside(below.subject, given.get("subject", {})),
        _beside(below.machine, given.get("machine", {})),
    )


def build(base: Base, given: Mapping[str, Any]) -> Literal:
    """The world of one scenario."""
    own = "\n".join([given.get("zone", ""), *_records(base, given)])
    zones = _overlaid(base.zones, {base.apex: own})
    zones = _overlaid(zones, given.get("zones", {}))
    zones = _delegated(_overlaid(zones, _reverse(given.get("reverse", {}))))
    servers: dict[str, dict[str, str]] = {}
    holders = {**base.holders, **given.get("holders", {})}
    for apex, held in zones.items():
        for address in addresses(holders.get(apex, "provider")):
            servers.setdefault(address, {})[apex] = _text(held)
    for name, changed in given.get("servers", {}).items():
        for address in addresses(name):
            own_texts = {apex: _text(_laid(zones.get(apex, {}), lines)) for apex, lines in changed.items()}
            servers.setdefault(address, {}).update(own_texts)
    return Literal(
        servers,
        resolvers=frozenset(_world()["resolvers"].values()),
        outages={at: word for key, said in given.get("outages", {}).items() for at, word in _outages(key, said)},
        secure=frozenset(given.get("secure", ())),
    )


def addresses(names: str | list[str]) -> tuple[str, ...]:
    """The addresses of servers and resolvers that world.yaml names."""
    known = {**_world()["servers"], **{name: [at] for name, at in _world()["resolvers"].items()}}
    return tuple(a for name in ([names] if isinstance(names, str) else names) for a in known.get(name, [name]))


def read(path: Path) -> dict[str, Any]:
    """A YAML file, by the fast reader where there is one."""
    return dict(yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506 - both are safe


def inserted(text: str) -> str:
    """The text with its {keys} and {3*repetitions} in place."""
    return INSERT.sub(_insert, text)


def _insert(found: re.Match[str]) -> str:
    if found["times"]:
        return found["text"] * int(found["times"])
    key: str = _keys()[found["key"]]
    return {"head": key[:HALF], "tail": key[HALF:], None: key}[found["half"]]


@cache
def _world() -> dict[str, Any]:
    return read(HERE / "world.yaml")


@cache
def _keys() -> dict[str, str]:
    return {name: key.replace("\n", "") for name, key in read(HERE / "keys.yaml").items()}


def _beside(below: Mapping[str, Any], given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {} if given is None else {**below, **given}


def _records(base: Base, given: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a scenario's spf, dmarc and dkim values."""
    suffix = "" if base.owner == "@" else f".{base.owner}"
    selector = next(iter(base.subject.get("selectors", ())), "mail")
    owners = {"spf": base.owner, "dmarc": f"_dmarc{suffix}", "dkim": f"{selector}._domainkey{suffix}"}
    for key, owner in owners.items():
        if key not in given:
            continue
        values = given[key] if isinstance(given[key], list) else [given[key]]
        yield from (f"{owner} TXT {_quoted(v)}" if v is not None else f"-{owner} TXT" for v in values)


def _quoted(value: str) -> str:
    escaped = inserted(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _overlaid(zones: Mapping[str, Zone], changes: Mapping[str, str]) -> dict[str, Zone]:
    return {**zones, **{apex: _laid(zones.get(apex, {}), lines) for apex, lines in changes.items()}}


def _laid(below: Zone, lines: str) -> Zone:
    """A zone with these lines in place of what it had at their owners and types; -owner and -owner TYPE take away."""
    said: Zone = {}
    gone: set[tuple[str, str]] = set()
    for line in filter(None, map(str.strip, lines.splitlines())):
        if line.startswith("-"):
            owner, _, kind = line[1:].partition(" ")
            gone |= {at for at in below if at[0] == owner and kind.strip() in {"", at[1]}}
            continue
        found = LINE.fullmatch(line)
        if not found:
            raise ValueError(f"no record: {line!r}")
        at = (found["owner"].lower(), found["type"])
        rdata = (found["ttl"] or "3600 ") + found["type"] + " " + _split(inserted(found["rdata"]))
        said[at] = (*said.get(at, ()), rdata)
    left = {at: rdata for at, rdata in below.items() if at not in gone}
    start = {("@", kind): (f"3600 {kind} {rdata}",) for kind, rdata in START.items()}
    return {**start, **left, **said}


def _split(rdata: str) -> str:
    """Long strings cut as panels cut them."""
    return QUOTED.sub(lambda q: " ".join(f'"{part}"' for part in _cut(q[1])), rdata)


def _cut(text: str) -> list[str]:
    return [text[i : i + LONGEST] for i in range(0, len(text), LONGEST)] if len(text) > LONGEST else [text]


def _text(held: Zone) -> str:
    return "\n".join(f"{owner} {rdata}" for (owner, _), rdatas in held.items() for rdata in rdatas)


def _delegated(zones: dict[str, Zone]) -> dict[str, Zone]:
    """Each zone's nameservers, with glue, at its parent, unless that says something else."""
    made = dict(zones)
    for apex, held in zones.items():
        parent = next((p for p in _above(apex) if p in zones), None)
        if parent is None or (_relative(apex, parent), "NS") in zones[parent]:
            continue
        made[parent] = {**made[parent], **_delegation(apex, held, parent)}
    return made


def _delegation(apex: str, held: Zone, parent: str) -> Zone:
    targets = [_absolute(rdata.split()[-1], apex) for rdata in held["@", "NS"]]
    cut: Zone = {(_relative(apex, parent), "NS"): tuple(f"3600 NS {target}." for target in targets)}
    inside = [target for target in targets if target.endswith(f".{apex}")]
    for target, kind in ((t, k) for t in inside for k in ("A", "AAAA")):
        if rdatas := held.get((_relative(target, apex), kind)):
            cut[_relative(target, parent), kind] = rdatas
    return cut


def _above(name: str) -> Iterator[str]:
    while "." in name:
        _, _, name = name.partition(".")
        yield name


def _relative(name: str, apex: str) -> str:
    return "@" if name == apex else name.removesuffix(f".{apex}")


def _absolute(name: str, apex: str) -> str:
    if name.endswith("."):
        return name[:-1]
    return apex if name == "@" else f"{name}.{apex}"


def _reverse(names: Mapping[str, Any]) -> dict[str, str]:
    """Lines for the reverse zones: address → its name or names, or none."""
    changes: dict[str, list[str]] = {}
    for address, said in names.items():
        full = dns.reversename.from_address(address).to_text(omit_final_dot=True)
        apex = next(a for a in _above(full) if a in _world()["zones"])
        owner = _relative(full, apex)
        targets = [said] if isinstance(said, str) else said or []
        changes.setdefault(apex, []).extend([f"-{owner}", *(f"{owner} PTR {target}." for target in targets)])
    return {apex: "\n".join(lines) for apex, lines in changes.items()}


def _outages(key: str, said: str) -> Iterator[tuple[tuple[str, str], Word | str]]:
    """`server` or `server name`, and how it fails there."""
    server, _, name = key.partition(" ")
    word: Word | str = Word[said] if said in Word.__members__ else said
    if word is said and said != "truncated":
        raise ValueError(f"no outage: {said}")
    return (((address, name or "*"), word) for address in addresses(server))
