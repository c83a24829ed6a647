"""The dates that messages bear, whatever stands there instead of one."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime


def parse(text: str) -> datetime | None:
    """A date as RFC 5322 3.3 writes it, without a zone where it is -0000; None where it cannot be read."""
    try:
        return parsedate_to_datetime(text.strip())
    except (TypeError, ValueError, OverflowError, IndexError):  # the last two of a zone or a year with many digits
        return None
