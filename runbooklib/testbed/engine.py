"""The Docker Engine of this machine: found, or installed and started where it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from docker.utils.socket import STDERR, STDOUT, frames_iter

from runbooklib.results import RunbookError

Say = Callable[[str], None]

OLDEST = (20, 10)
LOG = Path("/var/log/dockerd.log")
START_SECONDS = 60


class TestbedError(RunbookError):
    """The testbed, or something it stands on, is not as it must be."""

    __test__ = False  # pytest collects by name


class EngineError(TestbedError):
    """No usable Docker Engine on this machine."""


def client() -> docker.DockerClient:
    """A client of the running engine.

    Raises EngineError when none answers or it is too old.
    """
    try:
        found = docker.from_env(version="auto", timeout=600)
        # For each call it would look for proxies in the environment, which another thread may be changing.
        found.api.trust_env = False
        version = str(found.version()["Version"])
    except DockerException as error:
        raise EngineError(f"no Docker Engine answers: {_reason(error)}") from None
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        raise EngineError(f"Docker Engine {version} is too old: the testbed needs 20.10 or newer")
    return found


def ensure(say: Say) -> docker.DockerClient:
    """A client of this machine's engine, which is installed and started first where it does not answer."""
    try:
        return client()
    except EngineError as error:
        if "too old" in str(error):
            raise
        _install_and_start(str(error), say)
        return client()


def require_reachable(found: docker.DockerClient) -> None:
    """Raises EngineError where containers live behind a machine of their own and have no address this one reaches."""
    info = found.info()
    kind = "Docker Desktop" if info.get("OperatingSystem") == "Docker Desktop" else ""
    kind = "a rootless engine" if "name=rootless" in (info.get("SecurityOptions") or []) else kind
    if kind:
        raise EngineError(
            f"this is {kind}: this machine cannot reach the addresses of its containers, which the testbed needs; use "
            "a Docker Engine of the system (`sudo apt-get install docker.io`) on Linux, in WSL 2, Lima or any other VM"
        )


def _reason(error: DockerException) -> str:
    text = str(error)
    if "Permission denied" in text:
        return "this user may not use its socket: run as root, or join the group docker and log in again"
    return text


def _install_and_start(why: str, say: Say) -> None:
    if not shutil.which("dockerd"):
        _install(why, say)
    if os.geteuid() != 0:
        raise EngineError(f"{why}; start it (`sudo systemctl start docker`), then run this again")
    _start(say)


def _install(why: str, say: Say) -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise EngineError(
            f"{why}; install Docker Engine 20.10 or newer and start it, or run this as root on Debian or Ubuntu"
        )
    say("installing docker.io with apt-get")
    apt_get("update", say=say)
    apt_get("install", "--no-install-recommends", "docker.io", say=say)


def apt_get(*arguments: str, say: Say) -> None:
    """Runs apt-get unattended and shows what it fetches and unpacks.

    Raises EngineError with its last lines when it fails.
    """
    watch(["apt-get", "-y", "-q", *arguments], say, {"DEBIAN_FRONTEND": "noninteractive"})


def watch(argv: list[str], say: Say, environment: dict[str, str] | None = None) -> None:
    """Runs a long command, saying its latest line every few seconds.

    Raises EngineError with its last lines when it fails.
    """
    now_and_then = seldom(say)
    last: list[str] = []
    with subprocess.Popen(
        argv,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env={**os.environ, **(environment or {})},
    ) as process:
        for line in process.stdout or ():
            last = [*last[-19:], line.rstrip()]
            now_and_then(line.rstrip())
    if process.returncode:
        raise EngineError(f"{argv[0]} failed with status {process.returncode}:\n" + "\n".join(last))


def seldom(say: Say, every: float = 4.0) -> Say:
    """A `say` that passes on at most one line in `every` seconds."""
    spoke = time.monotonic()

    def passing(line: str) -> None:
        nonlocal spoke
        if line.strip() and time.monotonic() - spoke >= every:
            spoke = time.monotonic()
            say(f"  {line.strip()[:150]}")

    return passing


def _start(say: Say) -> None:
    say("starting the Docker daemon")
    if Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "enable", "--now", "docker"], check=False, capture_output=True)
    else:
        _start_without_systemd()
    _await_answer()


def _start_without_systemd() -> None:
    """A daemon in a session of its own and nobody's child, so that it outlives the command that needed it."""
    with LOG.open("ab") as log:
        argv = ["setsid", "--fork", "dockerd"]
        subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


def _await_answer() -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            client()
        except EngineError as error:
            if time.monotonic() > until:
                raise EngineError(
                    f"the Docker daemon did not start in {START_SECONDS} s: see {LOG} ({error})"
                ) from None
            time.sleep(0.3)
        else:
            return


def run(container: Container, argv: Sequence[str]) -> tuple[int, bytes, bytes]:
    """Exit status, output and errors of a command inside a container, which has no standard input.

    The command waits for our word: docker-py loses what a busy machine receives together with the reply's header.
    """
    api = (container.client or client()).api
    waiting = ["sh", "-c", 'read -r go && exec "$@" </dev/null', "sh", *argv]
    command = api.exec_create(container.id, waiting, stdin=True)["Id"]
    stream: Any = api.exec_start(command, socket=True)
    try:
        stream._sock.sendall(b"\n")  # noqa: SLF001 - the way to write that docker-py leaves
        said: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        for number, data in frames_iter(stream, tty=False):  # type: ignore[no-untyped-call]
            said[number].append(data)
    finally:
        stream._response.close()  # noqa: SLF001 - as above
        stream.close()
    return api.exec_inspect(command)["ExitCode"], b"".join(said[STDOUT]), b"".join(said[STDERR])
