"""Postfix's lookup tables: which stand in a parameter, and what they answer, asked one after the other."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from runbooklib.host import Answer
from runbooklib.servers.effective import DIGESTED

# They hold rules instead of keys: Postfix asks them for the whole address only, never for @domain.
RULES = ("pcre:", "regexp:", "cidr:")
COMPLAINT = ("postmap: fatal:", "postmap: error:")


@dataclass(frozen=True)
class Lookup:
    """The tables of one parameter in their order, and what each knows of the keys it was asked for."""

    tables: tuple[str, ...] = ()
    answers: tuple[Mapping[str, str], ...] = ()
    unread: tuple[str, ...] = ()  # what postmap says of those it cannot open

    def find(self, key: str) -> str:
        """What Postfix finds: the first table that knows the key; empty for none."""
        return next((told[key] for _, told in self._asked(key) if key in told), "")

    def where(self, key: str) -> str:
        """The table that answers; empty for none."""
        return next((table for table, told in self._asked(key) if key in told), "")

    def whole(self, domain: str) -> dict[str, str]:
        """What is said of single addresses of a domain: Postfix asks for them before it asks for @domain anywhere."""
        found: dict[str, str] = {}
        for told in self.answers:
            own = {key: value for key, value in told.items() if key.lower().endswith(f"@{domain}") and key[0] != "@"}
            found = own | found
        return found

    def _asked(self, key: str) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The whole address is asked everywhere, a part of it only of tables with keys (mail_addr_find(3))."""
        for table, told in zip(self.tables, self.answers, strict=True):
            if not (key.startswith("@") and table.startswith(RULES)):
                yield table, told

    def without(self, ours: str) -> Lookup:
        """As if our table were not there."""
        kept = [(table, told) for table, told in zip(self.tables, self.answers, strict=True) if table != ours]
        return Lookup(tuple(t for t, _ in kept), tuple(a for _, a in kept), self.unread)


def split(value: str) -> tuple[str, ...]:
    """The tables a parameter names; inside of braces commas and blanks belong to the table."""
    found, depth = [""], 0
    for letter in value:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        if depth or letter not in ", \t\n":
            found[-1] += letter
        elif found[-1]:
            found.append("")
    return tuple(filter(None, found))


def in_front(standing: str | None, ours: str) -> str:
    """The parameter with our table before those that stand there, which go on as they are."""
    if standing and ours in split(standing):
        return standing
    return f"{ours}, {standing}" if standing else ours


def question(table: str, keys: Iterable[str], domains: Iterable[str] = (), *, sealed: bool = False) -> str:
    """The command that asks one table for all these keys at once, and for all addresses of `domains` that it lists.

    postmap runs as root and opens itself what Postfix opens through its proxy. `sealed` gives digests for values.
    """
    name = shlex.quote(table.removeprefix("proxy:"))
    listed = shlex.join(word for domain in domains for word in ("-e", f"@{domain}"))
    keys_too = f"postmap -s {name} 2>/dev/null | cut -f1 | grep -iF {listed}; " if listed else ""
    asked = f"{{ printf '%s\\n' {shlex.join(keys)}; {keys_too}}} | sort -u | postmap -q - {name}"
    return f"{asked} | {DIGESTED}" if sealed else asked


def lookup(tables: Sequence[str], answers: Iterable[Answer]) -> Lookup:
    """What the tables answered; postmap says nothing of a key it does not find."""
    texts = [answer.out.splitlines() for answer in answers]
    told = tuple(dict(_pairs(lines)) for lines in texts)
    unread = tuple(line.partition(": ")[2] for lines in texts for line in lines if line.startswith(COMPLAINT))
    return Lookup(tuple(tables), told, unread)


def _pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        key, tab, value = line.partition("\t")
        if tab and not key.startswith("postmap:"):
            yield key, value.strip()
