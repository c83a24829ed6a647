"""No way out, no way to this machine, and port 25 as clouds have it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

import pytest
from docker.types import IPAMConfig, IPAMPool
from rehearsed import Rehearsed, reaches

from runbooklib.testbed import engine, hosts, images, world

CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"
OPEN = 30  # seconds that an open port may take on a busy machine
BOTH = pytest.mark.parametrize("version", ["ipv4", "ipv6"])


def tcp(testbed: Rehearsed, host: str, address: str, port: int) -> str:
    """What a connection from inside a host comes to: open, timeout, or the error's last line."""
    status, output = testbed.inside(host, "python3", "-c", CONNECT, address, str(port))
    last = output.strip().rpartition("\n")[2]
    return "open" if status == 0 else "timeout" if "timed out" in last else last


@contextmanager
def listening() -> Iterator[int]:
    """A listener of this machine on every address, and its port."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        threading.Thread(target=_accept, args=(server,), daemon=True).start()
        yield server.getsockname()[1]


def _accept(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:  # closed at the end of the test
        return


@pytest.mark.parametrize("subnet", ["subnet4", "subnet6"])
def test_listeners_of_this_machine_are_closed_to_the_testbed(testbed: Rehearsed, subnet: str) -> None:
    network = getattr(testbed.plot.addresses, subnet)
    gateway = str(network.network_address + 1)
    with listening() as port:
        assert reaches(gateway, port)
        assert tcp(testbed, "mx", gateway, port) == "timeout"


def test_its_other_addresses_are_closed_too(testbed: Rehearsed) -> None:
    subnet = engine.client().networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    docker_bridge = str(IPv4Network(subnet).network_address + 1)
    with listening() as port:
        assert reaches(docker_bridge, port)
        assert tcp(testbed, "mx", docker_bridge, port) != "open"


@pytest.fixture(scope="module")
def outside(testbed: Rehearsed) -> Iterator[dict[str, str]]:
    """Addresses of a listener on another network of this machine, which is not closed to anybody."""
    docker_engine, name = engine.client(), f"{testbed.state.name}-outside"
    labels = {hosts.LABEL: testbed.state.name}
    number = int(testbed.state.subnet4.split(".")[2])
    pools = [IPAMPool(subnet=f"198.51.100.{number & 0xF8}/29"), IPAMPool(subnet=f"2001:db8:ffff:{number:x}::/64")]
    network = docker_engine.networks.create(name, enable_ipv6=True, ipam=IPAMConfig(pool_configs=pools), labels=labels)
    script = (
        "import socket\nwith socket.create_server(('::',80),family=10,dualstack_ipv6=True) as s:\n while 1: s.accept()"
    )
    container = docker_engine.containers.run(
        images.SERVICES.tag(docker_engine), ["python3", "-c", script], network=name, labels=labels, detach=True
    )
    container.reload()
    found = container.attrs["NetworkSettings"]["Networks"][name]
    yield {"ipv4": found["IPAddress"], "ipv6": found["GlobalIPv6Address"]}
    container.remove(force=True)
    network.remove()


@BOTH
def test_there_is_no_way_out_even_with_a_route(testbed: Rehearsed, outside: dict[str, str], version: str) -> None:
    address, flag = outside[version], "-4" if version == "ipv4" else "-6"
    network = testbed.plot.addresses.subnet4 if version == "ipv4" else testbed.plot.addresses.subnet6
    _wait_until_reached(address)
    assert (
        testbed.inside("server", "ip", flag, "route", "add", address, "via", str(network.network_address + 1))[0] == 0
    )
    try:
        assert bash_tcp(testbed, address, 80) != 0
    finally:
        testbed.inside("server", "ip", flag, "route", "del", address)


def _wait_until_reached(address: str) -> None:
    assert any(reaches(address, 80, timeout=1) or threading.Event().wait(0.2) for _ in range(50)), address


def test_every_host_asks_the_testbeds_resolver(testbed: Rehearsed) -> None:
    expected = f"nameserver {testbed.state.resolver.ipv4}\n"
    assert {testbed.inside(host, "cat", "/etc/resolv.conf")[1] for host in hosts.NAMES} == {expected}


def bash_tcp(testbed: Rehearsed, address: str, port: int, seconds: int = 2) -> int:
    """124 when nothing came back, 1 when refused, 0 when open."""
    return testbed.inside("server", "timeout", str(seconds), "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}")[0]


@BOTH
def test_outbound_25_is_dropped_silently_and_587_is_open(testbed: Rehearsed, version: str) -> None:
    mx = getattr(testbed.state.mx, version)
    assert reaches(mx, 25)
    assert bash_tcp(testbed, mx, 25) == 124
    assert bash_tcp(testbed, getattr(testbed.state.relay, version), 587, OPEN) == 0


def test_egress_25_opens_port_25_and_takes_it_back(testbed: Rehearsed) -> None:
    opened = world.up(testbed.root, print, egress_25=True)
    assert opened.server.egress_25
    assert bash_tcp(testbed, testbed.state.mx.ipv4, 25, OPEN) == 0
    assert world.up(testbed.root, print) == testbed.state
    assert bash_tcp(testbed, testbed.state.mx.ipv4, 25) == 124
