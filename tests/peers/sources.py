"""Source distributions of peers, taken once into the project's cache; what cannot be had fails the tests."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache"


def unpacked(name: str, version: str, digest: str, cache: Path = CACHE) -> Path:
    """The folder of a package's source, whose archive has this SHA-256."""
    source = cache / f"{name}-{version}"
    cache.mkdir(exist_ok=True)
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist's workers come together
        if not source.exists():
            _unpack(_downloaded(cache, name, version), digest, source)
    return source


def _downloaded(cache: Path, name: str, version: str) -> Path:
    archive = cache / f"{name}-{version}.tar.gz"
    if not archive.exists():
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        wanted = ["--no-binary", name, "--dest", str(cache), f"{name}=={version}"]
        subprocess.run([*pip, *wanted], check=True, timeout=300)
    return archive


def _unpack(archive: Path, digest: str, source: Path) -> None:
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest, f"{archive} is another file"
    partly = source.parent / f"{source.name}.part"
    shutil.rmtree(partly, ignore_errors=True)
    with tarfile.open(archive) as held:
        held.extractall(partly, filter="data")
    (partly / source.name).rename(source)
    partly.rmdir()
