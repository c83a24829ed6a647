"""How an SPF check ends (RFC 7208 2.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Result(StrEnum):
    """The seven results."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


QUALIFIED = {"+": Result.PASS, "-": Result.FAIL, "~": Result.SOFTFAIL, "?": Result.NEUTRAL}


@dataclass(frozen=True)
class Evaluation:
    """What a receiver makes of one client and one identity."""

    result: Result
    reason: str  # in words
    term: str = ""  # the term of the domain's own record that decided
    explanation: str = ""  # what the domain says to those who fail (exp=), expanded
    lookups: int = 0  # terms evaluated that ask DNS
    voids: int = 0  # terms among them that got nothing


class EndError(Exception):
    """Ends an evaluation at once; never leaves it."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result = result
