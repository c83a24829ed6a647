"""mailcow's relayhosts (sender-dependent transports in its pages), with its escapes of colons."""

from __future__ import annotations

from mailcow.php import empty, escaped, integer, text
from mailcow.session import Data, Session
from mailcow.store import Row


def colons(given: object) -> str:
    """What `add` does to a colon."""
    return text(given).strip().replace(":", "\\:")


def add(session: Session, data: Data) -> bool:
    """One more row, whatever there is already; its number is not told. A password's colons are escaped twice."""
    log = ("relayhost", "add", data or [])
    if not session.admin:
        return session.say("danger", log, "access_denied")
    hostname = text(data.get("hostname")).strip()
    if empty(hostname):
        return session.say("danger", log, ["invalid_host", ""])
    row = {"hostname": hostname, "username": colons(data.get("username"))}
    password = colons(data.get("password")).replace(":", "\\:")
    session.db.insert("relayhosts", row | {"password": password, "active": 1})
    return session.say("success", log, ["relayhost_added", ""])


def edit(session: Session, data: Data) -> None:
    """Changes rows by number; nothing is escaped here."""
    for identity in data["id"]:
        log = ("relayhost", "edit", data)
        row = _find(session, identity)
        if row is None:
            session.say("danger", log, ["relayhost_invalid", identity])
            continue
        news: Row = {"hostname": row["hostname"] if empty(data.get("hostname")) else text(data["hostname"]).strip()}
        for name in ("username", "password"):
            news[name] = text(data[name]).strip() if data.get(name) is not None else row[name]
        news["active"] = integer(data["active"]) if data.get("active") is not None else row["active"]
        session.db.update("relayhosts", "id", row["id"], news)
        session.say("success", log, ["object_modified", ""])


def _find(session: Session, identity: object) -> Row | None:
    return session.db.row("SELECT * FROM relayhosts WHERE id = ?", integer(text(identity)))


def details(session: Session, identity: object) -> Data | None:
    """A row as `get` tells it: with its password, and who uses it."""
    row = _find(session, identity)
    if row is None or not session.admin:
        return None
    number = str(row["id"])
    domains = session.db.rows("SELECT domain FROM domain WHERE relayhost = ? ORDER BY domain", number)
    boxes = "SELECT username FROM mailbox WHERE json_extract(attributes, '$.relayhost') = ? ORDER BY username"
    return {
        **row,
        "password_short": f"{row['password'][:3]}...",
        "used_by_domains": ", ".join(user["domain"] for user in domains),
        "used_by_mailboxes": ", ".join(user["username"] for user in session.db.rows(boxes, number)),
    }


def every(session: Session) -> list[Data]:
    """All rows."""
    numbers = [row["id"] for row in session.db.rows("SELECT id FROM relayhosts ORDER BY id")]
    return [found for number in numbers if (found := details(session, number))]


def delete(session: Session, data: Data) -> None:
    """Deletes rows, there or not; domains fall back to none, mailboxes keep the number."""
    for identity in data["id"]:
        number = text(identity)
        session.db.run("DELETE FROM relayhosts WHERE id = ?", integer(number))
        session.db.run("UPDATE domain SET relayhost = '0' WHERE relayhost = ?", number)
        session.say("success", ("relayhost", "delete", data), ["relayhost_removed", escaped(number)])
