"""Smarthosts: what must hold before one is trusted, and the records each needs in DNS."""

from runbooklib.relays.proof import prove
from runbooklib.relays.wanted import records

__all__ = ["prove", "records"]
