"""OpenDKIM's two tables: which key signs for whom (opendkim.conf(5): KeyTable and, as refile, SigningTable)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

KEYS = "/etc/opendkim/keys"  # where the signer has its own copy of them
ANYBODY = "anybody-without-a-row-of-their-own"  # a local part that only a row for the whole domain matches


@dataclass(frozen=True)
class Tables:
    """The texts of KeyTable and SigningTable."""

    keys: str = ""
    rows: str = ""

    def signer(self, domain: str) -> str:
        """The selector that signs a domain's mail: the first row that matches decides, later ones are ignored."""
        name = next((name for pattern, name in _pairs(self.rows) if _matches(pattern, domain)), "")
        given = dict(_pairs(self.keys)).get(name, "")
        of, _, rest = given.partition(":")
        return rest.partition(":")[0] if of == domain else ""

    def with_key(self, domain: str, selector: str) -> Tables:
        """With the rows that `setup config dkim` appends where they are missing."""
        name = _name(domain, selector)
        keys = _with(self.keys, f"{name} {domain}:{selector}:{KEYS}/{domain}/{selector}.private")
        return Tables(keys, _with(self.rows, f"*@{domain} {name}"))

    def signed_by(self, domain: str, selector: str) -> Tables:
        """With this key's row as the first and only one for the domain."""
        full = self.with_key(domain, selector)
        if full.signer(domain) == selector and _patterns(full.rows).count(f"*@{domain}") == 1:
            return full
        lines = full.rows.splitlines()
        first = next(i for i, line in enumerate(lines) if _matches("".join(line.split()[:1]), domain))
        ours = f"*@{domain} {_name(domain, selector)}"
        kept = [(i, line) for i, line in enumerate(lines) if line.split()[:1] != [f"*@{domain}"]]
        before, after = [line for i, line in kept if i < first], [line for i, line in kept if i >= first]
        return replace(full, rows=_text([*before, ours, *after]))

    def without(self, domain: str, selector: str) -> Tables:
        """With no row that uses this key."""
        name = _name(domain, selector)
        keys = [line for line in self.keys.splitlines() if line.split()[:1] != [name]]
        rows = [line for line in self.rows.splitlines() if line.split()[1:2] != [name]]
        return Tables(_text(keys), _text(rows))


def _name(domain: str, selector: str) -> str:
    return f"{selector}._domainkey.{domain}"


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    for line in table.splitlines():
        words = line.split(None, 1)
        if len(words) == len(("key", "value")) and not words[0].startswith("#"):
            yield words[0], words[1].strip()


def _patterns(rows: str) -> list[str]:
    return [pattern for pattern, _ in _pairs(rows)]


def _matches(pattern: str, domain: str) -> bool:
    """Whether a row is for everybody of a domain; the only wildcard is an asterisk."""
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, f"{ANYBODY}@{domain}", re.IGNORECASE) is not None


def _with(table: str, row: str) -> str:
    lines = table.splitlines()
    return table if row in lines else _text([*lines, row])


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
