"""What vouches for a message of `letters`, as its recipient's host could find out."""

from __future__ import annotations

import asyncio

from letters import Out, Zone, zone

from runbooklib import eml
from runbooklib.eml import Authentication
from runbooklib.results import Check

RECEIVER = "mx.stranger.example"


def proof(message: Out | bytes = Out(), look: Zone | None = None) -> Authentication:  # noqa: B008 - frozen
    """The message authenticated with what this zone says."""
    raw = message if isinstance(message, bytes) else message.raw()
    return asyncio.run(eml.authenticate(look or zone(), eml.read(raw), [RECEIVER]))


def with_field(*lines: str) -> Out:
    """The message with header fields that no signature covers."""
    return Out(changed={"Date: ": "".join(f"{line}\r\n" for line in lines) + "Date: "})


def row(found: list[Check], what: str) -> Check:
    """The one row of that id."""
    (check,) = [c for c in found if c.name.split()[0] == f"delivery.{what}"]
    return check
