"""What the `get` routes of /api/v1 tell."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mailcow import aliases, domains, keys, mailboxes, policies, relayhosts, transports
from mailcow.php import encoded, integer, pretty
from mailcow.session import Session

VERSION = "2026-07a"
LINES = 9999  # of a log, where a request names no number
STARTED = "2026-01-01T00:00:00.000000000Z"


def _or_nothing(found: Any) -> str:
    """What is absent is {}, also where a list was asked for."""
    return pretty(found) if found else "{}"


def domain(session: Session, name: str, _: str) -> str:
    return _or_nothing(domains.every(session) if name == "all" else domains.details(session, name))


def mailbox(session: Session, name: str, extra: str) -> str:
    some = name in {"all", "reduced"}
    return _or_nothing(mailboxes.every(session, extra) if some else mailboxes.details(session, name))


def alias(session: Session, name: str, extra: str) -> str:
    return _or_nothing(aliases.every(session, extra) if name == "all" else aliases.details(session, name))


def relayhost(session: Session, name: str, _: str) -> str:
    return _or_nothing(relayhosts.every(session) if name == "all" else relayhosts.details(session, name))


def transport(session: Session, name: str, _: str) -> str:
    return _or_nothing(transports.every(session) if name == "all" else transports.details(session, name))


def policy(session: Session, name: str, _: str) -> str:
    return _or_nothing(policies.every(session) if name == "all" else policies.details(session, name))


def dkim(session: Session, name: str, _: str) -> str:
    return _or_nothing(keys.details(session, name))


def nothing(session: Session, name: str, extra: str) -> str:
    """A collection this mailcow has none of."""
    del session, name, extra
    return "{}"


def passwords(session: Session, name: str, extra: str) -> str:
    del session, name, extra
    return pretty(mailboxes.POLICY)


def queue(session: Session, name: str, extra: str) -> str:
    """The queue, each recipient with its reason in one string."""
    del name, extra
    told = [entry | {"recipients": [_recipient(r) for r in entry["recipients"]]} for entry in session.backend.queue()]
    return encoded(told)


def _recipient(recipient: dict[str, str]) -> str:
    reason = recipient.get("delay_reason")
    return f"{recipient['address']} ({reason})" if reason is not None else recipient["address"]


def logs(session: Session, name: str, extra: str) -> str | None:
    """The newest lines first; a count or a range of them."""
    first, count = _span(extra)
    if name == "api":
        found = [
            json.loads(row["line"])
            for row in session.db.rows("SELECT line FROM log ORDER BY id DESC LIMIT ? OFFSET ?", count, first)
        ]
    elif name in {"postfix", "dovecot"}:
        found = session.backend.log(name)[first : first + count]
    elif name in {"sogo", "netfilter", "watchdog", "acme", "ui", "sasl", "ratelimited", "autodiscover", "cron"}:
        found = []
    else:
        return None
    return _or_nothing(found)


def _span(extra: str) -> tuple[int, int]:
    if not extra:
        return 0, LINES
    if "-" not in extra:
        return 0, max(integer(extra), 0)
    first, last = (integer(part) for part in extra.split("-", 1))
    return (0, 0) if first < 1 or last < first else (first - 1, last - first + 1)


def status(session: Session, name: str, extra: str) -> str:
    """Answers of mailcow's own Docker API."""
    del extra
    if name == "version":
        return encoded({"version": VERSION})
    if name == "vmail":
        return '{"type":"info","disk":"/dev/vda1","used":"10G","total":"50G","used_percent":"20%"}'
    if name == "containers":
        states = session.backend.containers()
        return json.dumps({n: _container(n, state) for n, state in states.items()}, separators=(",", ":"))
    return ""


def _container(name: str, state: str) -> dict[str, str]:
    image = f"ghcr.io/mailcow/{name.removesuffix('-mailcow')}:stub"
    return {"type": "info", "container": name, "state": state, "started_at": STARTED, "image": image}


GET: dict[str, Callable[[Session, str, str], str | None]] = {
    "domain": domain,
    "mailbox": mailbox,
    "alias": alias,
    "relayhost": relayhost,
    "transport": transport,
    "tls-policy-map": policy,
    "dkim": dkim,
    "alias-domain": nothing,
    "passwordpolicy": passwords,
    "mailq": queue,
    "logs": logs,
    "status": status,
}
