"""mailcow installed over SSH at a pinned release: its checkout, an unattended configuration, its API key, its start."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from runbooklib.host import CommandChange, Host
from runbooklib.params import Site
from runbooklib.results import Change
from runbooklib.servers import blocks, engine
from runbooklib.servers.mailcow.api import KEY
from runbooklib.servers.mailcow.installed import TOOLS, Installed

STAGE = "01-bootstrap"
BEFORE = 100  # its steps come before all that speak to the API
OLDEST_ENGINE = 24  # docs.mailcow.email: Prerequisites
SMALL = 2560 * 1024  # KiB of memory up to which mailcow itself advises against ClamAV
BRIDGE = "172.22.1"  # IPV4_NETWORK where mailcow.conf names no other
# A checkout that broke off leaves only the folder beside; the branch master stands at the release, because the script
# that follows checks master out by force. Other tags stay away, or the newest would be taken for the version.
CHECKOUT = """set -e; umask 0022; export GIT_TERMINAL_PROMPT=0
if [ ! -d "$1/.git" ]; then
  rm -rf "$1.new"; mkdir -p "$(dirname "$1")"; git clone -q --no-tags "$2" "$1.new"
  [ ! -e "$1" ] || rmdir "$1"; mv "$1.new" "$1"
fi
cd "$1"; git fetch -q origin "refs/tags/$3:refs/tags/$3"; git checkout -q -B master "$3"
"""
# The script itself ends with 0 whatever happened in it; what it has made tells. Its update.sh wants the other tags.
GENERATE = """set -e; umask 0022; cd "$1"
[ ! -e mailcow.conf ] || { echo "mailcow.conf is there already" >&2; exit 73; }
./generate_config.sh </dev/null
chmod 600 mailcow.conf; grep -qx "MAILCOW_HOSTNAME=$2" mailcow.conf
[ "$(git describe --tags --exact-match HEAD)" = "$3" ] || { echo "the checkout is not at $3 any more" >&2; exit 70; }
git config --unset remote.origin.tagOpt || true
"""


def setting(conf: str, name: str) -> str:
    """What mailcow.conf says; where it says it twice, the last counts."""
    found = re.findall(rf"^{name}=(.*)$", conf, re.MULTILINE)
    return found[-1].strip() if found else ""


def changes(site: Site, have: Installed) -> list[Change]:
    """What makes this release run with our key; nothing where it does."""
    made = [*_tools(have), *engine.installation(have.docker, ipv6=site.server.ipv6 is not None)]
    made += [*_checkout(site, have), *_configuration(site, have), *_key(site, have)]
    if made or not have.running:
        made += _start(site, have)
    return [replace(change, order=change.order - BEFORE) for change in made]


def refusals(site: Site, have: Installed) -> Iterator[str]:
    """Why it must not be installed so."""
    mail, conf = site.mail, have.conf or ""
    key = mail.api_key.reveal() if mail.api_key else ""
    if not KEY.match(key):
        yield f"mail.api_key ({mail.api_key}) may hold only letters, digits and dashes, or mailcow reads another key"
    if have.docker.version and engine.major(have.docker.version) < OLDEST_ENGINE:
        yield f"Docker {have.docker.version} is there, mailcow needs {OLDEST_ENGINE} or later: update it first"
    if have.files and not have.checkout:
        yield f"{mail.directory} holds something that is no git checkout: name another mail.directory"
    named = setting(conf, "MAILCOW_HOSTNAME")
    if named and named != site.server.hostname:
        yield f"mailcow.conf says MAILCOW_HOSTNAME={named}, params say {site.server.hostname}: make them agree"
    others = setting("\n".join(blocks.outside(conf, STAGE)), "API_KEY")
    if others and others != key:
        yield "mailcow.conf has an API_KEY of other hands: name that one in mail.api_key, or take it out"


def _tools(have: Installed) -> list[Change]:
    packages = " ".join(sorted({TOOLS[tool] for tool in have.missing if tool in TOOLS}))
    if not packages:
        return []
    script = f"apt-get update -qq && {engine.INSTALL} --no-install-recommends {packages}"
    argv = ("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script)
    why = "mailcow's own scripts do not start without them"
    return [CommandChange(8, "packages", f"without {', '.join(have.missing)}", packages, why, argv=argv)]


def _checkout(site: Site, have: Installed) -> list[Change]:
    """An installed mailcow stays at the release it is at: its own update.sh moves it, and nothing else."""
    mail = site.mail
    if have.conf is not None or (have.checkout and have.release == mail.tag):
        return []
    argv = ("sh", "-c", CHECKOUT, "checkout", mail.directory, mail.repository, str(mail.tag))
    before = f"at {have.release or 'another commit'}" if have.checkout else "absent"
    why, undo = f"release {mail.tag} of {mail.repository}, and no other", f"rm -r {mail.directory}"
    fix = "does mail.repository have that tag, and may the server reach it?"
    target = f"{mail.directory} (git checkout)"
    return [CommandChange(13, target, before, f"at {mail.tag}", why, undo, argv=argv, fix=fix)]


def environment(site: Site, have: Installed) -> dict[str, str]:
    """What generate_config.sh would ask a person."""
    return {
        "MAILCOW_HOSTNAME": site.server.hostname,
        "MAILCOW_TZ": have.zone or "Etc/UTC",
        "MAILCOW_BRANCH": "master",
        "SKIP_CLAMD": "y" if 0 < have.memory <= SMALL else "n",
        "FORCE": "1",  # or it asks about IPv6
    }


def _configuration(site: Site, have: Installed) -> list[Change]:
    if have.conf is not None:
        return []
    told, mail = environment(site, have), site.mail
    argv = ("env", *(f"{name}={value}" for name, value in told.items()), "sh", "-c", GENERATE, "generate")
    argv += (mail.directory, site.server.hostname, str(mail.tag))
    after = f"{', '.join(f'{k}={v}' for k, v in told.items())}; passwords made at random, mode 600"
    why = (
        "generate_config.sh, unattended. Where there is IPv6, FORCE lets it write so into /etc/docker/daemon.json "
        "and restart Docker with all containers; it asks asn-check.mailcow.email whether Spamhaus blocks the network"
    )
    fix = "what it says above tells what it misses; mailcow.conf is made only where there is none"
    target = f"{mail.directory}/mailcow.conf"
    return [CommandChange(14, target, "absent", after, why, f"rm {target}", argv=argv, fix=fix)]


def _key(site: Site, have: Installed) -> list[Change]:
    lines, ours = key_lines(site, have.whence, have.conf or ""), blocks.block(have.conf or "", STAGE)
    allowed = lines[-1].partition("=")[2]
    known = set(setting("\n".join(ours), "API_ALLOW_FROM").split(","))
    if have.mode == "600" and ours[:1] == lines[:1] and set(allowed.split(",")) <= known:
        return []
    path = f"{site.mail.directory}/mailcow.conf"
    before = "another key, address or file mode" if ours else "no block of ours"
    after, why = f"API_KEY ({site.mail.api_key}), API_ALLOW_FROM={allowed}", "both, or mailcow takes no key at all"
    undo = "take the block out, docker compose up -d"
    return [Block(15, f"{path} (API)", before, after, why, undo, path=path, site=site, whence=have.whence)]


def key_lines(site: Site, whence: str, conf: str) -> list[str]:
    """The lines that let us in: from the host itself, as its bridge has it, and from where we come."""
    bridge = f"{setting(conf, 'IPV4_NETWORK') or BRIDGE}.1"
    seen = str(ip_address(whence.removeprefix("::ffff:"))) if whence else ""
    allowed = dict.fromkeys(filter(None, (bridge, "127.0.0.1", seen)))
    key = site.mail.api_key.reveal() if site.mail.api_key else ""
    return [f"API_KEY={key}", f"API_ALLOW_FROM={','.join(allowed)}"]


def _start(site: Site, have: Installed) -> list[Change]:
    folder, why = site.mail.directory, "every image of this release, some 5 GB; the first start makes its databases"
    pull = ("sh", "-c", 'cd "$1" && docker compose pull -q', "pull", folder)
    up = ("sh", "-c", 'cd "$1" && docker compose up -d --quiet-pull', "up", folder)
    fix = "can the server reach the registries (ghcr.io, docker.io)? `docker compose pull` there shows more"
    before = "some or all not running" if not have.running else "running as before"
    images = CommandChange(16, "images of mailcow", "not all there", "pulled", why, argv=pull, timeout=3600, fix=fix)
    logs = f"`docker compose ps` and `docker compose logs` in {folder} say which did not start"
    containers = CommandChange(
        17, "containers of mailcow", before, "running", why, "docker compose down", argv=up, timeout=1800, fix=logs
    )
    return [*([] if have.running else [images]), containers]


@dataclass(frozen=True)
class Block(Change):
    """Our block in mailcow.conf, which the step before may only just have made; every other line stays."""

    path: str = ""
    site: Site | None = field(default=None, repr=False)
    whence: str = ""

    def do(self, server: Host) -> None:
        if self.site is None:
            raise AssertionError("a plan names its site")
        text = server.run(("cat", self.path)).out
        lines = key_lines(self.site, self.whence, text)
        server.write(self.path, blocks.with_block(text, STAGE, lines), 0o600)
