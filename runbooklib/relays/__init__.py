"""Smarthosts: what must hold before one is trusted, and the records each needs in DNS."""

from runbooklib.relays.envelope import takes_null_sender
from runbooklib.relays.proof import prove
from runbooklib.relays.wanted import records

__all__ = ["prove", "records", "takes_null_sender"]
