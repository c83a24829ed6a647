"""What outlives the container: queue and caches moved onto the mail-state volume, stale process files swept."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

VOLUME = Path("/var/mail-state")
MOVED = ("spool/postfix", "lib/postfix", "lib/dovecot", "lib/logrotate")
SRS_FOLDER, SRS_SECRET = "lib/postsrsd", Path("/etc/postsrsd.secret")
STALE = ("rsyslogd.pid", "crond.pid", "dovecot/master.pid", "opendkim/opendkim.pid", "opendmarc/opendmarc.pid")


def consolidate(*, srs: bool) -> None:
    """Move the services' state to the volume, where it is mounted; what lies there already wins."""
    if not VOLUME.is_dir():
        return
    if srs:
        _move_file(SRS_SECRET, VOLUME / SRS_SECRET.relative_to("/"))
    moved = (*MOVED, SRS_FOLDER) if srs else MOVED
    foreign = [_move(Path("/var") / name, VOLUME / name.replace("/", "-")) for name in moved]
    if any(foreign):
        # Takes seconds, so only where another image's users own what was found.
        subprocess.run(["postfix", "set-permissions"], capture_output=True, check=False)


def _move(own: Path, kept: Path) -> bool:
    """Put a link to `kept` in the place of `own`; whether `kept` belonged to another image's user."""
    if own.is_symlink():
        return False
    if not kept.exists():
        subprocess.run(["cp", "--archive", own, kept], check=True)
    foreign = own.stat().st_uid != kept.stat().st_uid
    shutil.rmtree(own)
    own.symlink_to(kept)
    return foreign


def _move_file(own: Path, kept: Path) -> None:
    """Put a link to `kept` in the place of `own`."""
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        shutil.move(own, kept)
    own.unlink(missing_ok=True)
    own.symlink_to(kept)


def sweep() -> None:
    """Remove the process files of a container that was killed: their numbers belong to other processes now."""
    for name in STALE:
        (Path("/run") / name).unlink(missing_ok=True)
