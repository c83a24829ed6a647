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
    while scaled >= STEP:
        scaled, unit = scaled / STEP, unit + 1
    if unit == 0:
        return str(value)
    return f"{math.ceil(scaled * 10) / 10:.1f}{UNITS[unit]}" if scaled < 10 else f"{math.ceil(scaled)}{UNITS[unit]}"  # noqa: PLR2004  numfmt's bound
