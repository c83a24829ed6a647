"""The sender rewriting scheme: PostSRSd beside Postfix, which asks it for every envelope sender and recipient."""

from __future__ import annotations

import base64
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from . import postfix

if TYPE_CHECKING:
    from .settings import Settings

DEFAULTS = Path("/etc/default/postsrsd")
SECRET = Path("/etc/postsrsd.secret")
SECRET_BYTES = 24


def setup(settings: Settings) -> None:
    """Configure both; it comes after the user's postfix-main.cf and so wins over it."""
    postfix.set_parameters(
        {
            "sender_canonical_maps": "tcp:localhost:10001",
            "sender_canonical_classes": settings["SRS_SENDER_CLASSES"],
            "recipient_canonical_maps": "tcp:localhost:10002",
            "recipient_canonical_classes": "envelope_recipient,header_recipient",
        }
    )
    DEFAULTS.write_text("".join(f"{name}={value}\n" for name, value in _options(settings).items()))
    _write_secret(settings["SRS_SECRET"].split(","))


def _options(settings: Settings) -> dict[str, str]:
    return {
        "SRS_DOMAIN": settings["SRS_DOMAINNAME"],
        "SRS_EXCLUDE_DOMAINS": settings["SRS_EXCLUDE_DOMAINS"],
        "SRS_SEPARATOR": "=",
        "SRS_SECRET": str(SECRET),
        "SRS_FORWARD_PORT": "10001",
        "SRS_REVERSE_PORT": "10002",
        "RUN_AS": "postsrsd",
    }


def _write_secret(given: list[str]) -> None:
    """Each line is a secret, the first one signs; one on the state volume takes the place of a new one later."""
    SECRET.touch(mode=0o600)
    made = base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    SECRET.write_text("\n".join(given if any(given) else [made]) + "\n")
