"""Rate limits, which mailcow keeps beside its domains and mailboxes."""

from __future__ import annotations

from typing import Any

from mailcow.php import integer
from mailcow.session import Data, Session


def save(session: Session, scope: str, data: Data) -> None:
    """Writes one; a value of nothing takes it away."""
    value, frame = integer(data.get("rl_value")), data.get("rl_frame")
    log = ("ratelimit", "edit", scope, data)
    if frame not in {"s", "m", "h", "d"}:
        session.say("danger", log, "rl_timeframe")
        return
    session.db.run("DELETE FROM ratelimit WHERE object = ?", data["object"])
    if value:
        session.db.insert("ratelimit", {"object": data["object"], "value": str(value), "frame": frame})
    session.say("success", log, ["rl_saved", data["object"]])


def of(session: Session, name: str) -> Any:
    """The limit of a domain or mailbox, or false."""
    return session.db.row("SELECT value, frame FROM ratelimit WHERE object = ?", name) or False
