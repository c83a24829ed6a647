"""The testbed's own images, named by a hash of what they are made from, so that a warm start builds nothing."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import docker

from runbooklib.testbed import bases
from runbooklib.testbed.engine import Say, TestbedError, seldom

HERE = Path(__file__).parent
LABEL = "org.mail-runbooks.image"  # on every image made here


class ImageError(TestbedError):
    """An image of the testbed could not be made or found."""


@dataclass(frozen=True)
class Recipe:
    """A folder with a Dockerfile, and the name of what comes out."""

    name: str
    folder: Path
    base: str  # a release

    def tag(self, engine: docker.DockerClient) -> str:
        """The image's name; another content or another base is another name."""
        digest = hashlib.sha256(str(engine.images.get(bases.tag(self.base)).id).encode())
        for path in self.files():
            digest.update(f"{path.relative_to(self.folder)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
        return f"mail-runbooks/{self.name}:{digest.hexdigest()[:12]}"

    def built(self, engine: docker.DockerClient) -> bool:
        """Whether the engine holds this image as it would be made now."""
        return bases.present(engine, bases.tag(self.base)) and bases.present(engine, self.tag(engine))

    def files(self) -> list[Path]:
        """What the build may read, in a stable order."""
        found = (path for path in self.folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return sorted(found)


SERVICES = Recipe("services", HERE / "services", "bookworm")
SERVER = Recipe("server", HERE / "server", "trixie")
SERVER_BOOKWORM = Recipe("server", HERE / "server", "bookworm")  # for Dovecot 2.3, which Ubuntu has until 24.04, too
STANDIN = Recipe("stand-in", HERE / "standin", "bookworm")


def ensure(engine: docker.DockerClient, recipes: tuple[Recipe, ...], say: Say) -> tuple[str, ...]:
    """The tags of these images, those that are missing built side by side, their bases made first."""
    bases.ensure(engine, say)
    tags = {recipe.tag(engine): recipe for recipe in recipes}
    missing = [tag for tag in tags if not bases.present(engine, tag)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda tag: _build(engine, tag, tags[tag], say), missing))
    return tuple(tags)


def _build(engine: docker.DockerClient, tag: str, recipe: Recipe, say: Say) -> None:
    say(f"building {tag}")
    now_and_then = seldom(say)
    last: list[str] = []
    arguments = _proxies(engine) | {"RELEASE": recipe.base}
    events = engine.api.build(
        path=str(recipe.folder), tag=tag, rm=True, decode=True, labels={LABEL: recipe.name}, buildargs=arguments
    )
    for event in events:
        line = str(event.get("stream") or event.get("error") or "").strip()
        last = [*last[-19:], line] if line else last
        now_and_then(f"{recipe.name}: {line.rpartition(chr(10))[2]}" if line else "")
        if "error" in event:
            raise ImageError(f"{tag} could not be built:\n" + "\n".join(last))
    say(f"built {tag}")


def _proxies(engine: docker.DockerClient) -> dict[str, str]:
    """The proxy the engine itself uses, for what a build fetches (predefined build arguments)."""
    info = engine.info()
    found = {
        "http_proxy": info.get("HttpProxy"),
        "https_proxy": info.get("HttpsProxy"),
        "no_proxy": info.get("NoProxy"),
    }
    return {name: value for name, value in found.items() if value}


def version(tag: str) -> str:
    """The part of a tag that tells one content from another."""
    return re.sub(r".*:", "", tag)
