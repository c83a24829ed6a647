"""The Docker Engine on the far side of the SSH connection: what is there, and what installing it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from runbooklib.host import Answer, CommandChange, FileChange, os_release
from runbooklib.results import Change

OLDEST_COMPOSE = 2
NOT_FOUND = 127  # the shell's status for a command that is not there
IPV6_BY_DEFAULT = 27  # Docker Engine release notes: ip6tables needs no experimental flag since 27.0
# https://docs.docker.com/engine/install/debian/: the fingerprint of the key that signs Docker's own repository
DOCKER_KEY = "9DC858229FC7DD38854AE2D88D81803C0EBFCD88"
DAEMON_JSON = "/etc/docker/daemon.json"
# The systems whose own packages bring Compose 2, where apt has no lists yet to ask.
COMPOSE_2_SINCE = {"debian": 13, "ubuntu": 24}
FACTS = {
    "os": "cat /etc/os-release",
    "systemd": "test -d /run/systemd/system",
    "engine": "docker version --format '{{.Server.Version}}'",
    "client": "command -v dockerd",
    "compose": "docker compose version --short",
    "enabled": ("if [ -d /run/systemd/system ]; then systemctl is-enabled docker; else ls /etc/rc2.d/S??docker; fi"),
    "policy": "apt-cache policy docker-compose docker-compose-v2",
    "daemon.json": f"cat {DAEMON_JSON}",
}
# A run that was cut off may have left apt at work on the server: wait for its lock.
INSTALL = "apt-get install -y -qq -o DPkg::Lock::Timeout=120"
# Docker's own key is compared with the pinned fingerprint before apt may trust it.
DOCKER_REPOSITORY = f"""set -e
apt-get update -qq
apt-get install -y -qq ca-certificates curl gpg
install -d -m 0755 /etc/apt/keyrings
. /etc/os-release
curl -fsSL "https://download.docker.com/linux/$ID/gpg" -o /etc/apt/keyrings/docker.asc.new
gpg --show-keys --with-colons /etc/apt/keyrings/docker.asc.new | grep -q '^fpr:*{DOCKER_KEY}:$' || {{
  echo "the key of Docker's repository is not {DOCKER_KEY}" >&2; rm -f /etc/apt/keyrings/docker.asc.new; exit 65; }}
mv /etc/apt/keyrings/docker.asc.new /etc/apt/keyrings/docker.asc
printf 'Types: deb\\nURIs: https://download.docker.com/linux/%s\\nSuites: %s\\nComponents: stable\\nSigned-By: %s\\n' \\
  "$ID" "$VERSION_CODENAME" /etc/apt/keyrings/docker.asc >/etc/apt/sources.list.d/docker.sources
apt-get update -qq"""


@dataclass(frozen=True)
class Engine:
    """What is known of Docker on the server."""

    os: Mapping[str, str]
    systemd: bool
    version: str = ""  # of the running engine; empty: none runs, or we may not ask it
    installed: bool = False
    compose: str = ""
    enabled: bool = False
    candidate: str = ""  # the version of Compose the distribution's packages would bring
    package: str = "docker-compose"
    daemon: str | None = None  # text of daemon.json
    said: str = ""  # what docker answered where it did not answer with a version

    @property
    def ready(self) -> bool:
        return bool(self.version) and major(self.compose) >= OLDEST_COMPOSE


def major(version: str) -> int:
    """The first number of a version, 0 where there is none; an epoch (2:…) is no part of it."""
    found = re.match(r"(?:\d+:)?v?(\d+)", version)
    return int(found[1]) if found else 0


def parse(facts: Mapping[str, Answer]) -> Engine:
    """The engine, from the answers to FACTS."""
    told = {name: facts[name].out.strip() if name in facts and facts[name].ok else "" for name in FACTS}
    package, candidate = candidate_of(told["policy"])
    engine = facts.get("engine", Answer(1, ""))
    return Engine(
        os=os_release(told["os"]),
        systemd="systemd" in facts and facts["systemd"].ok,
        version=told["engine"] if major(told["engine"]) else "",
        installed=bool(told["client"]),
        compose=told["compose"],
        enabled=bool(told["enabled"]) and told["enabled"] != "disabled",
        candidate=candidate,
        package=package,
        daemon=told["daemon.json"] or None,
        said="" if engine.ok or engine.status == NOT_FOUND else engine.out.strip(),
    )


def candidate_of(policy: str) -> tuple[str, str]:
    """The package that would bring Compose 2, and its version, from `apt-cache policy`."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)", policy, re.MULTILINE)
    best = max(((major(version), name, version) for name, version in found), default=(0, "docker-compose", ""))
    return best[1], best[2]


