"""The server's own Docker Engine, as stage 01 leaves it: a listener beside the mail server, on both families."""

from __future__ import annotations

import time

from rehearsed import Rehearsed, reaches

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


def test_an_engine_of_its_own_publishes_to_both_families_and_survives_a_restart(deployed: Rehearsed) -> None:
    deployed.ssh(f"mkdir -p /opt/t && cat > /opt/t/compose.yaml <<'E'\n{COMPOSE % LISTENER}\nE")
    deployed.ssh("cd /opt/t && docker compose up -d --quiet-pull")
    try:
        _await_listener(deployed)
        _check_no_way_out_of_the_inner_container(deployed)
        deployed.container("server").restart(timeout=30)
        _await_listener(deployed)
    finally:
        deployed.ssh("cd /opt/t && docker compose down && rm -r /opt/t")


def _await_listener(testbed: Rehearsed) -> None:
    for address in (testbed.state.server.ipv4, testbed.state.server.ipv6):
        assert any(reaches(address, 8025) or _pause() for _ in range(240)), address
    seen = testbed.inside("mx", "python3", "-c", _SEEN, testbed.state.server.ipv4, testbed.state.server.ipv6)[1]
    assert seen.split() == [f"::ffff:{testbed.state.mx.ipv4}", testbed.state.mx.ipv6]


_SEEN = (
    "import socket,sys\nfor a in sys.argv[1:]: print(socket.create_connection((a, 8025), timeout=30).recv(99).decode())"
)


def _pause() -> None:
    time.sleep(0.5)


def _check_no_way_out_of_the_inner_container(testbed: Rehearsed) -> None:
    for name, port in (("mx.stranger.example", 25), ("9.9.9.9", 53)):
        attempt = f"import socket; socket.create_connection(('{name}', {port}), timeout=3)"
        said = testbed.ssh(f'cd /opt/t && docker compose exec -T listener python3 -c "{attempt}" 2>&1 || true')
        assert "timed out" in said or "unreachable" in said
    resolve = "import socket; socket.create_connection(('smtp.relay.example', 587), timeout=30)"
    testbed.ssh(f'cd /opt/t && docker compose exec -T listener python3 -c "{resolve}"')
