"""What the machine itself says over SSH: disk, memory, clock."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runbooklib import host
from runbooklib.params import DOCKER_MAILSERVER, MAILCOW, POSTFIX, Site

# Where mail and queue are kept, and what containers write; another full disk keeps no mail from coming.
HOLDING: Mapping[str, tuple[str, ...]] = {
    DOCKER_MAILSERVER: ("/var/lib/docker",),
    MAILCOW: ("/var/lib/docker",),
    POSTFIX: ("/var/spool/postfix", "/var/mail", "/var/vmail", "/home/vmail"),
}
PARTS = ("mail-data", "mail-state", "mail-logs")  # of docker-mailserver's folder: any may be a disk of its own
DF = 'df -Pk "$@" 2>/dev/null; df -Pi "$@" 2>/dev/null'  # maildirs are many small files: inodes may run out first
WITHIN = f"set -- /var/mail /var/mail-state /var/spool/postfix; {DF}"
COLUMNS = 6
KIB = 1024


@dataclass(frozen=True)
class Volume:
    """A file system as `df` tells of it; `free` is in octets, or in inodes."""

    disk: str
    percent: int
    free: int

    def told(self) -> dict[str, int]:
        """Of it what a fact holds."""
        return {"percent": self.percent, "free": self.free}


def disk(site: Site, within: str = "") -> dict[str, dict[str, int]]:
    """Percent used and what is free by mount point, of those that hold mail, queue and containers.

    `within` is what the container says to WITHIN; its disks that the server has too count once.
    """
    here = used(host.connect(site).run(("sh", "-c", DF, "df", *folders(site)), check=False).out)
    disks = {volume.disk for volume in here.values()}
    here |= {mount: volume for mount, volume in used(within).items() if volume.disk not in disks}
    return {mount: volume.told() for mount, volume in here.items()}


def folders(site: Site) -> tuple[str, ...]:
    """Where the mail server keeps what it writes."""
    folder = site.mail.directory
    parts = (f"{folder}/{part}" for part in PARTS if site.mail.server == DOCKER_MAILSERVER)
    return (*HOLDING[site.mail.server], folder, *parts)


def used(told: str) -> dict[str, Volume]:
    """The file system at each mount point in what `df -Pk` and `df -Pi` print, its disk known by name and size."""
    found = dict[str, Volume]()
    kind, unit = "", KIB
    for row in (line.split(maxsplit=5) for line in told.splitlines()):
        if row[0] == "Filesystem":
            kind, unit = (" (inodes)", 1) if row[1] == "Inodes" else ("", KIB)
        elif len(row) == COLUMNS and row[4].rstrip("%").isdigit():  # a file system without inodes of its own says -
            found[row[5] + kind] = Volume(f"{row[0]} {row[1]}", int(row[4].rstrip("%")), max(0, int(row[3])) * unit)
    return found


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
