"""Writes out what this mailcow knows, and puts it back; what its mailboxes received goes when they are put back."""

from __future__ import annotations

import base64
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from mailcow.behind import VMAIL, Services
from mailcow.store import FIRST_DAY, Row, Store

DATA = Path("/var/lib/mailcow")
Known = dict[str, list[Row]]


def dump(store: Store) -> Known:
    """Every table but the keys to the API."""
    return {table: store.rows(f"SELECT * FROM {table}") for table in FIRST_DAY}  # noqa: S608 - a constant


def restore(store: Store, services: Services, known: Known) -> None:
    """Writes it anew; nothing known is the first day."""
    store.clear()
    with store.open() as db:
        for table, rows in known.items():
            for row in rows:
                db.insert(table, row)
    services.sign(store.rows("SELECT domain, selector, private FROM dkim"))
    (services.data / "script.json").write_text('{"script": []}')
    for maildir in VMAIL.iterdir():
        shutil.rmtree(maildir, ignore_errors=True)


def main(action: str, given: str = "") -> Any:
    """`dump`, or `restore` with what was dumped in base64."""
    store, services = Store(DATA / "mailcow.db"), Services(DATA)
    if action == "dump":
        return json.dump(dump(store), sys.stdout)
    text = base64.b64decode(given)
    return restore(store, services, json.loads(text) if text else {})


if __name__ == "__main__":
    main(*sys.argv[1:])
