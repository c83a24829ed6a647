"""mailcow's mailboxes: add, edit, get, delete, and whether TLS is enforced for one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from typing import Any

from mailcow import limits
from mailcow.php import ascii_domain, empty, escaped, integer, is_domain, is_email, many, numeric, text
from mailcow.session import Data, Session
from mailcow.store import Row, now

MIB = 1024**2
ACCESS = ("sogo_access", "imap_access", "pop3_access", "smtp_access", "sieve_access", "eas_access", "dav_access")
ATTRIBUTES = {
    **dict.fromkeys(("force_pw_update", "force_tfa", "tls_enforce_in", "tls_enforce_out"), "0"),
    **dict.fromkeys(ACCESS, "1"),
    "relayhost": "0",
}
POLICY = {"length": "6", "chars": "0", "special_chars": "0", "lowerupper": "0", "numbers": "0"}  # of passwords
BUSY, FULL = 75, 90  # percent


def add(session: Session, data: Data) -> bool:
    """Makes a mailbox, and the alias that leads to it."""
    local = text(data.get("local_part")).strip().lower()
    domain = ascii_domain(text(data.get("domain")).strip().lower())
    address, megabytes = f"{local}@{domain}", integer(data.get("quota", 0))
    log = ("mailbox", "add", "mailbox", _masked(data), None)
    refusal = _refusal(session, local, domain)
    if refusal:
        return session.say("danger", log, refusal)
    if not _accepted(session, data.get("password"), data.get("password2")):
        return False
    refusal = _full(session, domain, megabytes)
    if refusal:
        return session.say("danger", log, refusal)
    active = integer(data.get("active", 1))
    session.db.insert("mailbox", _row(data, address, local, domain, active))
    session.db.insert(
        "alias", {"address": address, "goto": address, "domain": domain, "active": active, "created": now()}
    )
    limit = {"object": address, "rl_frame": data.get("rl_frame", "s"), "rl_value": data.get("rl_value", "")}
    limits.save(session, "mailbox", limit)
    return session.say("success", log, ["mailbox_added", escaped(address)])


def _masked(data: Data) -> Data:
    return {name: "*" if name in {"password", "password2"} else value for name, value in data.items()}


def _refusal(session: Session, local: str, domain: str) -> Any:
    address = f"{local}@{domain}"
    if not local or not is_email(address):
        return "mailbox_invalid"
    if not session.knows(domain):
        return "access_denied"
    if session.db.row("SELECT username FROM mailbox WHERE username = ?", address):
        return ["object_exists", escaped(address)]
    if session.db.row("SELECT address FROM alias WHERE address = ?", address):
        return ["is_alias", escaped(address)]
    if not session.db.row("SELECT domain FROM domain WHERE domain = ?", domain):
        return ["domain_not_found", escaped(domain)]
    return None


def _accepted(session: Session, password: Any, again: Any) -> bool:
    """Whether a password may be one; its refusal says nothing about what was asked."""
    log = ("password_check", None, None)
    if empty(password) or empty(again):
        return session.say("danger", log, "password_complexity")
    if password != again:
        return session.say("danger", log, "password_mismatch")
    short = len(text(password).encode()) < int(POLICY["length"])
    return not (short and not session.say("danger", log, "password_complexity"))


def _full(session: Session, domain: str, megabytes: int) -> Any:
    limit = session.db.row("SELECT mailboxes, maxquota, quota FROM domain WHERE domain = ?", domain) or {}
    used = session.db.rows("SELECT quota FROM mailbox WHERE domain = ?", domain)
    taken = round(sum(row["quota"] for row in used) / MIB)
    if len(used) >= limit["mailboxes"]:
        return ["max_mailbox_exceeded", len(used), limit["mailboxes"]]
    if megabytes > limit["maxquota"]:
        return ["mailbox_quota_exceeded", limit["maxquota"]]
    left = limit["quota"] - taken
    return ["mailbox_quota_left_exceeded", left] if megabytes > left else None


def _row(data: Data, address: str, local: str, domain: str, active: int) -> Row:
    attributes = {name: str(integer(data.get(name, usual))) for name, usual in ATTRIBUTES.items()}
    attributes |= {
        "passwd_update": now(),
        "mailbox_format": "maildir:",
        "quarantine_notification": text(data.get("quarantine_notification", "hourly")),
        "quarantine_category": text(data.get("quarantine_category", "reject")),
        "attribute_hash": "",
    }
    return {
        "username": address,
        "password": hashed(text(data.get("password"))),
        "name": text(data.get("name")).rstrip(">").lstrip("<"),
        "quota": integer(data.get("quota", 0)) * MIB,
        "local_part": local,
        "domain": domain,
        "attributes": json.dumps(attributes),
        "authsource": "mailcow",
        "active": active,
        "created": now(),
        "modified": now(),
    }


def hashed(password: str) -> str:
    """A password as Dovecot checks it; one that comes as a hash stays that."""
    if re.match(r"\{[A-Z0-9-]+\}", password):
        return password
    salt = secrets.token_bytes(8)
    digest = hashlib.sha512(password.encode() + salt).digest()
    return "{SSHA512}" + base64.b64encode(digest + salt).decode()


def edit(session: Session, data: Data) -> None:
    """Changes what is named; what is no attribute of this route is ignored with success."""
    for address in data["username"]:
        log = ("mailbox", "edit", "mailbox", _masked(data), None)
        if not is_email(address):
            session.say("danger", log, ["username_invalid", address])
            continue
        row = session.db.row("SELECT * FROM mailbox WHERE username = ?", address)
        if row is None or not session.knows(row["domain"]):
            session.say("danger", log, "access_denied")
            continue
        _edit(session, data, row, log)


def _edit(session: Session, data: Data, row: Row, log: tuple[Any, ...]) -> None:
    address, attributes = row["username"], json.loads(row["attributes"])
    megabytes = integer(data["quota"]) if numeric(data.get("quota")) else row["quota"] / MIB
    most = (details(session, address) or {})["max_new_quota"] / MIB
    if megabytes > most:
        session.say("danger", log, ["mailbox_quota_left_exceeded", round(most)])
        return
    if "sender_acl" in data:
        _allow(session, address, many(data["sender_acl"]), log)
    if not empty(data.get("password")):
        if not _accepted(session, data["password"], data.get("password2")):
            return
        row["password"], attributes["passwd_update"] = hashed(text(data["password"])), now()
    for name in ("force_pw_update", "force_tfa", *ACCESS, "relayhost"):
        attributes[name] = str(integer(data[name])) if data.get(name) is not None else attributes[name]
    attributes.setdefault("recovery_email", None)
    active = integer(data["active"]) if data.get("active") is not None else row["active"]
    name = row["name"] if empty(data.get("name")) else text(data["name"]).rstrip(">").lstrip("<")
    session.db.run("UPDATE alias SET active = ? WHERE address = ?", active, address)
    news = {"active": active, "name": name, "quota": int(megabytes * MIB), "password": row["password"]}
    session.db.update("mailbox", "username", address, {**news, "attributes": json.dumps(attributes)})
    session.say("success", log, ["mailbox_modified", address])


def _allow(session: Session, address: str, senders: list[Any], log: tuple[Any, ...]) -> None:
    """Sets what else a mailbox may send as."""
    session.db.run("DELETE FROM sender_acl WHERE external = 0 AND logged_in_as = ?", address)
    for sender in senders:
        if sender == "default":
            continue
        domain = text(sender).rpartition("@")[2]
        if sender != "*" and not (is_domain(domain) and session.knows(domain)):
            session.say("danger", log, ["sender_acl_invalid", sender])
            continue
        send_as = sender if "@" in sender or sender == "*" else f"@{sender}"
        session.db.insert("sender_acl", {"logged_in_as": address, "send_as": send_as})


def enforce(session: Session, data: Data) -> None:
    """edit/tls_policy: the one way to enforce TLS for a mailbox that is there."""
    for address in data["username"]:
        log = ("mailbox", "edit", "tls_policy", data, None)
        row = session.db.row("SELECT * FROM mailbox WHERE username = ?", address)
        if row is None or not session.admin:
            session.say("danger", log, "access_denied")
            continue
        attributes = json.loads(row["attributes"])
        for name in ("tls_enforce_out", "tls_enforce_in"):
            attributes[name] = str(integer(data[name])) if data.get(name) is not None else attributes[name]
        session.db.update("mailbox", "username", address, {"attributes": json.dumps(attributes)})
        session.say("success", log, ["mailbox_modified", address])


def details(session: Session, address: str) -> Data | None:
    """A mailbox as `get` tells it."""
    row = session.db.row("SELECT * FROM mailbox WHERE username = ?", address)
    if row is None or not session.admin:
        return None
    domain = session.db.row("SELECT * FROM domain WHERE domain = ?", row["domain"]) or {}
    others = "SELECT COALESCE(SUM(quota), 0) FROM mailbox WHERE domain = ? AND username != ?"
    free = min(domain["quota"] * MIB - session.db.value(others, row["domain"], address), domain["maxquota"] * MIB)
    own = limits.of(session, address)
    acl = session.db.rows("SELECT send_as FROM sender_acl WHERE external = 0 AND logged_in_as = ?", address)
    return {
        "username": row["username"],
        "active": row["active"],
        "active_int": row["active"],
        "domain": row["domain"],
        "name": row["name"],
        "local_part": row["local_part"],
        "quota": row["quota"],
        "messages": 0,
        "attributes": json.loads(row["attributes"]),
        "custom_attributes": [],
        "quota_used": 0,
        "percent_in_use": 0 if row["quota"] else "- ",
        "created": row["created"],
        "modified": row["modified"],
        "authsource": row["authsource"],
        "percent_class": "success" if row["quota"] else "info",
        **dict.fromkeys(("last_imap_login", "last_smtp_login", "last_pop3_login", "last_sso_login"), 0),
        "max_new_quota": free,
        "spam_aliases": 0,
        "pushover_active": 0,
        "rl": own or limits.of(session, row["domain"]),
        "rl_scope": "mailbox" if own else "domain",
        "is_relayed": domain["backupmx"],
        "sender_acl": [entry["send_as"] for entry in acl],
    }


def every(session: Session, domains: str) -> list[Data]:
    """Those of some domains, or all."""
    rows = session.db.rows("SELECT username, domain FROM mailbox ORDER BY domain, username")
    wanted = {name.lower() for name in domains.split(",")} if domains else {row["domain"].lower() for row in rows}
    names = [row["username"] for row in rows if row["domain"].lower() in wanted]
    return [found for name in names if (found := details(session, name))]


def delete(session: Session, data: Data) -> None:
    """Deletes mailboxes with the aliases that lead to them alone, and what they received."""
    for address in data["username"]:
        log = ("mailbox", "delete", "mailbox", data, None)
        row = session.db.row("SELECT * FROM mailbox WHERE username = ?", address) if is_email(address) else None
        if row is None or not session.knows(row["domain"]):
            session.say("danger", log, "access_denied")
            continue
        session.backend.forget(f"{row['domain']}/{row['local_part']}")
        session.db.run("DELETE FROM alias WHERE goto = ?", address)
        session.db.run("DELETE FROM mailbox WHERE username = ?", address)
        session.db.run("DELETE FROM sender_acl WHERE logged_in_as = ? OR send_as = ?", address, address)
        session.db.run("DELETE FROM ratelimit WHERE object = ?", address)
        _unlead(session, address)
        session.say("success", log, ["mailbox_removed", escaped(address)])


def _unlead(session: Session, address: str) -> None:
    """Takes it from the aliases that lead to others too."""
    for alias in session.db.rows("SELECT id, goto FROM alias"):
        targets = alias["goto"].split(",")
        if address in targets:
            left = ",".join(target for target in targets if target != address)
            session.db.update("alias", "id", alias["id"], {"goto": left})
