"""What stands on the server of a mailcow that we install, or have installed: asked over SSH in one round trip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from runbooklib import host
from runbooklib.host import Answer
from runbooklib.params import Site
from runbooklib.servers import engine
from runbooklib.servers.engine import Engine

# What generate_config.sh looks for before it does anything, and the package that brings it.
TOOLS = {
    "git": "git",
    "openssl": "openssl",
    "curl": "curl",
    "awk": "gawk",
    "sha1sum": "coreutils",
    "grep": "grep",
    "cut": "coreutils",
    "jq": "jq",
}
# The session's own environment, which sudo takes away: asked of the processes above this one.
WHENCE = r"""p=$$; while [ "${p:-0}" -gt 1 ]; do
c=$(tr '\0' '\n' 2>/dev/null </proc/$p/environ | sed -n 's/^SSH_CONNECTION=//p')
[ -n "$c" ] && { echo "${c%% *}"; break; }
p=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$p/status 2>/dev/null); done"""
# How many may log in with the password that mailcow's documentation names; it is stored with the same salt everywhere.
DEFAULT_ADMINS = (
    'mariadb -u"$MYSQL_USER" -p"$MYSQL_PASSWORD" "$MYSQL_DATABASE" -Ne "SELECT COUNT(*) FROM admin WHERE password = '
    '\\"{SSHA256}K8eVJ6YsZbQCfuJvSUbaQRLr0HPLz5rC9IAp0PAFl0tmNDBkMDc0NDAyOTAxN2Rk\\" AND active = 1"'
)
FACTS = {
    "missing": f"for c in {' '.join(TOOLS)}; do command -v $c >/dev/null || echo $c; done",
    "there": "ls -A {0}",
    "git": "test -d {0}/.git",
    "release": "git -C {0} describe --tags --exact-match HEAD",
    "conf": "cat {0}/mailcow.conf",
    "mode": "stat -c %a {0}/mailcow.conf",
    "running": 'cd {0} && w=$(docker compose config --services | sort) && [ -n "$w" ] && '
    '[ "$w" = "$(docker compose ps --services --filter status=running | sort)" ]',
    "zone": "cat /etc/timezone 2>/dev/null || readlink /etc/localtime | sed -n 's,.*zoneinfo/,,p'",
    "memory": "sed -n 's/^MemTotal: *\\([0-9]*\\) kB$/\\1/p' /proc/meminfo",
    "disk": 'd={0}; while [ ! -d "$d" ]; do d=$(dirname "$d"); done; df -Pk "$d" /var/lib | sed 1d',
    "listening": "ss -Hltnp",
    "virtual": "tr '\\0' '\\n' </proc/1/environ | sed -n 's/^container=//p'; [ ! -e /proc/vz ] || echo openvz",
    "whence": WHENCE,
    "default admin": "cd {0} && docker compose exec -T mysql-mailcow sh -c '"
    + DEFAULT_ADMINS
    + "' </dev/null 2>/dev/null",
}


ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")  # as tz database names are


@dataclass(frozen=True)
class Installed:
    """What stands on the server of a mailcow that we install, or have installed."""

    docker: Engine
    missing: tuple[str, ...] = ()  # of TOOLS
    files: bool = False  # anything at all in its folder
    checkout: bool = False
    release: str = ""
    conf: str | None = field(default=None, repr=False)  # holds passwords
    mode: str = ""
    running: bool = False  # every service of its compose file
    zone: str = ""
    memory: int = 0  # KiB
    disk: int = 0  # KiB free, where its files or Docker's are
    listening: Mapping[int, str] = field(default_factory=dict)  # port -> program
    virtual: str = ""  # the kind of container that the server itself is
    whence: str = ""  # the address we come from, as the server sees it
    default_admins: int | None = None  # who log in with the password that everybody knows; None: not told


def observe(site: Site) -> Installed:
    """Asked over SSH, in one round trip.

    Raises HostError.
    """
    asked = {name: command.replace("{0}", site.mail.directory) for name, command in FACTS.items()}
    return parse(host.connect(site).facts(engine.FACTS | asked))


def parse(told: Mapping[str, Answer]) -> Installed:
    """The server, from the answers to FACTS and to those about Docker."""
    said = {name: answer.out.strip() if (answer := told.get(name)) and answer.ok else "" for name in FACTS}
    return Installed(
        docker=engine.parse(told),
        missing=tuple(said["missing"].split()),
        files=bool(said["there"]),
        checkout="git" in told and told["git"].ok,
        release=said["release"],
        conf=told["conf"].out + "\n" if "conf" in told and told["conf"].ok else None,
        mode=said["mode"],
        running="running" in told and told["running"].ok,
        zone=said["zone"] if ZONE.fullmatch(said["zone"]) else "",
        memory=int(said["memory"] or 0),
        disk=min((int(found) for found in re.findall(r"(\d+) +\d+% /", said["disk"])), default=0),
        listening=listening(said["listening"]),
        virtual=said["virtual"],
        whence=said["whence"],
        default_admins=int(said["default admin"]) if said["default admin"].isdigit() else None,
    )


def listening(told: str) -> dict[int, str]:
    """Which ports are taken on an address that others reach, and by what, from `ss -Hltnp`."""
    lines = re.findall(r"^LISTEN +\d+ +\d+ +(\S+):(\d+) +\S+(?: +users:\(\(\"([^\"]+)\")?", told, re.MULTILINE)
    return {int(port): by or "something" for address, port, by in lines if not address.startswith(("127.", "[::1]"))}
