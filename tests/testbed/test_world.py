"""Up, status, down: what they make, leave alone, mend and remove."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from rehearsed import Rehearsed

from runbooklib.testbed import engine, hosts, images, snapshots, state, world


def started(testbed: Rehearsed) -> dict[str, str]:
    return {host: testbed.container(host).attrs["State"]["StartedAt"] for host in hosts.NAMES}


def test_every_host_answers(testbed: Rehearsed) -> None:
    found = world.status(testbed.root)
    assert [(line.host, line.running, line.answers) for line in found] == [(host, True, True) for host in hosts.NAMES]


def test_up_again_changes_nothing(testbed: Rehearsed) -> None:
    before = started(testbed)
    assert world.up(testbed.root, print) == testbed.state
    assert started(testbed) == before


def test_the_state_is_for_its_owner_only(testbed: Rehearsed) -> None:
    folder = world.folder_of(testbed.root)
    private = [folder / "state.json", Path(testbed.state.server.ssh_key), Path(testbed.state.server.certificate_key)]
    assert [stat.S_IMODE(path.stat().st_mode) for path in private] == [0o600] * 3
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_nothing_is_published_on_this_machine(testbed: Rehearsed) -> None:
    for host in hosts.NAMES:
        attributes = testbed.container(host).attrs
        assert not attributes["HostConfig"]["PortBindings"]
        assert not any(attributes["NetworkSettings"]["Ports"].values())


def test_a_stopped_host_is_started_again_and_the_rest_left_alone(testbed: Rehearsed) -> None:
    before = started(testbed)
    testbed.container("relay").kill()
    assert [line.host for line in world.status(testbed.root) if not line.running] == ["relay"]
    assert world.up(testbed.root, print) == testbed.state
    after = started(testbed)
    assert after.pop("relay") != before.pop("relay")
    assert after == before


def held(root: Path) -> list[str]:
    """What the engine holds under the label of a root's testbed."""
    docker_engine, ours = engine.client(), {"label": f"{hosts.LABEL}={world.name_of(world.folder_of(root))}"}
    found = [
        *docker_engine.containers.list(all=True, filters=ours, ignore_removed=True),
        *docker_engine.networks.list(filters=ours),
    ]
    volumes, kept = docker_engine.volumes.list(filters=ours), docker_engine.images.list(filters=ours)
    return [str(thing.id) for thing in (*found, *volumes, *kept)]


def firewall(bridge: str) -> list[str]:
    """The machine's packet filter rules about a bridge, seen from its own network namespace."""
    docker_engine = engine.client()
    output = docker_engine.containers.run(
        images.SERVICES.tag(docker_engine),
        ["sh", "-c", "iptables -S; ip6tables -S"],
        network_mode="host",
        cap_add=["NET_ADMIN"],
        remove=True,
    )
    return [line for line in output.decode().splitlines() if bridge in line]


def test_another_testbed_stands_beside_this_one_and_goes_without_a_trace(testbed: Rehearsed, second: Path) -> None:
    other = world.up(second, print)
    assert other.subnet4 != testbed.state.subnet4
    assert other.dns.tsig.secret != testbed.state.dns.tsig.secret
    assert other.relay.password != testbed.state.relay.password
    assert other.resend.api_key != testbed.state.resend.api_key
    assert len(firewall(other.bridge)) >= 6
    snapshots.take(second, "kept")
    (world.folder_of(second) / state.FILE).unlink()  # as after a crash
    world.down(second, print)
    assert held(second) == []
    assert firewall(other.bridge) == []
    assert not world.folder_of(second).exists()
    assert len(firewall(testbed.state.bridge)) >= 6


def test_a_testbed_that_lost_a_host_is_made_anew(second: Path) -> None:
    first = world.up(second, print)
    engine.client().containers.get(f"{first.name}-mx").remove(force=True)
    again = world.up(second, print)
    assert again.relay.password != first.relay.password
    assert all(line.answers for line in world.status(second))


def test_without_a_testbed_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(hosts.HostStartError, match="runbook testbed up"):
        snapshots.reset(tmp_path)
