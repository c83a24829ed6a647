"""What the machine itself says over SSH: disk, memory, clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from runbooklib import host
from runbooklib.params import Site


def disk(site: Site) -> dict[str, int]:
    """Percent used by mount point, of those that hold mail, queue and containers."""
    paths = ("/", "/var", "/var/lib/docker", site.mail.directory)
    out = host.connect(site).run(("df", "-P", *paths), check=False).out
    rows = (line.split() for line in out.splitlines()[1:])
    return {row[5]: int(row[4].rstrip("%")) for row in rows}


def memory(site: Site) -> dict[str, int]:
    """MiB available and in total."""
    told = dict(re.findall(r"^(\w+):\s+(\d+) kB$", host.connect(site).run(("cat", "/proc/meminfo")).out, re.MULTILINE))
    return {"available": int(told["MemAvailable"]) // 1024, "total": int(told["MemTotal"]) // 1024}


def clock(site: Site) -> float:
    """Seconds the server's clock is ahead of ours, to within half of what asking took."""
    before = time.time()
    said = float(host.connect(site).run(("date", "+%s.%N")).out)
    return round(said - (before + time.time()) / 2, 1) + 0.0  # no minus before a zero


PROBES: Mapping[str, Callable[[Site], Any]] = {"disk": disk, "memory": memory, "clock": clock}
