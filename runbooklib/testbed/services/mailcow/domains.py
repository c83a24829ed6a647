"""mailcow's domains: add, edit, get, delete."""

from __future__ import annotations

from typing import Any

from mailcow import keys, limits
from mailcow.php import ascii_domain, empty, escaped, integer, is_domain, text
from mailcow.session import Data, Session
from mailcow.store import Row, now

MIB = 1024**2
# The Default template, which stands in for what a request leaves out; quotas in MiB.
TEMPLATE = {
    "aliases": 400,
    "mailboxes": 10,
    "defquota": 3072,
    "maxquota": 10240,
    "quota": 10240,
    "active": 1,
    "gal": 1,
    "backupmx": 0,
    "relay_all_recipients": 0,
    "relay_unknown_only": 0,
    "key_size": 2048,
}
SELECTOR = "dkim"


def add(session: Session, data: Data) -> bool:
    """Makes the domain, and its key for signing."""
    log = ("mailbox", "add", "domain", data or [], None)
    if not session.admin:
        return session.say("danger", log, "access_denied")
    domain = ascii_domain(text(data.get("domain")).strip().lower())
    wanted = _relayed({name: integer(data.get(name, usual)) for name, usual in TEMPLATE.items()})
    refusal = _quota_refusal(wanted) or _name_refusal(session, domain)
    if refusal:
        return session.say("danger", log, refusal)
    row = {name: value for name, value in wanted.items() if name != "key_size"}
    row |= {"domain": domain, "description": text(data.get("description")) or domain, "created": now()}
    session.db.run("DELETE FROM sender_acl WHERE external = 1 AND send_as LIKE ?", f"%@{domain}")
    session.db.insert("domain", row)
    _limit(session, domain, data)
    _sign(session, domain, wanted["key_size"], data.get("dkim_selector", SELECTOR), log)
    return session.say("success", log, ["domain_added", escaped(domain)])


def _relayed(wanted: dict[str, int]) -> dict[str, int]:
    """Relaying for all, or for the unknown, makes a domain a backup MX."""
    if wanted["relay_unknown_only"] == 1:
        wanted |= {"relay_all_recipients": 1, "backupmx": 1}
    if wanted["relay_all_recipients"] == 1:
        wanted["backupmx"] = 1
    return wanted


def _quota_refusal(wanted: dict[str, int]) -> str | None:
    if wanted["defquota"] > wanted["maxquota"]:
        return "mailbox_defquota_exceeds_mailbox_maxquota"
    if wanted["maxquota"] > wanted["quota"]:
        return "mailbox_quota_exceeds_domain_quota"
    if not wanted["defquota"]:
        return "defquota_empty"
    return None if wanted["maxquota"] else "maxquota_empty"


def _name_refusal(session: Session, domain: str) -> Any:
    if not is_domain(domain):
        return "domain_invalid"
    if session.knows(domain):
        return ["domain_exists", escaped(domain)]
    return "domain_cannot_match_hostname" if domain == session.hostname else None


def _limit(session: Session, domain: str, data: Data) -> None:
    value, frame = integer(data.get("rl_value")), data.get("rl_frame", "s")
    if value and frame:
        limits.save(session, "domain", {"rl_value": value, "rl_frame": frame, "object": domain})


def _sign(session: Session, domain: str, size: int, selector: Any, log: tuple[Any, ...]) -> None:
    """A key that was left by an earlier domain of the name is used again."""
    if not size or empty(selector):
        return
    if session.db.row("SELECT selector FROM dkim WHERE domain = ?", domain):
        session.say("success", log, "domain_add_dkim_available")
    else:
        keys.add(session, {"key_size": size, "dkim_selector": selector, "domains": domain})


def edit(session: Session, data: Data) -> None:
    """Changes what is named; a relayhost's number is taken as it is."""
    for given in data["domain"]:
        log = ("mailbox", "edit", "domain", data, None)
        domain = ascii_domain(given)
        row = session.db.row("SELECT * FROM domain WHERE domain = ?", domain)
        if row is None or not is_domain(domain):
            session.say("danger", log, "domain_invalid")
            continue
        wanted = _relayed({name: _number(data, name, row[name]) for name in TEMPLATE if name in row})
        refusal = _quota_refusal(wanted) or _use_refusal(session, domain, wanted)
        if refusal:
            session.say("danger", log, refusal)
            continue
        news: Row = dict(wanted)
        news["relayhost"] = str(integer(data["relayhost"])) if data.get("relayhost") is not None else row["relayhost"]
        news["description"] = row["description"] if empty(data.get("description")) else data["description"]
        session.db.update("domain", "domain", domain, news)
        session.say("success", log, ["domain_modified", escaped(domain)])


