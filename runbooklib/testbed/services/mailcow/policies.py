"""mailcow's TLS policy maps: how a next hop is spoken to."""

from __future__ import annotations

import re
from typing import Any

from mailcow.php import ascii_domain, empty, escaped, integer, numeric, text
from mailcow.session import Data, Session
from mailcow.store import Row, now

EVERYBODY = {".", "*", "@"}


def add(session: Session, data: Data) -> bool:
    """One row a destination."""
    log = ("tls_policy_maps", "add", data or [], None)
    if not session.admin:
        return False
    dest, parameters = ascii_domain(text(data.get("dest")).strip()), text(data.get("parameters"))
    refusal = _refusal(dest, parameters)
    if not refusal and session.db.row("SELECT id FROM tls_policy_override WHERE dest = ?", dest):
        refusal = ["tls_policy_map_entry_exists", escaped(dest)]
    if refusal:
        return session.say("danger", log, refusal)
    row = {"dest": dest, "policy": text(data.get("policy")).lower(), "parameters": parameters}
    row |= {"active": integer(data.get("active")), "created": now()}
    session.db.insert("tls_policy_override", row)
    return session.say("success", log, ["tls_policy_map_entry_saved", escaped(dest)])


def _refusal(dest: str, parameters: str) -> Any:
    if not dest or dest in EVERYBODY:
        return "tls_policy_map_dest_invalid"
    fits = not parameters or all(re.search(r".=.", part) for part in parameters.split(" "))
    return None if fits else "tls_policy_map_parameter_invalid"


def edit(session: Session, data: Data) -> bool | None:
    """Changes rows by number."""
    for identity in data["id"]:
        log = ("tls_policy_maps", "edit", data, None)
        row = details(session, identity)
        if row is None:
            session.say("danger", log, "access_denied")
            continue
        news: Row = {n: row[n] if empty(data.get(n)) else text(data[n]) for n in ("dest", "policy")}
        news["parameters"] = row["parameters"] if data.get("parameters") is None else text(data["parameters"])
        news["active"] = row["active"] if data.get("active") is None else integer(data["active"])
        refusal = _refusal(news["dest"], news["parameters"])
        twin = session.db.row("SELECT id FROM tls_policy_override WHERE dest = ? AND id != ?", news["dest"], row["id"])
        if refusal or twin:
            return session.say("danger", log, refusal or ["recipient_map_entry_exists", escaped(news["dest"])])
        session.db.update("tls_policy_override", "id", row["id"], news)
        session.say("success", log, ["tls_policy_map_entry_saved", escaped(news["dest"])])
    return None


def details(session: Session, identity: object) -> Data | None:
    """A row as `get` tells it."""
    row = session.db.row("SELECT * FROM tls_policy_override WHERE id = ?", integer(text(identity)))
    return row if session.admin else None


def every(session: Session) -> list[Data]:
    """All rows."""
    return session.db.rows("SELECT * FROM tls_policy_override ORDER BY id") if session.admin else []


def delete(session: Session, data: Data) -> bool | None:
    """Deletes rows, there or not."""
    for identity in data["id"]:
        if not numeric(identity):
            return False
        session.db.run("DELETE FROM tls_policy_override WHERE id = ?", integer(identity))
        session.say(
            "success", ("tls_policy_maps", "delete", data, None), ["tls_policy_map_entry_deleted", str(identity)]
        )
    return None
