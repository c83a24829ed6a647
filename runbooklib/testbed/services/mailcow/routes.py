"""Which function stands behind which route of /api/v1, and in what name a request's items reach it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mailcow import aliases, domains, keys, mailboxes, policies, relayhosts, transports
from mailcow.php import encoded, many
from mailcow.session import Data, Session

Act = Callable[[Session, Data], Any]

ADD: dict[str, Act] = {
    "domain": domains.add,
    "mailbox": mailboxes.add,
    "alias": aliases.add,
    "relayhost": relayhosts.add,
    "transport": transports.add,
    "tls-policy-map": policies.add,
    "dkim": keys.add,
    "dkim_duplicate": keys.duplicate,
}
# category → the name of the items, and the function
EDIT: dict[str, tuple[str, Act]] = {
    "domain": ("domain", domains.edit),
    "mailbox": ("username", mailboxes.edit),
    "tls_policy": ("username", mailboxes.enforce),
    "alias": ("id", aliases.edit),
    "relayhost": ("id", relayhosts.edit),
    "transport": ("id", transports.edit),
    "tls-policy-map": ("id", policies.edit),
}
DELETE: dict[str, tuple[str, Act]] = {
    "domain": ("domain", domains.delete),
    "mailbox": ("username", mailboxes.delete),
    "alias": ("id", aliases.delete),
    "relayhost": ("id", relayhosts.delete),
    "transport": ("id", transports.delete),
    "tls-policy-map": ("id", policies.delete),
    "dkim": ("domains", keys.delete),
}
FAILED = {"add": "Cannot add item", "edit": "Cannot edit item", "delete": "Cannot delete item"}


def act(session: Session, action: str, category: str, attr: Any, items: Any) -> str | None:
    """The answer to a write, or None for a category nobody knows; what did nothing says that it was completed."""
    if action == "add" and category in ADD:
        done = ADD[category](session, attr if isinstance(attr, dict) else {})
    elif action == "edit" and category in EDIT:
        name, function = EDIT[category]
        done = function(session, {name: many(items), **(attr if isinstance(attr, dict) else {})})
    elif action == "delete" and category in DELETE:
        name, function = DELETE[category]
        done = function(session, {name: many(items)})
    else:
        return None
    if session.entries:
        return encoded(session.entries)
    failed = {"type": "error", "msg": FAILED[action]}
    return encoded(failed if done is False else {"type": "success", "msg": "Task completed"})
