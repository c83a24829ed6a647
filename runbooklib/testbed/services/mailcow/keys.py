"""mailcow's keys for DKIM: one a domain."""

from __future__ import annotations

import re
from typing import Any

from mailcow.php import empty, escaped, integer, is_domain, many, parted
from mailcow.session import Data, Session

SMALLEST = 512  # bits; OpenSSL makes none below
SIZES = {391: "1024", 564: "2048", 736: "3072", 1416: "4096"}  # length of the public half → bits, as mailcow guesses


def add(session: Session, data: Data) -> None:
    """Makes keys; most refusals have the same words."""
    size, selector = integer(data.get("key_size")), data.get("dkim_selector", "dkim")
    for domain in filter(None, parted(data.get("domains"))):
        log = ("dkim", "add", data)
        if not is_domain(domain) or _stands(session, domain) or not _is_selector(selector):
            session.say("danger", log, ["dkim_domain_or_sel_invalid", domain])
        elif not session.knows(domain):
            session.say("danger", log, ["access_denied", domain])
        elif size < SMALLEST:
            session.say("danger", log, ["dkim_domain_or_sel_invalid", domain])
        else:
            _write(session, domain, selector, *session.backend.keypair(size))
            session.say("success", log, ["dkim_added", domain])


def _stands(session: Session, domain: str) -> bool:
    return session.db.row("SELECT domain FROM dkim WHERE domain = ?", domain) is not None


def _is_selector(selector: Any) -> bool:
    return isinstance(selector, str) and bool(re.fullmatch(r"[A-Za-z0-9]+", re.sub(r"[-_.]", "", selector)))


def _write(session: Session, domain: str, selector: str, private: str, public: str) -> None:
    session.db.run("DELETE FROM dkim WHERE domain = ?", domain)
    session.db.insert("dkim", {"domain": domain, "selector": selector, "public": public, "private": private})
    _sign_with(session)


def _sign_with(session: Session) -> None:
    session.backend.sign(session.db.rows("SELECT domain, selector, private FROM dkim ORDER BY domain"))


def duplicate(session: Session, data: Data) -> None:
    """Gives a domain's key to others, whatever they had."""
    log, source = ("dkim", "duplicate", data), data.get("from_domain")
    row = session.db.row("SELECT * FROM dkim WHERE domain = ?", source)
    if not session.admin:
        session.say("danger", log, "access_denied")
        return
    if row is None:
        session.say("danger", log, ["dkim_domain_or_sel_invalid", source])
        return
    for domain in filter(None, many(data.get("to_domain"))):
        _write(session, domain, row["selector"], row["private"], row["public"])
        session.say("success", log, ["dkim_duplicated", source, domain])


def details(session: Session, domain: str) -> Data | None:
    """The public half of a domain's key, and the record for it in one string."""
    row = session.db.row("SELECT * FROM dkim WHERE domain = ?", domain)
    if row is None or not session.admin:
        return None
    length = next((bits for below, bits in SIZES.items() if len(row["public"]) < below), ">= 8192")
    return {
        "pubkey": row["public"],
        "length": length,
        "dkim_txt": f"v=DKIM1;k=rsa;t=s;s=email;p={row['public']}",
        "dkim_selector": row["selector"],
        "privkey": "",
    }


def delete(session: Session, data: Data) -> None:
    """Deletes keys, there or not."""
    for domain in data["domains"]:
        log = ("dkim", "delete", data)
        if empty(domain) or not is_domain(domain):
            session.say("danger", log, ["dkim_domain_or_sel_invalid", domain])
            continue
        session.db.run("DELETE FROM dkim WHERE domain = ?", domain)
        _sign_with(session)
        session.say("success", log, ["dkim_removed", escaped(domain)])
