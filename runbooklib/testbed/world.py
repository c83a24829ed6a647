"""The whole rehearsal world: brought up, looked at, taken down."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import docker
from docker.errors import APIError, NotFound

from runbooklib.places import testbed_folder
from runbooklib.testbed import contents, engine, hosts, images, mailimage, network, state
from runbooklib.testbed.engine import Say
from runbooklib.testbed.hosts import NAMES, HostStartError, Plot
from runbooklib.testbed.network import Range
from runbooklib.testbed.state import Image, State

FILES = (
    "state.json",
    "ca.pem",
    "ca.key",
    "id_ed25519",
    "mail.lantern.example.pem",
    "mail.lantern.example.key",
    "resolv.conf",
    "broken.json",
)


@dataclass(frozen=True)
class HostStatus:
    """One line of `runbook testbed status`."""

    host: str
    address: str
    container: str
    running: bool
    answers: bool


def folder_of(root: Path) -> Path:
    """Where a checkout's testbed keeps its state, whole, as its name is made from it."""
    return testbed_folder(root).resolve()


def name_of(folder: Path) -> str:
    """The prefix of everything the engine holds for the testbed of that folder."""
    return "mail-runbooks-" + hashlib.sha256(str(folder).encode()).hexdigest()[:8]


def bridge_of(name: str) -> str:
    """The network's interface on this machine (at most 15 characters)."""
    return "mrb-" + name.rpartition("-")[2]


def plot_of(folder: Path, known: State) -> Plot:
    """Where the hosts of a known testbed stand."""
    return Plot(known.name, folder, Range(IPv4Network(known.subnet4), IPv6Network(known.subnet6)))


def up(root: Path, say: Say, egress_25: bool = False) -> State:
    """Brings the testbed up; one that runs is left as it is, one half dead is mended, or made anew."""
    folder = folder_of(root)
    with locked(folder):
        docker_engine = engine.ensure(say)
        known = state.load(folder)
        if known and _revived(docker_engine, plot_of(folder, known), known, say):
            return _with_egress(docker_engine, folder, known, egress_25=egress_25)
        _clear(docker_engine, folder, say)
        try:
            return _make(docker_engine, folder, say, egress_25=egress_25)
        except BaseException:
            _clear(docker_engine, folder, say)
            raise


def down(root: Path, say: Say) -> None:
    """Takes the testbed down and removes everything `up` made, images excepted."""
    folder = folder_of(root)
    with locked(folder):
        _clear(engine.client(), folder, say)
    say("the testbed is down")


def status(root: Path) -> list[HostStatus]:
    """What each host is doing; nothing when there is no testbed."""
    folder = folder_of(root)
    known = state.load(folder)
    if known is None:
        return []
    plot = plot_of(folder, known)
    running = {c.name for c in engine.client().containers.list(filters=_ours(plot.name), ignore_removed=True)}
    return [_status_of(plot, host, plot.container(host) in running) for host in NAMES]


def _status_of(plot: Plot, host: str, running: bool) -> HostStatus:
    return HostStatus(
        host, plot.addresses.ipv4(host), plot.container(host), running, running and hosts.answers(plot, host)
    )


def load(root: Path, image: str, say: Say) -> Image:
    """Puts an image of this machine's engine into the running testbed's registry."""
    folder = folder_of(root)
    with locked(folder):
        docker_engine, known = engine.client(), required(folder)
        plot, chosen = plot_of(folder, known), mailimage.named(docker_engine, image)
        tag = _images(docker_engine, chosen, say)["registry"]
        remove(docker_engine, plot.container("registry"))
        _start_all(docker_engine, plot, {"registry": tag})
        state.save(folder, replace(known, image=chosen))
    return chosen


def required(folder: Path) -> State:
    """The state of the testbed that must be up.

    Raises HostStartError when there is none.
    """
    known = state.load(folder)
    if known is None:
        raise HostStartError("no testbed is up here: run `runbook testbed up`")
    return known


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One command at a time for the testbeds beside each other; nothing is left behind, even by a kill."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(docker_engine: docker.DockerClient, folder: Path, say: Say, *, egress_25: bool) -> State:
    engine.require_reachable(docker_engine)
    chosen = prepare(docker_engine, say)
    tags = _images(docker_engine, chosen, say)
    name = name_of(folder)
    say(f"starting {', '.join(tags)}")
    folder.mkdir(mode=0o700, exist_ok=True)
    addresses = network.create(docker_engine, name, bridge_of(name), {hosts.LABEL: name})
    plot = Plot(name, folder, addresses)
    network.close(docker_engine, tags["dns"], bridge_of(name))
    known = contents.create(plot, bridge_of(name), chosen, egress_25=egress_25)
    create_volumes(docker_engine, plot)
    _start_all(docker_engine, plot, tags)
    state.save(folder, known)
    say(f"the testbed is up: {chosen.description}, network {known.subnet4}")
    return known


