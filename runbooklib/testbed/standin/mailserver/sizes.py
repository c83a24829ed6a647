"""Storage sizes as docker-mailserver's lists show them."""

from __future__ import annotations

import math

UNITS = ("", "K", "M", "G", "T")
STEP = 1024


def iec(kibibytes: str) -> str:
    """A number of KiB as `numfmt --to=iec` writes its bytes: rounded up, one decimal below ten; `~` for no limit."""
    if not kibibytes.isdigit():
        return "~"
    value, unit = int(kibibytes) * STEP, 0
    scaled = float(value)
    while math.ceil(scaled) >= STEP:
        scaled, unit = scaled / STEP, unit + 1
    tenths = math.ceil(scaled * 10) / 10
    number = f"{tenths:.1f}" if unit and tenths < 10 else str(math.ceil(scaled))  # noqa: PLR2004  numfmt's bound
    return number + UNITS[unit]
