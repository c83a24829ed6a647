"""Putting the testbed's server, zone and mailboxes back to an earlier day, in seconds."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
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
from docker.models.containers import Container

from runbooklib.results import say
from runbooklib.testbed import engine, hosts, images, world, zones
from runbooklib.testbed.engine import TestbedError
from runbooklib.testbed.hosts import VOLUMES, Plot
from runbooklib.testbed.state import Dns

PROVIDERS = ("resend", "mxroute")
PROVIDER_STATE = "/var/lib/provider/state.json"
MAILCOW = ("env", "PYTHONPATH=/opt/testbed", "python3", "-m", "mailcow.keeping")
BARE, BOOKWORM = "bare", "bare-bookworm"  # the server as it was rented: the usual release, or the one before
RENTED = {BARE: images.SERVER, BOOKWORM: images.SERVER_BOOKWORM}
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
        image = _rented(docker_engine, name) if name in RENTED else _image(plot, name)
        _require(docker_engine, image, name)
        world.remove(docker_engine, plot.container("server"))
        for part in VOLUMES:
            docker_engine.volumes.get(plot.volume(part)).remove(force=True)
        world.create_volumes(docker_engine, plot)
        if name not in RENTED:
            for part in VOLUMES:
                _copy(docker_engine, plot, plot.volume(f"{part}.{name}"), plot.volume(part))
        hosts.await_answer(plot, "server", hosts.start(docker_engine, plot, "server", image))


def _rented(docker_engine: docker.DockerClient, name: str) -> str:
    """A bare server's image, made where nobody has needed it yet."""
    return images.ensure(docker_engine, (RENTED[name],), say)[0]


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


Records = tuple[tuple[dns.name.Name, dns.rdataset.Rdataset], ...]
Published = dict[str, Records]  # by zone


def published(root: Path) -> Published:
    """What stands in the sites' zones beyond their first day: all but the apex NS, SOA and what signing adds."""
    server = world.required(world.folder_of(root)).dns
    return {zone: _standing(server, zone) for zone in zones.SITES}


def _standing(server: Dns, zone: str) -> Records:
    whole = dns.zone.Zone(zone)
    query, _ = dns.xfr.make_query(whole, keyring=_key(server))
    dns.query.inbound_xfr(server.ipv4, whole, query, timeout=5)
    return tuple(
        (name, rdataset)
        for name, node in whole.nodes.items()
        for rdataset in node.rdatasets
        if rdataset.rdtype not in SIGNING or (rdataset.rdtype == dns.rdatatype.NS and name != dns.name.empty)
    )


def reset_zone(root: Path, to: Published | None = None) -> None:
    """Puts the sites' zones back to their first day, or to what was published then; raises as `replace` does."""
    server = world.required(world.folder_of(root)).dns
    for zone, standing in published(root).items():
        replace(server, zone, ((name, rdataset.rdtype) for name, rdataset in standing), (to or {}).get(zone, ()))
    forget(root)


def replace(
    server: Dns, zone: str, gone: Iterable[tuple[dns.name.Name, dns.rdatatype.RdataType]], come: Records
) -> None:
    """Takes rrsets out of a zone and puts others in, by updates as a stage sends them.

    Raises SnapshotError when the name server does not take an update.
    """
    emptied, filled = (dns.update.UpdateMessage(zone, keyring=_key(server)) for _ in range(2))
    for name, kind in gone:
        emptied.delete(name, kind)
    for name, rdataset in come:
        filled.add(name, rdataset)
    # Two of them: a CNAME added beside what the same update deletes is ignored in silence (RFC 2136 3.4.2.2).
    for update in (emptied, filled):
        if not update.update:
            continue
        answer = dns.query.tcp(update, server.ipv4, timeout=5)
        if answer.rcode() != dns.rcode.NOERROR:
            raise SnapshotError(f"the name server refused to change {zone}: {dns.rcode.to_text(answer.rcode())}")


def forget(root: Path) -> None:
    """Has the resolver drop what it remembers, as Unbound does when it reads its settings again.

    Raises SnapshotError when it does not.
    """
    folder = world.folder_of(root)
    plot = world.plot_of(folder, world.required(folder))
    resolver = engine.client().containers.get(plot.container("resolver"))
    before, until = _serving(resolver), time.monotonic() + hosts.READY_SECONDS
    resolver.kill("SIGHUP")
    # its sockets stay open, and until it has seen the signal it answers from what it remembers
    while _serving(resolver) in {before, b""}:
        if time.monotonic() > until:
            raise SnapshotError("the resolver did not read its settings again")
        time.sleep(0.02)


def _serving(resolver: Container) -> bytes:
    """The last line by which Unbound says that it serves, nothing in its memory yet."""
    lines = resolver.logs(tail=200, timestamps=True).splitlines()
    return next((line for line in reversed(lines) if b"start of service" in line), b"")


def _key(server: Dns) -> dns.tsig.Key:
    return dns.tsig.Key(server.tsig.name, server.tsig.secret, server.tsig.algorithm)


def reset_mail(root: Path) -> None:
    """Empties the stranger's mailbox, and the queues of all mail hosts."""
    folder = world.folder_of(root)
    docker_engine, plot = engine.client(), world.plot_of(folder, world.required(folder))
    for host in ("relay", "resend", "mxroute", "mailcow", "mx"):
        docker_engine.containers.get(plot.container(host)).exec_run(["postsuper", "-d", "ALL"])
    config = "/opt/testbed/mx/dovecot.conf"
    _within(root, "mx", ["doveadm", "-c", config, "expunge", "-u", "friend@stranger.example", "mailbox", "*", "all"])


def accounts(root: Path) -> dict[str, bytes]:
    """What mailcow and the providers with an API remember, by host."""
    known = {host: _within(root, host, ["cat", PROVIDER_STATE]) for host in PROVIDERS}
    return {**known, "mailcow": _within(root, "mailcow", [*MAILCOW, "dump"])}


def reset_accounts(root: Path, to: dict[str, bytes] | None = None) -> None:
    """Has them know what they knew on the first day, or what they knew then."""
    folder = world.folder_of(root)
    plot = world.plot_of(folder, world.required(folder))
    for host in PROVIDERS:
        text = (to or {}).get(host) or (plot.files(host) / "testbed/state.json").read_bytes()
        script = 'umask 077; echo "$0" | base64 -d > "$1.new" && flock "$1.lock" mv "$1.new" "$1"'
        _within(root, host, ["sh", "-c", script, base64.b64encode(text).decode(), PROVIDER_STATE])
    _reset_mailcow(root, (to or {}).get("mailcow", b""))


def _reset_mailcow(root: Path, to: bytes) -> None:
    """Has mailcow know no domain and hold no mail, or know what it knew then."""
    _within(root, "mailcow", [*MAILCOW, "restore", base64.b64encode(to).decode()])


def _within(root: Path, host: str, argv: list[str]) -> bytes:
    """What a command inside a host prints.

    Raises SnapshotError when it fails.
    """
    folder = world.folder_of(root)
    plot = world.plot_of(folder, world.required(folder))
    status, output, errors = engine.run(engine.client().containers.get(plot.container(host)), argv)
    if status:
        raise SnapshotError(f"{host}: {argv[0]} failed: {(output + errors)!r}")
    return output
