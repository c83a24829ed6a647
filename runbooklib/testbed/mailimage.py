"""The mail server's image: which one a testbed holds, and the registry image that serves it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from docker.errors import ImageNotFound
from docker.models.containers import Container
from docker.models.images import Image as EngineImage

from runbooklib.testbed import bases, images, registries
from runbooklib.testbed.engine import Say
from runbooklib.testbed.images import LABEL, ImageError
from runbooklib.testbed.state import Image

NAME = "docker-mailserver/docker-mailserver:15.1.0"
REFERENCE = f"registry.example/{NAME}"
REAL = (f"ghcr.io/{NAME}", "mailserver/docker-mailserver:15.1.0")
STAND_IN = "org.mail-runbooks.stand-in"  # an image label; its value says for what it stands in


def real(engine: docker.DockerClient, say: Say) -> Image | None:
    """The real image where this engine holds it or a registry gives it; where the stand-in is built, none is asked."""
    for name in REAL:
        if found := _local(engine, name):
            return described(found, "host engine", name)
    if not images.STANDIN.built(engine) and registries.pull(REAL[0], say):
        return described(engine.images.get(REAL[0]), "registry", REAL[0])
    return None


def stand_in(engine: docker.DockerClient) -> Image:
    """The stand-in, once it is built."""
    tag = images.STANDIN.tag(engine)
    return described(engine.images.get(tag), "host engine", tag)


def _local(engine: docker.DockerClient, name: str) -> EngineImage | None:
    try:
        return engine.images.get(name)
    except ImageNotFound:
        return None


def named(engine: docker.DockerClient, name: str) -> Image:
    """An image this engine holds, by name.

    Raises ImageError when it holds none of that name.
    """
    found = _local(engine, name)
    if found is None:
        raise ImageError(f"this machine's Docker Engine has no image {name}: `docker image ls` shows what it has")
    return described(found, "host engine", name)


def described(image: EngineImage, source: str, name: str) -> Image:
    """What summaries say about an image."""
    stands_for = image.labels.get(STAND_IN)
    identity = str(image.id)
    short = identity.removeprefix("sha256:")[:12]
    if stands_for:
        return Image(REFERENCE, identity, "stand-in", f"stand-in for {stands_for}, built here ({short})")
    return Image(REFERENCE, identity, source, f"{name} from {source} ({short})")


def registry(engine: docker.DockerClient, image: Image, services: str, say: Say) -> str:
    """The tag of a registry image whose storage holds `image`; made once for each image."""
    tag = f"mail-runbooks/registry:{image.id.removeprefix('sha256:')[:12]}-{images.version(services)}"
    if not bases.present(engine, tag):
        say(f"putting {image.description} into the testbed's registry")
        with tempfile.TemporaryDirectory(prefix="mail-runbooks-", dir=bases.ROOM) as folder:
            _save(engine, image.id, Path(folder) / "image.tar")
            _fill(engine, tag, services, folder)
    return tag


def _save(engine: docker.DockerClient, identity: str, path: Path) -> None:
    with path.open("wb") as file:
        for chunk in engine.images.get(identity).save():
            file.write(chunk)


def _fill(engine: docker.DockerClient, tag: str, services: str, folder: str) -> None:
    with _running(engine, services, folder) as container:
        status, output = container.exec_run(["/opt/testbed/registry/fill", NAME])
        if status:
            said = output.decode(errors="replace") if isinstance(output, bytes) else ""
            raise ImageError(f"the testbed's registry could not be filled:\n{said}")
        repository, _, label = tag.partition(":")
        container.commit(repository=repository, tag=label, changes=f"LABEL {LABEL}=registry", pause=False)


@contextmanager
def _running(engine: docker.DockerClient, services: str, folder: str) -> Iterator[Container]:
    container = engine.containers.run(
        services, ["sleep", "600"], network_mode="none", detach=True, volumes={folder: {"bind": "/image", "mode": "ro"}}
    )
    try:
        yield container
    finally:
        container.remove(force=True)
