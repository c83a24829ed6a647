"""Dovecot's checkpassword: a login is right if the provider's state says so now.

`python3 -m provider.login PROVIDER STATE REPLY…`
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from provider.ledger import Ledger

WRONG = 1  # the exit status for a wrong login


def main() -> None:
    """Ends as the reply program, or as wrong."""
    provider, state, *reply = sys.argv[1:]
    with os.fdopen(3, "rb") as given:
        name, password, *_ = given.read().decode("utf-8", "replace").split("\0")
    identity = importlib.import_module(f"{provider}.rules").login(Ledger(Path(state)).read(), name, password)
    if not identity:
        sys.exit(WRONG)
    os.environ["USER"] = identity  # Postfix hears this one, and its milters with it
    os.execv(reply[0], reply)  # noqa: S606 - that is how the protocol ends


if __name__ == "__main__":
    main()
