"""The virtual server: its one way in, what it can install, and how it is put back."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import paramiko
import pytest
from rehearsed import ANSWER, Rehearsed

from runbooklib import host, params
from runbooklib.testbed import bases, engine, images, snapshots, state, world


@pytest.fixture(scope="module", autouse=True)
def _bare(testbed: Rehearsed) -> None:
    """Other tests may have left it deployed."""
    snapshots.reset(testbed.root)


def test_only_the_key_opens_it(testbed: Rehearsed) -> None:
    assert testbed.ssh("id -un").strip() == "root"
    with paramiko.Transport((testbed.state.server.ipv4, 22)) as transport:
        transport.start_client(timeout=ANSWER)
        assert transport.get_remote_server_key().fingerprint == testbed.state.server.host_key
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_password("root", "anything")
    assert refused.value.allowed_types == ["publickey"]


@pytest.fixture
def site(testbed: Rehearsed, monkeypatch: pytest.MonkeyPatch) -> params.Site:
    monkeypatch.setenv("RUNBOOK_TESTBED", str(world.folder_of(testbed.root)))
    return params.load("params/rehearsal.yaml")


def test_what_ends_early_does_not_take_the_connection_of_others_with_it(site: params.Site) -> None:
    server, long = host.connect(site), b"x" * 2**18

    def commands(_: int) -> list[int]:
        answers = (server.run(argv, long, check=False) for argv in (("true",), ("sh", "-c", "exit 3"), ("wc", "-c")))
        return [answer.status for answer in answers]

    def hang_up(_: int) -> None:
        with closing(server.dial("127.0.0.1", 22)) as sock, suppress(OSError):
            for _line in range(100):
                sock.sendall(b"this is no SSH\r\n")

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(work, n) for n in range(40) for work in (commands, hang_up)]
        assert [future.result() for future in done] == [[0, 3, 0], None] * 40
    assert host.connect(site) is server


def test_what_a_command_is_sent_arrives_whole_and_ends_there(site: params.Site) -> None:
    server = host.connect(site)
    assert server.run(("wc", "-c"), b"\0\n" * 2**20).out.strip() == str(2**21)
    assert server.run(("cat",)).out == ""


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
