"""Random zones full of SPF records, mostly valid, and clients to be judged by them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

DOMAINS = [f"d{i}.example" for i in range(8)]
HOSTS = [f"h{i}.example" for i in range(5)] + ["mx.d0.example", "h9.example"]
FOUR = [f"192.0.2.{i}" for i in range(8)]
SIX = [f"2001:db8::{i}" for i in range(4)]
MACROS = ["%{d}", "%{o}.x.example", "%{ir}.l.example", "%{l}.x.example", "%{l1r-}.x.example", "%{h}", "%{v}.x.example"]
MACROS += ["%{d2}", "%{i}.l.example", "%{p}", "%{S}.x.example", "%{o1r}.x.example", "%%.x.example", "%{d-}"]
BROKEN = ["a:", "ip4:192.0.2", "ip4:192.0.2.1/33", "a/33", "inclde:d0.example", "ip6:x", "all:x", "a:%{x}", "ptr/24"]
BROKEN += ["exists", "redirect=", "mx//129", "include:example", "a:d0.example,", "exp=%{c}.example", "192.0.2.1"]


@dataclass(frozen=True)
class Case:
    """A zone, and who sends."""

    zone: dict[str, list[Any]]
    ip: str
    sender: str
    helo: str


def case(seed: int) -> Case:
    """The same case for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - repeatable, not secret
    zone: dict[str, list[Any]] = {d: domain(dice) for d in DOMAINS if dice.random() < 0.95}
    zone |= {h: host(dice) for h in HOSTS[:-1]}
    for name in ("d0.example.x.example", "a.b.x.example", "in-addr.x.example", "b.x.example", "a-b.x.example"):
        zone |= {name: [{"A": "127.0.0.2"}]} if dice.random() < 0.4 else {}
    ip = dice.choice(FOUR * 3 + SIX + ["::ffff:192.0.2.1"])
    four = ip.rpartition(":")[2]
    if "." in four:
        reverse = ".".join(reversed(four.split("."))) + ".in-addr.arpa"
        zone |= {f"{four}.l.example": [{"A": "127.0.0.2"}]} if dice.random() < 0.3 else {}
        zone |= {reverse: pointers(dice)} if dice.random() < 0.7 else {}
    senders = ["a@d0.example"] * 6 + ["", "d1.example", "a-b@d2.example", "@d3.example", "a b@d0.example", "x@nodots"]
    return Case(zone, ip, dice.choice(senders), dice.choice(["d0.example", "h1.example", "helo", "d4.example"]))


def pointers(dice: random.Random) -> list[Any]:
    """What stands at an address's reverse name."""
    return (
        ["TIMEOUT"] if dice.random() < 0.05 else [{"PTR": n} for n in dice.sample(HOSTS + DOMAINS, dice.randint(1, 4))]
    )


def host(dice: random.Random) -> list[Any]:
    """Addresses of one host."""
    if dice.random() < 0.03:
        return ["TIMEOUT"]
    four = [{"A": ip} for ip in dice.sample(FOUR, dice.randint(0, 3))]
    return four + [{"AAAA": ip} for ip in dice.sample(SIX, dice.randint(0, 2))]


def domain(dice: random.Random) -> list[Any]:
    """A mail domain: addresses, MX, and an SPF record, sometimes none or two."""
    if dice.random() < 0.02:
        return ["TIMEOUT"]
    found: list[Any] = host(dice)
    found += [{"MX": [10 * i, h]} for i, h in enumerate(dice.sample(HOSTS, dice.choice([0, 1, 1, 2, 3])))]
    found += [{"TXT": "some other text"}] if dice.random() < 0.2 else []
    found += [{"TXT": record(dice)} for _ in range(dice.choices([0, 1, 2], [2, 97, 1])[0])]
    return found


def record(dice: random.Random) -> str:
    """An SPF record."""
    terms = [term(dice) for _ in range(dice.choice([0, 1, 1, 2, 2, 3, 3, 4, 6, 12]))]
    terms += [dice.choice(BROKEN)] if dice.random() < 0.05 else []
    terms += [dice.choice(["-all", "~all", "?all", "all", "-ALL"])] if dice.random() < 0.7 else []
    terms += [f"redirect={named(dice)}"] if dice.random() < 0.15 else []
    terms += [f"exp={named(dice)}"] if dice.random() < 0.1 else []
    terms += ["x-new=%{d}"] if dice.random() < 0.02 else []
    if dice.random() < 0.1:
        dice.shuffle(terms)
    return dice.choice([" ", " ", " ", "  "]).join(["v=spf1", *terms])


def term(dice: random.Random) -> str:
    """A mechanism."""
    name = dice.choice(["ip4", "ip4", "ip4", "ip6", "a", "a", "mx", "mx", "include", "include", "exists", "ptr"])
    mark = dice.choice(["", "", "", "", "-", "~", "?", "+"])
    if name == "ip4":
        return f"{mark}ip4:{dice.choice(FOUR)}{dice.choice(['', '', '/32', '/30', '/24', '/0'])}"
    if name == "ip6":
        return f"{mark}ip6:{dice.choice(SIX)}{dice.choice(['', '/127', '/32'])}"
    if name in {"include", "exists"}:
        return f"{mark}{name}:{named(dice)}"
    target = f":{named(dice)}" if dice.random() < 0.6 else ""
    prefix = dice.choice(["", "", "", "/30", "//127", "/24//64"]) if name != "ptr" else ""
    return f"{mark}{name}{target}{prefix}"


def named(dice: random.Random) -> str:
    """A domain-spec."""
    return dice.choice(DOMAINS * 4 + HOSTS + ["missing.example", "D0.Example."] + MACROS)
