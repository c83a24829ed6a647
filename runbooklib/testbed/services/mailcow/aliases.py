"""mailcow's aliases and catch-alls, which are aliases of an address without a local part."""

from __future__ import annotations

from typing import Any

from mailcow.php import ascii_domain, empty, escaped, integer, is_email, parted, text
from mailcow.session import Data, Session
from mailcow.store import Row, now

NOWHERE = {"goto_null": "null@localhost", "goto_spam": "spam@localhost", "goto_ham": "ham@localhost"}
LONGEST_COMMENT = 160
FLAGS = ("internal", "sogo_visible", "sender_allowed", "active")
COLUMNS = ("id", "domain", "public_comment", "private_comment", "goto", "address", *FLAGS, "created", "modified")


def add(session: Session, data: Data) -> bool | None:
    """Makes aliases; what a request does not say about one is 0, also whether it is active."""
    log = ("mailbox", "add", "alias", data, None)
    addresses = parted(data.get("address"))
    refusal = _refusal(data, addresses)
    if refusal:
        return session.say("danger", log, refusal)
    targets = _nowhere(data) or _targets(session, data.get("goto"), log)
    if not targets:
        return False
    for given in filter(None, addresses):
        if given not in targets and not _add(session, data, given, ",".join(targets), log):
            return False
    return None


def _refusal(data: Data, addresses: list[str]) -> str | None:
    if any(len(text(data.get(name))) > LONGEST_COMMENT for name in ("private_comment", "public_comment")):
        return "comment_too_long"
    if not addresses[0]:
        return "alias_empty"
    return None if parted(data.get("goto"))[0] or _nowhere(data) else "goto_empty"


def _nowhere(data: Data) -> list[str]:
    return [place for name, place in NOWHERE.items() if integer(data.get(name)) == 1][:1]


def _targets(session: Session, goto: Any, log: tuple[Any, ...]) -> list[str]:
    found: list[str] = []
    for given in filter(None, parted(goto)):
        local, _, domain = given.partition("@")
        target = f"{local}@{ascii_domain(domain)}"
        if not is_email(target):
            session.say("danger", log, ["goto_invalid", escaped(target)])
        elif target not in found:
            found.append(target)
    return found


def _add(session: Session, data: Data, given: str, goto: str, log: tuple[Any, ...]) -> bool:
    """One of them; false where the domain holds no more."""
    local, _, written = given.partition("@")
    domain = ascii_domain(written)
    address = f"{local}@{domain}"
    if _left(session, domain) == 0:
        return session.say("danger", log, "max_alias_exceeded")
    refusal = _unfit(session, local, domain)
    if refusal:
        session.say("danger", log, refusal)
        return True
    row: Row = {name: integer(data.get(name)) for name in FLAGS}
    row |= {"address": address, "goto": goto, "domain": domain, "created": now()}
    row |= {name: data.get(name) for name in ("public_comment", "private_comment")}
    identity = session.db.insert("alias", row)
    return session.say("success", log, ["alias_added", address, str(identity)])


def _left(session: Session, domain: str) -> int | None:
    limit = session.db.value("SELECT aliases FROM domain WHERE domain = ?", domain)
    used = "SELECT COUNT(*) FROM alias WHERE domain = ? AND address NOT IN (SELECT username FROM mailbox)"
    return None if limit is None else int(limit) - int(session.db.value(used, domain))


def _unfit(session: Session, local: str, domain: str) -> Any:
    address = f"{local}@{domain}"
    if session.db.row("SELECT address FROM alias WHERE address = ?", address):
        return ["is_alias_or_mailbox", escaped(address)]
    if not session.db.row("SELECT domain FROM domain WHERE domain = ?", domain):
        return ["domain_not_found", escaped(domain)]
    if local and not is_email(address):
        return ["alias_invalid", address]
    return None if session.admin else "access_denied"


def edit(session: Session, data: Data) -> None:
    """Changes aliases by number (or address)."""
    for identity in data["id"]:
        log = ("mailbox", "edit", "alias", data, None)
        row = _find(session, identity)
        if row is None:
            session.say("danger", log, ["alias_invalid", None])
        else:
            _edit(session, data, row, log)


def _edit(session: Session, data: Data, row: Row, log: tuple[Any, ...]) -> None:
    address = row["address"] if empty(data.get("address")) else text(data["address"])
    local, _, written = address.partition("@")
    domain = ascii_domain(written)
    if address.lower() != row["address"].lower():
        refusal = _unfit(session, local, domain)
        if refusal:
            session.say("danger", log, refusal)
            return
    goto = row["goto"] if empty(data.get("goto")) else data["goto"]
    targets = _nowhere(data) or _targets(session, goto, log)
    if address in targets:
        session.say("danger", log, "alias_goto_identical")
        targets.remove(address)
    if targets:
        news: Row = {name: integer(data[name]) if data.get(name) is not None else row[name] for name in FLAGS}
        news |= {name: data.get(name, row[name]) for name in ("public_comment", "private_comment")}
        news |= {"address": address, "domain": domain, "goto": ",".join(targets)}
        session.db.update("alias", "id", row["id"], news)
    session.say("success", log, ["alias_modified", escaped(address)])


def _find(session: Session, identity: Any) -> Row | None:
    if isinstance(identity, list | dict):
        return None
    found = "SELECT * FROM alias WHERE (id = ? OR address = ?) AND address != goto"
    row = session.db.row(found, integer(identity), text(identity))
    return row if row and session.knows(row["domain"]) else None


def details(session: Session, identity: Any) -> Data | None:
    """An alias as `get` tells it; those that only name a mailbox are none."""
    row = _find(session, identity)
    if row is None:
        return None
    told: Data = {"in_primary_domain": ""}
    for name in COLUMNS:
        told[name] = row[name]
        if name == "address":
            told["is_catch_all"] = int(not is_email(row["address"]))
        if name in {"active", "sogo_visible"}:
            told[f"{name}_int"] = row[name]
    order = ("active", "active_int", "sogo_visible", "sogo_visible_int", "sender_allowed", "created", "modified")
    return {name: told[name] for name in told if name not in order} | {name: told[name] for name in order}


def every(session: Session, domains: str) -> list[Data]:
    """Those of some domains, or all, in the order of domains."""
    rows = session.db.rows("SELECT id, domain FROM alias WHERE address != goto ORDER BY domain, id")
    wanted = {name.lower() for name in domains.split(",")} if domains else {row["domain"].lower() for row in rows}
    numbers = [row["id"] for row in rows if row["domain"].lower() in wanted]
    return [found for number in numbers if (found := details(session, number))]


def delete(session: Session, data: Data) -> None:
    """Deletes aliases by number (or address)."""
    for identity in data["id"]:
        log = ("mailbox", "delete", "alias", data, None)
        row = _find(session, identity)
        if row is None:
            session.say("danger", log, "access_denied")
            continue
        session.db.run("DELETE FROM alias WHERE id = ?", row["id"])
        session.db.run("DELETE FROM sender_acl WHERE send_as = ?", row["address"])
        session.say("success", log, ["alias_removed", escaped(row["address"])])
