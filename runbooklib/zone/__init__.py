"""The DNS outside: observed at authoritative servers and resolvers, and published to."""

from runbooklib.zone.groundwork import groundwork
from runbooklib.zone.literal import Literal
from runbooklib.zone.observation import observe
from runbooklib.zone.preflights import preflight
from runbooklib.zone.publishing import Published, publish
from runbooklib.zone.questions import Internet, Wire, ask, together
from runbooklib.zone.stub import Stub
from runbooklib.zone.updates import (
    NoZoneError,
    OvertakenError,
    RefusedError,
    TsigError,
    UnansweredError,
    ZoneError,
)

__all__ = [
    "Internet",
    "Literal",
    "NoZoneError",
    "OvertakenError",
    "Published",
    "RefusedError",
    "Stub",
    "TsigError",
    "UnansweredError",
    "Wire",
    "ZoneError",
    "ask",
    "groundwork",
    "observe",
    "preflight",
    "publish",
    "together",
]
