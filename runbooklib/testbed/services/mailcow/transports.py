"""mailcow's transport maps: next hops by destination."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any

from mailcow.php import empty, escaped, integer, is_domain, is_email, parted, text
from mailcow.relayhosts import colons
from mailcow.session import Data, Session
from mailcow.store import Row


def add(session: Session, data: Data) -> bool:
    """Rows, one a destination; their syntax is looked at only while others are compared."""
    log = ("transport", "add", data or [])
    nexthop, username = _bracketed(text(data.get("nexthop")).strip()), colons(data.get("username"))
    if not session.admin:
        return session.say("danger", log, "access_denied")
    if empty(nexthop):
        return session.say("danger", log, ["invalid_nexthop"])
    there = session.db.rows("SELECT * FROM transports ORDER BY id")
    if any(row["nexthop"] in {nexthop, _clean(nexthop)} and row["username"] != username for row in there):
        return session.say("danger", log, "invalid_nexthop_authenticated")
    destinations = _fit(session, data, there, log)
    if not destinations:
        return False
    refusal = _interference(nexthop, there)
    if refusal:
        return session.say("danger", log, refusal)
    row: Row = {"nexthop": nexthop, "username": username, "password": colons(data.get("password"))}
    row |= {"is_mx_based": integer(data.get("is_mx_based")), "active": integer(data.get("active"))}
    for destination in destinations:
        session.db.insert("transports", row | {"destination": destination})
    _share_login(session, row)
    return session.say("success", log, ["relayhost_added", ""])


def _bracketed(nexthop: str) -> str:
    try:
        return f"[{ip_address(nexthop)}]"
    except ValueError:
        return nexthop


def _clean(nexthop: str) -> str:
    found = re.search(r"\[(.+)\]", nexthop)
    return found[1] if found else nexthop


def _fit(session: Session, data: Data, there: list[Row], log: tuple[Any, ...]) -> list[str]:
    wanted = list(dict.fromkeys(filter(None, parted(data.get("destination")))))
    taken = {row["destination"].lower() for row in there}
    fit = []
    for destination in wanted:
        if destination.lower() in taken:
            session.say("danger", log, ["transport_dest_exists", destination])
        elif there and not _is_destination(destination, integer(data.get("is_mx_based"))):
            session.say("danger", log, ["invalid_destination", destination])
        else:
            fit.append(destination)
    return fit


def _is_destination(destination: str, mx_based: int) -> bool:
    if mx_based:
        try:
            return bool(re.compile(destination))
        except re.error:
            return False
    return destination == "*" or is_domain(destination.removeprefix(".")) or is_email(destination)


def _interference(nexthop: str, there: list[Row]) -> list[str] | None:
    if "[" in nexthop:
        clash = _clean(nexthop) in {row["nexthop"] for row in there}
        return ["next_hop_interferes", _clean(nexthop), nexthop] if clash else None
    clash = nexthop in {_clean(row["nexthop"]) for row in there if "[" in row["nexthop"]}
    return ["next_hop_interferes_any", nexthop] if clash else None


def _share_login(session: Session, row: Row) -> None:
    """All rows of a next hop have one login."""
    login = "UPDATE transports SET username = ?, password = ? WHERE nexthop = ?"
    session.db.run(login, row["username"], row["password"], row["nexthop"])


def edit(session: Session, data: Data) -> bool | None:
    """Changes rows by number."""
    for identity in data["id"]:
        log = ("transport", "edit", data)
        row = details(session, identity)
        if row is None:
            session.say("danger", log, ["relayhost_invalid", identity])
            continue
        news = _news(data, row)
        others = [other for other in every(session) if other["id"] != row["id"]]
        if any(other["destination"] == news["destination"] for other in others):
            return session.say("danger", log, "transport_dest_exists")
        if not _is_destination(news["destination"], news["is_mx_based"]):
            return session.say("danger", log, ["invalid_destination", news["destination"]])
        refusal = _interference(news["nexthop"], others)
        if refusal:
            return session.say("danger", log, refusal)
        session.db.update("transports", "id", row["id"], news)
        _share_login(session, news)
        session.say("success", log, ["object_modified", ""])
    return None


def _news(data: Data, row: Row) -> Row:
    news = {n: row[n] if empty(data.get(n)) else text(data[n]).strip() for n in ("destination", "nexthop")}
    news |= {n: row[n] if data.get(n) is None else text(data[n]).strip() for n in ("username", "password")}
    news |= {n: row[n] if data.get(n) in {None, ""} else integer(data[n]) for n in ("is_mx_based", "active")}
    return news if news["username"] else news | {"password": ""}


def details(session: Session, identity: object) -> Data | None:
    """A row as `get` tells it, password and all."""
    row = session.db.row("SELECT * FROM transports WHERE id = ?", integer(text(identity)))
    return {**row, "password_short": f"{row['password'][:3]}..."} if row and session.admin else None


def every(session: Session) -> list[Data]:
    """All rows."""
    numbers = [row["id"] for row in session.db.rows("SELECT id FROM transports ORDER BY id")]
    return [found for number in numbers if (found := details(session, number))]


def delete(session: Session, data: Data) -> None:
    """Deletes rows, there or not."""
    for identity in data["id"]:
        session.db.run("DELETE FROM transports WHERE id = ?", integer(text(identity)))
        session.say("success", ("transport", "delete", data), ["relayhost_removed", escaped(identity)])
