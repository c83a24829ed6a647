"""The testbed's hosts: what each is given, how it is made, and when it answers."""

from __future__ import annotations

import io
import socket
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from runbooklib.testbed.engine import TestbedError
from runbooklib.testbed.network import Range

LABEL = "mail-runbooks.testbed"
READY_SECONDS = 60
NAMES = {
    "dns": "ns1.example",
    "resolver": "resolver.example",
    "registry": "registry.example",
    "relay": "smtp.relay.example",
    "resend": "smtp.resend.example",
    "mxroute": "name.mxrouting.example",
    "mailcow": "mail.harbour.example",
    "mx": "mx.stranger.example",
    "server": "vps-lantern",
}
PORTS = {
    "dns": (53,),
    "resolver": (53,),
    "registry": (443,),
    "relay": (25, 465, 587, 2525),
    "resend": (25, 443, 465, 587, 2465, 2587),
    "mxroute": (25, 443, 465, 587, 2525),
    "mailcow": (25, 143, 443, 465, 587, 588, 993),
    "mx": (25, 143, 465, 587, 993),
    "server": (22,),
}
# What an inner Docker Engine needs, by name: --privileged fails where CAP_SYS_RESOURCE is missing.
CAPABILITIES = """
    AUDIT_CONTROL AUDIT_WRITE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK KILL LINUX_IMMUTABLE MKNOD
    NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_MODULE SYS_NICE SYS_PTRACE
"""
VOLUMES = {"docker": "/var/lib/docker", "containerd": "/var/lib/containerd"}  # an overlay cannot lie on an overlay


class HostStartError(TestbedError):
    """A host of the testbed did not come up."""


@dataclass(frozen=True)
class Plot:
    """Where one testbed's hosts stand, and where what is theirs is kept."""

    name: str
    folder: Path
    addresses: Range

    def container(self, host: str) -> str:
        """The name of a host's container."""
        return f"{self.name}-{host}"

    def volume(self, part: str) -> str:
        """The name of one of the server's volumes."""
        return f"{self.name}-{part}"

    def files(self, host: str) -> Path:
        """The folder that holds what is put into a host before it starts."""
        return self.folder / "hosts" / host

    @property
    def labels(self) -> dict[str, str]:
        """By what `down` finds everything."""
        return {LABEL: self.name}


def start(engine: docker.DockerClient, plot: Plot, host: str, image: str) -> Container:
    """Makes and starts a host's container, with the files kept for it."""
    special = _server() if host == "server" else {"command": [f"/opt/testbed/{host}/start"]}
    container = engine.containers.create(image, **_common(engine, plot, host), **special)
    container.put_archive("/", _archive(plot.files(host)))
    container.start()
    return container


def _common(engine: docker.DockerClient, plot: Plot, host: str) -> dict[str, Any]:
    address = engine.api.create_endpoint_config(
        ipv4_address=plot.addresses.ipv4(host), ipv6_address=plot.addresses.ipv6(host)
    )
    resolv = {str(plot.folder / "resolv.conf"): {"bind": "/etc/resolv.conf", "mode": "ro"}}
    return {
        "name": plot.container(host),
        "hostname": NAMES[host],
        "labels": plot.labels,
        "network": plot.name,
        "networking_config": {plot.name: address},
        "dns": [plot.addresses.ipv4("resolver")],  # for whoever asks Docker's 127.0.0.11 in spite of resolv.conf
        "volumes": resolv | (_volumes(plot) if host == "server" else {}),
    }


def _volumes(plot: Plot) -> dict[str, dict[str, str]]:
    return {plot.volume(part): {"bind": path, "mode": "rw"} for part, path in VOLUMES.items()}


def _server() -> dict[str, Any]:
    return {
        "cap_drop": ["ALL"],
        "cap_add": CAPABILITIES.split(),
        "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
        "cgroupns": "private",  # what the inner engine makes lies below this container's and goes with it
        "tmpfs": {"/run": "exec,mode=755", "/tmp": "exec,mode=1777"},  # noqa: S108 - the server's own
    }


def _archive(root: Path) -> bytes:
    """A tar of the files under `root`, root's own in the container."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            tar.add(path, str(path.relative_to(root)), filter=_owned_by_root)
    return buffer.getvalue()


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def answers(plot: Plot, host: str) -> bool:
    """Whether every port of a host takes connections, over IPv4 and IPv6."""
    return all(_open(*place) for place in _places(plot, host))


def _places(plot: Plot, host: str) -> list[tuple[str, int]]:
    return [
        (address, port) for address in (plot.addresses.ipv4(host), plot.addresses.ipv6(host)) for port in PORTS[host]
    ]


def _open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def await_answer(plot: Plot, host: str, container: Container) -> None:
    """Waits until a host answers.

    Raises HostStartError with the end of its log when it stops, or does not answer in time.
    """
    until = time.monotonic() + READY_SECONDS
    silent = _places(plot, host)
    # only what was silent is asked again: each connection starts a process there
    while silent := [place for place in silent if not _open(*place)]:
        container.reload()
        if container.status not in {"created", "running", "restarting"} or time.monotonic() > until:
            raise HostStartError(_complaint(host, container))
        time.sleep(0.05)


def _complaint(host: str, container: Container) -> str:
    log = container.logs(tail=15).decode(errors="replace")
    hint = " from this machine (does it reach container addresses? a remote engine's it does not)"
    return (
        f"{host} ({container.name}, {container.status}) does not answer"
        f"{hint if container.status == 'running' else ''}; the end of its log:\n{log}"
    )
