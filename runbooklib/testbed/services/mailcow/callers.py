"""Who may ask: keys, the addresses they may come from, and the ban of those who guess."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from provider.serving import Answer

from mailcow.php import encoded
from mailcow.store import Database

ATTEMPTS, WINDOW, BANNED = 10, 600, 1800  # wrong keys, within seconds of each other, and the ban's seconds


@dataclass
class Bans:
    """mailcow's netfilter: after ten wrong keys an address is not answered at all.

    Private and loopback addresses are exempt there; a testbed's stand for the Internet's, so they count unless told
    otherwise.
    """

    exempt: bool = False  # private and loopback addresses
    tries: dict[str, tuple[int, float]] = field(default_factory=dict)
    until: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def banned(self, remote: str) -> bool:
        return self.until.get(remote, 0.0) > time.monotonic()

    def note(self, remote: str) -> None:
        """One more wrong key from there."""
        if self.exempt and (ip_address(remote).is_private or ip_address(remote).is_loopback):
            return
        with self.lock:
            count, last = self.tries.get(remote, (0, 0.0))
            now = time.monotonic()
            count = count + 1 if now - last <= WINDOW else 1
            self.tries[remote] = (count, now)
            if count >= ATTEMPTS:
                self.until[remote] = now + BANNED


@dataclass(frozen=True)
class Caller:
    """What the caller may do: rw, ro, or nothing without a key; or why it is turned away."""

    access: str = ""
    refusal: Answer | None = None


def recognize(db: Database, headers: Mapping[str, str], remote: str, bans: Bans) -> Caller:
    """Looks the key up; letters' case does not matter, and other characters than a key's are dropped."""
    given = headers.get("x-api-key", "")
    if not given or given == "0":
        return Caller()
    key = re.sub(r"[^a-zA-Z0-9-]", "", given)
    row = db.row("SELECT * FROM api WHERE api_key = ? AND active = 1", key)
    if row is None or not key:
        return _refused(bans, remote, "authentication failed")
    if not row["skip_ip_check"] and not _allowed(remote, row["allow_from"]):
        return _refused(bans, remote, f"api access denied for ip {remote}")
    return Caller(row["access"])


def _refused(bans: Bans, remote: str, why: str) -> Caller:
    bans.note(remote)
    body = encoded({"type": "error", "msg": why})
    return Caller(refusal=Answer(401, body, {"Content-Type": "text/html; charset=utf-8"}))


def _allowed(remote: str, allow_from: str) -> bool:
    networks = [part for part in re.split(r"[ ,;\n]+", allow_from) if part]
    return any(ip_address(remote) in ip_network(network, strict=False) for network in networks)
