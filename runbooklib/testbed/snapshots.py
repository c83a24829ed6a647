"""Putting the testbed's server, zone and mailboxes back to an earlier day, in seconds."""

from __future__ import annotations

from pathlib import Path

import dns.exception
import dns.name
import dns.query
import dns.rcode
import dns.rdataset
import dns.rdatatype
import dns.tsig
import dns.update
import dns.xfr
import dns.zone
import docker
from docker.errors import ContainerError, ImageNotFound

from runbooklib.testbed import engine, hosts, images, world, zones
from runbooklib.testbed.engine import TestbedError
from runbooklib.testbed.hosts import VOLUMES, Plot
from runbooklib.testbed.state import Dns

BARE = "bare"  # the server as it was rented
STOP_SECONDS = 30  # the inner engine stops its containers first
SIGNING = {dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.DNSKEY, dns.rdatatype.SOA, dns.rdatatype.NS}


class SnapshotError(TestbedError):
    """A state could not be kept or brought back."""


def take(root: Path, name: str) -> None:
    """Keeps the server's files and its engine's as `name`; it is stopped for that, and started again."""
    folder = world.folder_of(root)
    with world.locked(folder):
        docker_engine, plot = engine.client(), world.plot_of(folder, world.required(folder))
        container = docker_engine.containers.get(plot.container("server"))
        container.stop(timeout=STOP_SECONDS)
        repository, _, tag = _image(plot, name).partition(":")
        container.commit(repository=repository, tag=tag, changes=f"LABEL {hosts.LABEL}={plot.name}")
        for part in VOLUMES:
            _copy(docker_engine, plot, plot.volume(part), plot.volume(f"{part}.{name}"))
        container.start()
        hosts.await_answer(plot, "server", container)


def reset(root: Path, name: str = BARE) -> None:
    """Puts the server back to a kept state, or to the bare one; its address and its keys stay.

    Raises SnapshotError when there is no state of that name.
    """
    folder = world.folder_of(root)
    with world.locked(folder):
        docker_engine, plot = engine.client(), world.plot_of(folder, world.required(folder))
        image = images.SERVER.tag(docker_engine) if name == BARE else _image(plot, name)
        _require(docker_engine, image, name)
        world.remove(docker_engine, plot.container("server"))
        for part in VOLUMES:
            docker_engine.volumes.get(plot.volume(part)).remove(force=True)
        world.create_volumes(docker_engine, plot)
        if name != BARE:
            for part in VOLUMES:
                _copy(docker_engine, plot, plot.volume(f"{part}.{name}"), plot.volume(part))
        hosts.await_answer(plot, "server", hosts.start(docker_engine, plot, "server", image))


def _image(plot: Plot, name: str) -> str:
    return f"mail-runbooks/snapshot:{plot.name}-{name}"


def _require(docker_engine: docker.DockerClient, image: str, name: str) -> None:
    try:
        docker_engine.images.get(image)
    except ImageNotFound:
        raise SnapshotError(f"this testbed's server has no kept state {name!r}") from None


def _copy(docker_engine: docker.DockerClient, plot: Plot, source: str, target: str) -> None:
    """Copies a volume; the target is made, or emptied first."""
    docker_engine.volumes.create(target, labels=plot.labels)
    script = "find /to -mindepth 1 -delete && cp -a --reflink=auto /from/. /to/"
    volumes = {source: {"bind": "/from", "mode": "ro"}, target: {"bind": "/to", "mode": "rw"}}
    services = images.SERVICES.tag(docker_engine)
    try:
        docker_engine.containers.run(services, ["sh", "-c", script], volumes=volumes, network_mode="none", remove=True)
    except ContainerError as error:
        raise SnapshotError(f"{source} could not be copied: {error}") from None


Published = tuple[tuple[dns.name.Name, dns.rdataset.Rdataset], ...]


def published(root: Path) -> Published:
    """What stands in the site's zone beyond its first day: all but the apex NS, SOA and what signing adds."""
    server = world.required(world.folder_of(root)).dns
    query, _ = dns.xfr.make_query(dns.zone.Zone(zones.SITE), keyring=_key(server))
    whole = dns.zone.Zone(zones.SITE)
    dns.query.inbound_xfr(server.ipv4, whole, query, timeout=5)
    return tuple(
        (name, rdataset)
        for name, node in whole.nodes.items()
        for rdataset in node.rdatasets
        if rdataset.rdtype not in SIGNING or (rdataset.rdtype == dns.rdatatype.NS and name != dns.name.empty)
    )


def reset_zone(root: Path, to: Published = ()) -> None:
    """Puts the site's zone back to its first day, or to what was published then, by updates as a stage sends them.

    Raises SnapshotError when the name server does not take an update.
    """
    server = world.required(world.folder_of(root)).dns
    emptied, filled = (dns.update.UpdateMessage(zones.SITE, keyring=_key(server)) for _ in range(2))
    for name, rdataset in published(root):
        emptied.delete(name, rdataset.rdtype)
    for name, rdataset in to:
        filled.add(name, rdataset)
    # Two of them: a CNAME added beside what the same update deletes is ignored in silence (RFC 2136 3.4.2.2).
    for update in (emptied, filled) if to else (emptied,):
        answer = dns.query.tcp(update, server.ipv4, timeout=5)
        if answer.rcode() != dns.rcode.NOERROR:
            raise SnapshotError(f"the name server refused to reset {zones.SITE}: {dns.rcode.to_text(answer.rcode())}")
    _forget(root)


def _forget(root: Path) -> None:
    """Has the resolver drop what it remembers, as Unbound does when it reads its settings again."""
    folder = world.folder_of(root)
    plot = world.plot_of(folder, world.required(folder))
    resolver = engine.client().containers.get(plot.container("resolver"))
    resolver.kill("SIGHUP")
    hosts.await_answer(plot, "resolver", resolver)


def _key(server: Dns) -> dns.tsig.Key:
    return dns.tsig.Key(server.tsig.name, server.tsig.secret, server.tsig.algorithm)


def reset_mail(root: Path) -> None:
    """Empties the stranger's mailbox, and the queues of both mail hosts."""
    folder = world.folder_of(root)
    docker_engine, plot = engine.client(), world.plot_of(folder, world.required(folder))
    for host in ("relay", "mx"):
        docker_engine.containers.get(plot.container(host)).exec_run(["postsuper", "-d", "ALL"])
    config = "/opt/testbed/mx/dovecot.conf"
    expunge = ["doveadm", "-c", config, "expunge", "-u", "friend@stranger.example", "mailbox", "*", "all"]
    status, output = docker_engine.containers.get(plot.container("mx")).exec_run(expunge)
    if status:
        raise SnapshotError(f"the stranger's mailbox could not be emptied: {output!r}")