def distribution_suffices(engine: Engine) -> bool:
    """Whether the distribution's own packages bring Compose 2: as apt says, else as its release is known to."""
    if engine.candidate:
        return major(engine.candidate) >= OLDEST_COMPOSE
    return major(engine.os.get("VERSION_ID", "")) >= COMPOSE_2_SINCE.get(engine.os.get("ID", ""), 10**6)


def installation(engine: Engine, *, ipv6: bool) -> list[Change]:
    """The changes that make Docker and Compose run now and after a restart; none where they already do."""
    return [*_daemon_json(engine, ipv6=ipv6), *_packages(engine), *_service(engine)]


def _packages(engine: Engine) -> list[Change]:
    if engine.installed and major(engine.compose) >= OLDEST_COMPOSE:
        return []
    have = f"engine {engine.version or 'absent'}, compose {engine.compose or 'absent'}"
    if distribution_suffices(engine):
        package = engine.package if engine.candidate else _package_of(engine.os.get("ID", ""))
        script = f"apt-get update -qq && {INSTALL} --no-install-recommends docker.io docker-cli {package}"
        if engine.os.get("ID") == "ubuntu":
            script = script.replace(" docker-cli", "")  # Ubuntu's docker.io brings its client along
        after = f"docker.io and {package} {engine.candidate}".strip()
        why = f"the packages of {engine.os.get('PRETTY_NAME', 'this system')} bring Compose {OLDEST_COMPOSE} or later"
    else:
        script = f"{DOCKER_REPOSITORY}\n{INSTALL} docker-ce docker-ce-cli containerd.io docker-compose-plugin"
        after = f"docker-ce and docker-compose-plugin from Docker's own repository, key {DOCKER_KEY}"
        why = f"{engine.os.get('PRETTY_NAME', 'this system')} brings only Compose {engine.candidate or '1'}"
    argv = ("env", "DEBIAN_FRONTEND=noninteractive", "sh", "-c", script)
    return [CommandChange(10, "Docker Engine and Compose", have, after, why, undo="apt-get purge them", argv=argv)]


def _package_of(distribution: str) -> str:
    return "docker-compose-v2" if distribution == "ubuntu" else "docker-compose"


def _service(engine: Engine) -> list[Change]:
    if engine.version and engine.enabled:
        return []
    # Debian's postinst enables and starts where it can; in a system without systemd it may do neither.
    start = (
        "systemctl enable --now docker"
        if engine.systemd
        else "update-rc.d docker defaults >/dev/null && { docker version >/dev/null 2>&1 || service docker start; }"
    )
    wait = "i=0; until docker version >/dev/null 2>&1; do i=$((i+1)); [ $i -lt 60 ] || exit 1; sleep 0.5; done"
    have = f"{'running' if engine.version else 'not running'}, {'' if engine.enabled else 'not '}started at boot"
    kind = "systemd" if engine.systemd else "init scripts"
    argv = ("sh", "-c", f"{start} && {wait}")
    return [
        CommandChange(
            11,
            "Docker service",
            have,
            "running, started at boot",
            f"mail must come back after a restart ({kind})",
            argv=argv,
        )
    ]


def _daemon_json(engine: Engine, *, ipv6: bool) -> list[Change]:
    """IPv6 clients keep their own address only where Docker handles IPv6 packets itself."""
    expected = major(engine.version) or (26 if distribution_suffices(engine) else IPV6_BY_DEFAULT)
    if not ipv6 or expected >= IPV6_BY_DEFAULT:
        return []
    have = json.loads(engine.daemon or "{}")
    want = have | {"experimental": True, "ip6tables": True}
    if have == want:
        return []
    text = json.dumps(want, indent=2) + "\n"
    why = f"before Docker {IPV6_BY_DEFAULT} IPv6 clients arrive as the bridge's gateway, and SPF refuses good mail"
    write = FileChange(
        9,
        DAEMON_JSON,
        engine.daemon or "absent",
        "experimental, ip6tables",
        why,
        path=DAEMON_JSON,
        content=text.encode(),
    )
    restart = CommandChange(
        12,
        "Docker service, IPv6",
        "without ip6tables",
        "restarted with ip6tables",
        why,
        argv=("sh", "-c", "service docker restart"),
    )
    return [write, *([restart] if engine.version else [])]
