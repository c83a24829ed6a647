"""The virtual server: its one way in, what it can install, and how it is put back."""

from __future__ import annotations

import json
import time

import paramiko
import pytest
from rehearsed import Rehearsed, reaches

from runbooklib.testbed import bases, engine, images, snapshots, state, world

INSTALL = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq docker.io docker-compose"
COMPOSE = """
services:
  listener:
    image: registry.example/docker-mailserver/docker-mailserver:15.1.0
    entrypoint: [python3, -c, "%s"]
    ports: ["8025:8025"]
    restart: always
    stop_signal: SIGKILL
    networks: [dual]
networks:
  dual:
    enable_ipv6: true
    ipam: {config: [{subnet: 172.30.1.0/24}, {subnet: "fd00:d::/64"}]}
""".strip()
LISTENER = (
    "import socket\\ns = socket.create_server(('::', 8025), family=10, dualstack_ipv6=True)\\n"
    "while 1:\\n c, a = s.accept(); c.send(a[0].encode()); c.close()"
)


@pytest.fixture(scope="module", autouse=True)
def _bare(testbed: Rehearsed) -> None:
    """Other tests may have left it deployed."""
    snapshots.reset(testbed.root)


def test_only_the_key_opens_it(testbed: Rehearsed) -> None:
    assert testbed.ssh("id -un").strip() == "root"
    with paramiko.Transport((testbed.state.server.ipv4, 22)) as transport:
        transport.start_client(timeout=10)
        assert transport.get_remote_server_key().fingerprint == testbed.state.server.host_key
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_password("root", "anything")
    assert refused.value.allowed_types == ["publickey"]


def test_it_is_a_fresh_debian_without_docker(testbed: Rehearsed) -> None:
    assert "trixie" in testbed.ssh("cat /etc/os-release")
    assert testbed.ssh("command -v docker systemctl python3 || true") == ""
    assert testbed.ssh("date +%Z").strip() == "UTC"


def test_its_packages_come_from_itself_alone(testbed: Rehearsed) -> None:
    assert testbed.ssh("cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true").count("\n") == 1
    offered = testbed.ssh("apt-get update -qq && apt-cache policy docker.io docker-compose docker-cli")
    assert offered.count("file:/srv/apt") == 3


def test_it_trusts_the_registry_which_holds_the_image(testbed: Rehearsed) -> None:
    tags = json.loads(testbed.ssh("curl -sS https://registry.example/v2/docker-mailserver/docker-mailserver/tags/list"))
    assert tags["tags"] == ["15.1.0"]


def test_another_image_can_be_loaded_and_the_first_one_again(testbed: Rehearsed) -> None:
    first, base = testbed.state.image, engine.client().images.get(bases.tag("bookworm"))
    try:
        loaded = world.load(testbed.root, bases.tag("bookworm"), print)
        assert (loaded.reference, loaded.id, loaded.source) == (first.reference, base.id, "host engine")
        assert offered(testbed) == base.id
    finally:
        world.load(testbed.root, first.id, print)
    assert offered(testbed) == first.id
    assert state.load(world.folder_of(testbed.root)).image.id == first.id
    with pytest.raises(images.ImageError, match=r"no image no\.such/image:1"):
        world.load(testbed.root, "no.such/image:1", print)


def offered(testbed: Rehearsed) -> str:
    """The id of the image the registry gives to the server."""
    accept = "Accept: application/vnd.docker.distribution.manifest.v2+json"
    url = "https://registry.example/v2/docker-mailserver/docker-mailserver/manifests/15.1.0"
    return str(json.loads(testbed.ssh(f"curl -sS -H '{accept}' {url}"))["config"]["digest"])


def test_bare_again_is_bare_and_keeps_its_identity(testbed: Rehearsed) -> None:
    testbed.ssh("touch /media/mine /var/lib/docker/mine")
    snapshots.take(testbed.root, "touched")
    snapshots.reset(testbed.root)
    assert testbed.ssh("ls /media /var/lib/docker") == "/media:\n\n/var/lib/docker:\n"
    snapshots.reset(testbed.root, "touched")
    assert testbed.ssh("ls /media /var/lib/docker") == "/media:\nmine\n\n/var/lib/docker:\nmine\n"
    snapshots.reset(testbed.root)
    with pytest.raises(snapshots.SnapshotError, match="no kept state 'other'"):
        snapshots.reset(testbed.root, "other")


def test_an_engine_of_its_own_publishes_to_both_families_and_survives_a_restart(testbed: Rehearsed) -> None:
    testbed.ssh(INSTALL)
    testbed.ssh(
        """echo '{"experimental": true, "ip6tables": true}' > /etc/docker/daemon.json && service docker start"""
    )
    testbed.ssh("for i in $(seq 60); do docker version >/dev/null 2>&1 && break; sleep 0.5; done; docker version")
    testbed.ssh(f"mkdir -p /opt/t && cat > /opt/t/compose.yaml <<'E'\n{COMPOSE % LISTENER}\nE")
    testbed.ssh("cd /opt/t && docker compose up -d --quiet-pull")
    try:
        _await_listener(testbed)
        _check_no_way_out_of_the_inner_container(testbed)
        testbed.container("server").restart(timeout=30)
        _await_listener(testbed)
    finally:
        snapshots.reset(testbed.root)


def _await_listener(testbed: Rehearsed) -> None:
    for address in (testbed.state.server.ipv4, testbed.state.server.ipv6):
        assert any(reaches(address, 8025) or _pause() for _ in range(60)), address
    seen = testbed.inside("mx", "python3", "-c", _SEEN, testbed.state.server.ipv4, testbed.state.server.ipv6)[1]
    assert seen.split() == [f"::ffff:{testbed.state.mx.ipv4}", testbed.state.mx.ipv6]


_SEEN = (
    "import socket,sys\nfor a in sys.argv[1:]: print(socket.create_connection((a, 8025), timeout=5).recv(99).decode())"
)


def _pause() -> None:
    time.sleep(0.5)


def _check_no_way_out_of_the_inner_container(testbed: Rehearsed) -> None:
    for name, port in (("mx.stranger.example", 25), ("9.9.9.9", 53)):
        attempt = f"import socket; socket.create_connection(('{name}', {port}), timeout=3)"
        said = testbed.ssh(f'cd /opt/t && docker compose exec -T listener python3 -c "{attempt}" 2>&1 || true')
        assert "timed out" in said or "unreachable" in said
    resolve = "import socket; socket.create_connection(('smtp.relay.example', 587), timeout=3)"
    testbed.ssh(f'cd /opt/t && docker compose exec -T listener python3 -c "{resolve}"')
