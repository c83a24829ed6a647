"""`setup relay …`."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from . import passwords
from .databases import LOGINS, RELAYS
from .failures import usage_only

if TYPE_CHECKING:
    from .journal import Journal


def add_domain(arguments: list[str], _journal: Journal) -> None:
    """Send a sender domain's mail through a host; brackets are added even where there are some."""
    if len(arguments) < 2:  # noqa: PLR2004  domain and host
        raise usage_only()
    domain, host, *port = arguments
    RELAYS.put(f"@{domain}", f"[{host}]:{port[0] if port else 25}")


def exclude_domain(arguments: list[str], _journal: Journal) -> None:
    """Opt a sender domain out: its line holds nothing else."""
    if not arguments:
        raise usage_only()
    RELAYS.put(f"@{arguments[0]}", "")


def add_login(arguments: list[str], _journal: Journal) -> None:
    """Set a sender domain's login, in clear text."""
    if len(arguments) < 2:  # noqa: PLR2004  domain and user
        raise usage_only()
    key, login = f"@{arguments[0]}", f"{arguments[1]}:{passwords.given(arguments[2:])}"
    if LOGINS.has(key):
        _replace(key, login)
    else:
        LOGINS.append(key, login)


def _replace(key: str, login: str) -> None:
    r"""Replace with sed, which reads a `\1` in the password as a reference and fails, as docker-mailserver does."""
    value = f"{key} {login}".replace("/", r"\/").replace("&", r"\&")
    done = subprocess.run(["sed", "-i", rf"s/^{key}\s.*$/{value}/", str(LOGINS.path)], check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
