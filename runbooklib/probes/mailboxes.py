"""What becomes of mail for each mailbox: whose it really is, and whether there is room for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runbooklib.probes.mailflow import UnseenError

NEXT = "-- the next table --"
# Tables are asked in turn, and each first for the whole address, then for its domain (virtual(5)).
ALIASES = rf"""keys=$(awk '!/^#/ && /@/ {{ print $1; sub(/.*@/, "@", $1); print $1 }}' /etc/postfix/vmailbox | sort -u)
postconf -hx virtual_alias_maps | awk '{{
  for (at = 1; at <= length($0); at++) {{
    one = substr($0, at, 1); depth += (one == "{{") - (one == "}}")
    printf "%s", depth == 0 && one ~ /[ ,\t]/ ? "\n" : one
  }}
  print ""
}}' | grep . | while read -r table; do
  printf '%s\n' "$keys" | timeout 4 postmap -q - "$table"; echo '{NEXT}'
done"""
MAILBOXES = "awk '!/^#/ && /@/ { print $1 }' /etc/postfix/vmailbox"
QUOTAS = "timeout 4 doveadm -f tab quota get -A"
TYPE, VALUE, LIMIT = 2, 3, 4  # columns of what doveadm prints
NO_QUOTA = re.compile(r"unknown command", re.IGNORECASE)  # the plug-in is not loaded
ROUNDS = 10  # of aliases of aliases; Postfix allows a thousand (virtual_alias_recursion_limit)


def diverted(mailboxes: Iterable[str], told: str) -> dict[str, dict[str, Any]]:
    """The mailboxes whose mail goes to others only: to whom, and by which line of the alias tables."""
    tables = [dict(_pairs(part)) for part in told.split(NEXT)]
    found = {}
    for mailbox in mailboxes:
        line = _line(mailbox, tables)
        targets = _expanded(mailbox, tables)
        if line and mailbox not in targets:
            found[mailbox] = {"to": sorted(targets), "by": line}
    return found


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    return ((key.strip(), value.strip()) for key, tab, value in (ln.partition("\t") for ln in text.splitlines()) if tab)


def _line(address: str, tables: Sequence[Mapping[str, str]]) -> str:
    """The key that answers for an address; empty where it stays what it is."""
    keys = (address, f"@{address.rpartition('@')[2]}")
    return next((key for key in keys for table in tables if key in table), "")


def _expanded(address: str, tables: Sequence[Mapping[str, str]]) -> set[str]:
    """Where mail for an address ends."""
    targets = {address}
    for _ in range(ROUNDS):
        further = {target for known in targets for target in _once(known, tables)}
        if further == targets:
            break
        targets = further
    return targets


def _once(address: str, tables: Sequence[Mapping[str, str]]) -> list[str]:
    line = _line(address, tables)
    value = next((table[line] for table in tables if line in table), address)
    return re.split(r"[,\s]+", value)


def quotas(mailboxes: Iterable[str], told: str, *, ok: bool) -> dict[str, dict[str, int]]:
    """KiB used and allowed of each mailbox that has a limit, from `doveadm -f tab quota get -A`."""
    if not ok and NO_QUOTA.search(told):
        return {}
    rows = [line.split("\t") for line in told.splitlines()]
    if not ok or not rows or rows[0][0] != "Username":
        raise UnseenError(f"doveadm: {told.strip()[:200] or 'no answer'}")
    known, used = set(mailboxes), [row for row in rows[1:] if len(row) > LIMIT and row[TYPE] == "STORAGE"]
    return {
        row[0]: {"used": int(row[VALUE]), "limit": int(row[LIMIT])}
        for row in used
        if row[0] in known and row[LIMIT].isdigit()
    }
