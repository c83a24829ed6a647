"""Docker on the far side: captured answers in, changes out."""

from __future__ import annotations

import pytest

from runbooklib.host import Answer, CommandChange, FileChange
from runbooklib.servers import engine
from runbooklib.servers.engine import Engine

DEBIAN_12 = {"ID": "debian", "VERSION_ID": "12", "PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"}
DEBIAN_13 = {"ID": "debian", "VERSION_ID": "13", "PRETTY_NAME": "Debian GNU/Linux 13 (trixie)"}
UBUNTU = {"ID": "ubuntu", "VERSION_ID": "24.04", "PRETTY_NAME": "Ubuntu 24.04 LTS"}
POLICY_12 = """docker-compose:
  Installed: (none)
  Candidate: 1.29.2-3
  Version table:
     1.29.2-3 500
"""
POLICY_13 = """docker-compose:
  Installed: (none)
  Candidate: 2.26.1-4
  Version table:
     2.26.1-4 500
"""
POLICY_UBUNTU = """docker-compose:
  Installed: (none)
  Candidate: 1.29.2-6ubuntu1
docker-compose-v2:
  Installed: (none)
  Candidate: 2.27.1+ds1-0ubuntu1~24.04.1
"""


@pytest.mark.parametrize(
    ("os", "policy", "ours"),
    [
        (DEBIAN_12, POLICY_12, False),
        (DEBIAN_13, POLICY_13, True),
        (UBUNTU, POLICY_UBUNTU, True),
        (DEBIAN_12, "", False),  # no lists yet: known by its release
        (DEBIAN_13, "", True),
        (UBUNTU, "", True),
        ({"ID": "devuan", "VERSION_ID": "5"}, "", False),
    ],
)
def test_the_distribution_is_used_where_it_brings_compose_2(os: dict[str, str], policy: str, *, ours: bool) -> None:
    package, candidate = engine.candidate_of(policy)
    bare = Engine(os, systemd=True, candidate=candidate, package=package)
    assert engine.distribution_suffices(bare) is ours
    change = engine.installation(bare, ipv6=False)[0]
    assert isinstance(change, CommandChange)
    assert (engine.DOCKER_KEY in change.after) is not ours
    assert ("docker.io" in change.argv[-1]) is ours


def test_the_key_of_dockers_repository_is_compared_before_apt_may_trust_it() -> None:
    script = engine.DOCKER_REPOSITORY
    assert script.index(engine.DOCKER_KEY) < script.index("mv /etc/apt/keyrings/docker.asc.new")
    assert script.index("mv /etc/apt/keyrings") < script.index("docker.sources")


@pytest.mark.parametrize(
    ("systemd", "word"), [(True, "systemctl enable --now"), (False, "update-rc.d docker defaults")]
)
def test_the_service_is_started_and_enabled_with_and_without_systemd(*, systemd: bool, word: str) -> None:
    changes = engine.installation(Engine(DEBIAN_13, systemd), ipv6=False)
    assert word in changes[1].argv[-1]  # type: ignore[attr-defined]


def test_nothing_is_done_where_docker_runs_and_starts_at_boot() -> None:
    there = Engine(DEBIAN_12, systemd=True, version="24.0.7", installed=True, compose="2.21.0", enabled=True)
    assert engine.installation(there, ipv6=False) == []


def test_compose_1_is_not_enough() -> None:
    old = Engine(DEBIAN_12, systemd=True, version="20.10.24", installed=True, compose="", enabled=True)
    assert [c.target for c in engine.installation(old, ipv6=False)] == ["Docker Engine and Compose"]


def test_ipv6_before_docker_27_keeps_what_daemon_json_held() -> None:
    there = Engine(
        DEBIAN_13,
        systemd=False,
        version="26.1.5",
        installed=True,
        compose="2.26.1",
        enabled=True,
        daemon='{"mtu": 1400}',
    )
    write, restart = engine.installation(there, ipv6=True)
    assert isinstance(write, FileChange)
    assert b'"mtu": 1400' in write.content
    assert b'"ip6tables": true' in write.content
    assert "restart" in restart.argv[-1]  # type: ignore[attr-defined]


def test_ipv6_from_docker_27_on_needs_nothing() -> None:
    there = Engine(DEBIAN_13, systemd=False, version="28.2.2", installed=True, compose="2.35.0", enabled=True)
    assert engine.installation(there, ipv6=True) == []


@pytest.mark.parametrize(
    ("version", "number"), [("26.1.5+dfsg1", 26), ("v2.26.1", 2), ("2:5.1", 5), ("", 0), ("none", 0), ("2.26.1-4", 2)]
)
def test_major(version: str, number: int) -> None:
    assert engine.major(version) == number


def test_a_server_that_may_not_ask_docker_says_so() -> None:
    said = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
    facts = {"client": Answer(0, "/usr/sbin/dockerd"), "engine": Answer(1, said), "os": Answer(0, 'ID="debian"')}
    parsed = engine.parse(facts)
    assert not parsed.version
    assert parsed.installed
    assert parsed.said == said