def prepare(docker_engine: docker.DockerClient, say: Say) -> Image:
    """Has every image made that a testbed needs, and says which mail server it will hold."""
    real = mailimage.real(docker_engine, say)
    images.ensure(docker_engine, (images.SERVICES, images.SERVER, *(() if real else (images.STANDIN,))), say)
    return real or mailimage.stand_in(docker_engine)


def _images(docker_engine: docker.DockerClient, chosen: Image, say: Say) -> dict[str, str]:
    """Host → image."""
    services, server = images.ensure(docker_engine, (images.SERVICES, images.SERVER), say)
    own = {"server": server, "registry": mailimage.registry(docker_engine, chosen, services, say)}
    return {host: own.get(host, services) for host in NAMES}


def create_volumes(docker_engine: docker.DockerClient, plot: Plot) -> None:
    """The server's volumes, empty."""
    for part in hosts.VOLUMES:
        docker_engine.volumes.create(plot.volume(part), labels=plot.labels)


def _start_all(docker_engine: docker.DockerClient, plot: Plot, tags: dict[str, str]) -> None:
    def start(host: str) -> None:
        hosts.await_answer(plot, host, hosts.start(docker_engine, plot, host, tags[host]))

    with ThreadPoolExecutor(len(tags)) as pool:
        list(pool.map(start, tags))


def _revived(docker_engine: docker.DockerClient, plot: Plot, known: State, say: Say) -> bool:
    """Whether every host answers, stopped ones being started again; false when something has gone altogether."""
    try:
        docker_engine.networks.get(plot.name)
        containers = {host: docker_engine.containers.get(plot.container(host)) for host in NAMES}
        network.close(docker_engine, str(containers["dns"].attrs["Image"]), known.bridge)
        for host in [host for host, container in containers.items() if container.status != "running"]:
            say(f"starting {host} again")
            containers[host].start()
        for host, container in containers.items():
            hosts.await_answer(plot, host, container)
    except (APIError, HostStartError) as error:  # NotFound is an APIError
        say(f"making the testbed anew: {error}")
        return False
    return True


def _with_egress(docker_engine: docker.DockerClient, folder: Path, known: State, *, egress_25: bool) -> State:
    """The same testbed with outbound port 25 as asked."""
    if known.server.egress_25 == egress_25:
        return known
    plot = plot_of(folder, known)
    word = contents.write_egress(plot, egress_25=egress_25)
    container = docker_engine.containers.get(plot.container("server"))
    container.exec_run(["sh", "-c", 'echo "$0" > /etc/testbed/egress && egress "$0"', word])
    changed = replace(known, server=replace(known.server, egress_25=egress_25))
    state.save(folder, changed)
    return changed


def _ours(name: str) -> dict[str, str | list[str] | bool]:
    """The engine's filter for what belongs to one testbed."""
    return {"label": f"{hosts.LABEL}={name}"}


def remove(docker_engine: docker.DockerClient, container: str) -> None:
    """Removes a container if it is there, running or not."""
    try:
        docker_engine.containers.get(container).remove(force=True, v=True)
    except NotFound:
        return


def _clear(docker_engine: docker.DockerClient, folder: Path, say: Say) -> None:
    """Removes what the engine and the folder hold for this testbed, found by its label even after a crash."""
    name = name_of(folder)
    with ThreadPoolExecutor(len(NAMES)) as pool:
        containers = docker_engine.containers.list(all=True, filters=_ours(name), ignore_removed=True)
        list(pool.map(lambda container: container.remove(force=True, v=True), containers))
    for volume in docker_engine.volumes.list(filters=_ours(name)):
        volume.remove(force=True)
    for image in docker_engine.images.list(filters=_ours(name)):
        docker_engine.images.remove(str(image.id), force=True)
    _clear_network(docker_engine, name, say)
    shutil.rmtree(folder / "hosts", ignore_errors=True)
    for file in FILES:
        (folder / file).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _clear_network(docker_engine: docker.DockerClient, name: str, say: Say) -> None:
    """The network, and with it this machine's firewall rules about it; one that the engine keeps stops nothing else."""
    for found in docker_engine.networks.list(filters=_ours(name)):
        if kept := network.remove(found):
            say(f"the engine keeps network {name} ({kept}): `docker network rm {name}` once it lets go")
        for image in docker_engine.images.list(filters={"label": f"{images.LABEL}=services"})[:1]:
            network.reopen(docker_engine, str(image.id), bridge_of(name))