def _number(data: Data, name: str, was: int) -> int:
    given = data.get(name)
    if name in {"aliases", "maxquota", "quota"}:
        return was if empty(given) else integer(given)
    return was if given is None or given == "" else integer(given)


def _use_refusal(session: Session, domain: str, wanted: dict[str, int]) -> Any:
    boxes = session.db.row(
        "SELECT COUNT(*) AS count, COALESCE(MAX(quota), 0) AS biggest, COALESCE(SUM(quota), 0) AS every"
        " FROM mailbox WHERE domain = ?",
        domain,
    ) or {"count": 0, "biggest": 0, "every": 0}
    if boxes["biggest"] // MIB > wanted["maxquota"]:
        return ["max_quota_in_use", boxes["biggest"] // MIB]
    if boxes["every"] // MIB > wanted["quota"]:
        return ["domain_quota_m_in_use", boxes["every"] // MIB]
    if boxes["count"] > wanted["mailboxes"]:
        return ["mailboxes_in_use", boxes["count"]]
    aliases = _aliases(session, domain)
    return ["aliases_in_use", aliases] if aliases > wanted["aliases"] else None


def _aliases(session: Session, domain: str) -> int:
    found = session.db.value(
        "SELECT COUNT(*) FROM alias WHERE domain = ? AND address NOT IN (SELECT username FROM mailbox)", domain
    )
    return int(found)


def details(session: Session, name: str) -> Data | None:
    """A domain as `get` tells it."""
    domain = ascii_domain(name.strip().lower())
    row = session.db.row("SELECT * FROM domain WHERE domain = ?", domain)
    if row is None or not session.admin:
        return None
    boxes = session.db.rows("SELECT quota FROM mailbox WHERE domain = ?", domain)
    used, aliases = sum(box["quota"] for box in boxes), _aliases(session, domain)
    free = min(row["quota"] * MIB - used, row["maxquota"] * MIB)
    return {
        "max_new_mailbox_quota": free,
        "def_new_mailbox_quota": min(free, row["defquota"] * MIB),
        "quota_used_in_domain": str(used),
        "bytes_total": 0,
        "msgs_total": 0,
        "mboxes_in_domain": len(boxes),
        "mboxes_left": row["mailboxes"] - len(boxes),
        "domain_name": row["domain"],
        "domain_h_name": row["domain"].encode().decode("idna"),
        "description": row["description"],
        "max_num_aliases_for_domain": row["aliases"],
        "max_num_mboxes_for_domain": row["mailboxes"],
        "def_quota_for_mbox": row["defquota"] * MIB,
        "max_quota_for_mbox": row["maxquota"] * MIB,
        "max_quota_for_domain": row["quota"] * MIB,
        "relayhost": row["relayhost"],
        **_twice(row, "backupmx"),
        **_twice(row, "gal"),
        "rl": limits.of(session, domain),
        **_twice(row, "active"),
        **_twice(row, "relay_all_recipients"),
        **_twice(row, "relay_unknown_only"),
        "created": row["created"],
        "modified": row["modified"],
        "aliases_in_domain": aliases,
        "aliases_left": row["aliases"] - aliases,
        "domain_admins": "-",
    }


def _twice(row: Row, name: str) -> Row:
    return {name: row[name], f"{name}_int": row[name]}


def every(session: Session) -> list[Data]:
    """All of them, by name."""
    names = [row["domain"] for row in session.db.rows("SELECT domain FROM domain ORDER BY domain")]
    return [found for name in names if (found := details(session, name))]


def delete(session: Session, data: Data) -> None:
    """Deletes empty domains; one that is not there is deleted successfully. Keys for signing stay."""
    for given in data["domain"]:
        log = ("mailbox", "delete", "domain", data, None)
        if not is_domain(given):
            session.say("danger", log, "domain_invalid")
            continue
        domain = ascii_domain(given.strip().lower())
        if session.db.row("SELECT username FROM mailbox WHERE domain = ?", domain):
            session.say("danger", log, ["domain_not_empty", domain])
            continue
        session.backend.forget(domain)
        for table, column in (("domain", "domain"), ("alias", "domain"), ("alias_domain", "target_domain")):
            session.db.run(f"DELETE FROM {table} WHERE {column} = ?", domain)  # noqa: S608 - constants
        session.db.run("DELETE FROM ratelimit WHERE object = ?", domain)
        session.say("success", log, ["domain_removed", escaped(domain)])
