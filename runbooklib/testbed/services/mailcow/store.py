"""What this mailcow knows, in SQLite: the tables that its API writes and that Postfix and Dovecot read live.

Tables and columns are named as mailcow's own, so that a query says the same in both; what it keeps in Redis (keys for
signing, rate limits, its log) has tables here too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Row = dict[str, Any]
SCHEMA = """
CREATE TABLE IF NOT EXISTS domain (
  domain TEXT PRIMARY KEY COLLATE NOCASE, description TEXT, aliases INTEGER, mailboxes INTEGER, defquota INTEGER,
  maxquota INTEGER, quota INTEGER, relayhost TEXT NOT NULL DEFAULT '0', backupmx INTEGER, gal INTEGER,
  relay_all_recipients INTEGER, relay_unknown_only INTEGER, active INTEGER, created TEXT, modified TEXT);
CREATE TABLE IF NOT EXISTS mailbox (
  username TEXT PRIMARY KEY COLLATE NOCASE, password TEXT, name TEXT, quota INTEGER, local_part TEXT,
  domain TEXT COLLATE NOCASE, attributes TEXT, authsource TEXT, active INTEGER, created TEXT, modified TEXT);
CREATE TABLE IF NOT EXISTS alias (
  id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT UNIQUE COLLATE NOCASE, goto TEXT COLLATE NOCASE,
  domain TEXT COLLATE NOCASE, public_comment TEXT, private_comment TEXT, internal INTEGER DEFAULT 0,
  sogo_visible INTEGER DEFAULT 1, sender_allowed INTEGER DEFAULT 1, active INTEGER DEFAULT 1, created TEXT,
  modified TEXT);
CREATE TABLE IF NOT EXISTS alias_domain (
  alias_domain TEXT PRIMARY KEY COLLATE NOCASE, target_domain TEXT COLLATE NOCASE, active INTEGER DEFAULT 1);
CREATE TABLE IF NOT EXISTS sender_acl (
  logged_in_as TEXT COLLATE NOCASE, send_as TEXT COLLATE NOCASE, external INTEGER DEFAULT 0);
CREATE TABLE IF NOT EXISTS relayhosts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, hostname TEXT, username TEXT, password TEXT, active INTEGER);
CREATE TABLE IF NOT EXISTS transports (
  id INTEGER PRIMARY KEY AUTOINCREMENT, is_mx_based INTEGER, destination TEXT COLLATE NOCASE, nexthop TEXT,
  username TEXT, password TEXT, active INTEGER);
CREATE TABLE IF NOT EXISTS tls_policy_override (
  id INTEGER PRIMARY KEY AUTOINCREMENT, dest TEXT UNIQUE COLLATE NOCASE, policy TEXT, parameters TEXT,
  active INTEGER, created TEXT, modified TEXT);
CREATE TABLE IF NOT EXISTS api (
  api_key TEXT PRIMARY KEY COLLATE NOCASE, access TEXT, allow_from TEXT, skip_ip_check INTEGER, active INTEGER);
CREATE TABLE IF NOT EXISTS dkim (
  domain TEXT PRIMARY KEY COLLATE NOCASE, selector TEXT, public TEXT, private TEXT);
CREATE TABLE IF NOT EXISTS ratelimit (object TEXT PRIMARY KEY COLLATE NOCASE, value TEXT, frame TEXT);
CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, line TEXT);
"""
FIRST_DAY: tuple[str, ...] = ("domain", "mailbox", "alias", "alias_domain", "sender_acl", "relayhosts", "transports")
FIRST_DAY += ("tls_policy_override", "dkim", "ratelimit", "log")


@dataclass(frozen=True)
class Store:
    """The database file."""

    path: Path

    def create(self) -> None:
        """Makes the tables; readers are never shut out by a writer (WAL)."""
        with self.open() as db:
            db.run("PRAGMA journal_mode = WAL")
            db.raw.executescript(SCHEMA)

    @contextmanager
    def open(self) -> Iterator[Database]:
        """A connection; each statement is its own transaction, as with PHP's PDO."""
        raw = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        raw.row_factory = sqlite3.Row
        try:
            raw.execute("PRAGMA synchronous = OFF")  # nobody needs this data after a power cut
            yield Database(raw)
        finally:
            raw.close()

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """What a query finds."""
        with self.open() as db:
            return db.rows(sql, *values)

    def run(self, sql: str, *values: Any) -> None:
        """One statement."""
        with self.open() as db:
            db.run(sql, *values)

    def insert_keys(self, keys: Mapping[str, str], allow_from: str) -> None:
        """Writes key → rw or ro anew, as the container does at its start."""
        with self.open() as db:
            db.run("DELETE FROM api")
            for key, access in keys.items():
                row = {"api_key": key, "access": access, "allow_from": allow_from, "skip_ip_check": 0, "active": 1}
                db.insert("api", row)

    def clear(self) -> None:
        """Forgets all but the keys."""
        with self.open() as db:
            for table in FIRST_DAY:
                db.run(f"DELETE FROM {table}")  # noqa: S608 - a constant
            db.run("DELETE FROM sqlite_sequence")


@dataclass(frozen=True)
class Database:
    """One connection."""

    raw: sqlite3.Connection

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return [dict(row) for row in self.raw.execute(sql, values)]

    def row(self, sql: str, *values: Any) -> Row | None:
        found = self.rows(sql, *values)
        return found[0] if found else None

    def value(self, sql: str, *values: Any) -> Any:
        found = self.raw.execute(sql, values).fetchone()
        return found[0] if found else None

    def run(self, sql: str, *values: Any) -> int:
        """The id of a row that was inserted."""
        return int(self.raw.execute(sql, values).lastrowid or 0)

    def insert(self, table: str, row: Mapping[str, Any]) -> int:
        marks = ", ".join("?" * len(row))
        return self.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())  # noqa: S608

    def update(self, table: str, key: str, identity: Any, news: Mapping[str, Any]) -> None:
        """Writes what differs; only then is the row modified (ON UPDATE CURRENT_TIMESTAMP)."""
        was = self.row(f"SELECT * FROM {table} WHERE {key} = ?", identity) or {}  # noqa: S608
        changed = {name: value for name, value in news.items() if was.get(name) != value}
        if changed and "modified" in was:
            changed["modified"] = now()
        if changed:
            names = ", ".join(f"{name} = ?" for name in changed)
            self.run(f"UPDATE {table} SET {names} WHERE {key} = ?", *changed.values(), identity)  # noqa: S608


def now() -> str:
    """The time as MariaDB writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
