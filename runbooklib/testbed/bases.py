"""The two base images, Debian bookworm and trixie: pulled, or made with debootstrap where no registry answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import ImageNotFound

from runbooklib.testbed import apt, registries
from runbooklib.testbed.engine import EngineError, Say, apt_get, watch

RELEASES = ("bookworm", "trixie")
ROOM = "/var/tmp"  # noqa: S108 - /tmp is often small, or mounted nodev, which debootstrap refuses


def tag(release: str) -> str:
    """The local name of a base image."""
    return f"mail-runbooks/debian:{release}"


def present(engine: docker.DockerClient, name: str) -> bool:
    """Whether the engine holds an image of that name."""
    try:
        engine.images.get(name)
    except ImageNotFound:
        return False
    return True


def ensure(engine: docker.DockerClient, say: Say) -> None:
    """Makes the bases that are missing."""
    missing = [release for release in RELEASES if not present(engine, tag(release))]
    if missing and not _pull(engine, missing, say):
        _make(engine, missing, say)


def _pull(engine: docker.DockerClient, releases: list[str], say: Say) -> bool:
    for release in releases:
        image = registries.pull(f"debian:{release}-slim", say)
        if not image:
            return False
        engine.images.get(image).tag(tag(release))
    return True


def _make(engine: docker.DockerClient, releases: list[str], say: Say) -> None:
    here = _release_of_machine()
    sources = apt.of_debian(apt.of_machine(), here)
    if os.geteuid() != 0 or not sources:
        raise EngineError(
            "no container registry answers, and a base image can be made only as root on Debian with Debian's own "
            "apt sources: give this machine a way to docker.io, or `docker tag` a Debian image as "
            + " and ".join(tag(release) for release in releases)
        )
    if not shutil.which("debootstrap"):
        apt_get("update", say=say)
        apt_get("install", "--no-install-recommends", "debootstrap", say=say)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda release: _bootstrap(engine, release, sources, here, say), releases))


def _release_of_machine() -> str:
    fields = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return fields.get("VERSION_CODENAME", "").strip('"')


def _bootstrap(engine: docker.DockerClient, release: str, sources: tuple[apt.Source, ...], here: str, say: Say) -> None:
    say(f"no registry answers: making Debian {release} with debootstrap from this machine's apt sources")
    wanted = [apt.turned(source, here, release) for source in sources]
    main = next(source for source in wanted if release in source.suites)
    with tempfile.TemporaryDirectory(prefix="mail-runbooks-", dir=ROOM) as folder:
        root = Path(folder) / "root"
        options = ["--variant=minbase", "--include=ca-certificates", f"--keyring={main.signed_by}"]
        watch(["debootstrap", *options, release, str(root), main.uris[0]], say)
        _configure(root, wanted)
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "-C", str(root), "--exclude=./dev/*", "-cf", str(archive), "."], check=True)
        engine.api.import_image_from_file(str(archive), repository=tag(release).split(":")[0], tag=release)


def _configure(root: Path, sources: list[apt.Source]) -> None:
    """Gives the new system this machine's way to its packages: sources, keys, proxy, own certificates."""
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text("\n".join(map(str, sources)))
    (root / "etc/apt/apt.conf.d/90machine").write_text(apt.settings())
    for keyring in {source.signed_by for source in sources}:
        shutil.copy(keyring, root / keyring.lstrip("/"))
    own = Path("/usr/local/share/ca-certificates")
    shutil.copytree(own, root / own.relative_to("/"), dirs_exist_ok=True)
    subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, capture_output=True)
    for cached in (root / "var/cache/apt/archives").glob("*.deb"):
        cached.unlink()
