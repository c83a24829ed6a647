"""Notes what became of each message, from Postfix's log on its way to the container's.

`postfix start-fg | python3 -m provider.outcomes STATE`
"""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from provider.ledger import Ledger

LINE = re.compile(r"postfix/smtp\[\d+\]: (?P<queue>\w+): to=<(?P<to>[^>]*)>.* status=(?P<status>\w+)")
EVENTS = {"sent": "delivered", "bounced": "bounced", "deferred": "delivery_delayed"}


def main() -> None:
    """Passes on every line."""
    ledger = Ledger(Path(sys.argv[1]))
    for line in sys.stdin:
        sys.stdout.write(line)
        sys.stdout.flush()
        found = LINE.search(line)
        if found:
            with ledger.change() as state:
                note(state, found["queue"], found["to"], EVENTS.get(found["status"], ""))


def note(state: dict[str, Any], queue_id: str, recipient: str, event: str) -> None:
    """A bounce stays one, whatever becomes of other recipients; where addresses are suppressed, this one is."""
    for email in state["emails"]:
        if email.get("queue_id") == queue_id and email["last_event"] != "bounced":
            email["last_event"] = event or email["last_event"]
    if event == "bounced" and "suppressions" in state:
        made = datetime.now(UTC).isoformat(sep=" ")
        state["suppressions"].append({"email": recipient, "reason": "bounce", "created_at": made})


if __name__ == "__main__":
    main()
