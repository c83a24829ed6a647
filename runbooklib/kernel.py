"""Kernels for headless runs: spoken to over IPC in a private folder each, started ahead, gone with their runner."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager
from jupyter_core.utils import run_sync

from runbooklib.lifeline import AHEAD

PREFIX = "runbook-"
SOCKET_PATH = 107  # bytes; sun_path of unix(7) holds 108 with its final zero
NEW = 10  # seconds; a younger folder may not be locked yet
ARGUMENTS = ["--HistoryManager.hist_file=:memory:", "--ext=runbooklib.lifeline"]


@dataclass(frozen=True)
class Kernel:
    """A kernel's process, and the locked folder with its connection file and sockets."""

    manager: AsyncKernelManager
    folder: Path
    lock: int  # file descriptor; the lock goes when this process does, so a stale folder is one that can be locked


_spare: defaultdict[str, list[Kernel]] = defaultdict(list)  # started ahead, by the name of their kernel


def start(name: str, imports: Sequence[str] = ()) -> Kernel:
    """A kernel that has been told to start, and to import modules of ours; it need not be ready yet."""
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent_folder()))
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    manager = AsyncKernelManager(
        kernel_name=name, transport="ipc", ip=str(folder / "s"), connection_file=str(folder / "connection.json")
    )
    kernel = Kernel(manager, folder, lock)
    try:
        # The debugger's warning about frozen modules says nothing to someone who reads a runbook.
        environment = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", AHEAD: " ".join(imports)}
        run_sync(manager.start_kernel)(extra_arguments=ARGUMENTS, env=environment)
    except BaseException:
        stop(kernel)
        raise
    return kernel


def stop(kernel: Kernel) -> None:
    """Ends the process if it still runs, and removes the folder."""
    try:
        process = kernel.manager.provisioner
        if process is not None and process.has_process:  # killed, as an interrupt would only be complained about
            run_sync(process.kill)()
            run_sync(process.wait)()
            run_sync(kernel.manager.cleanup_resources)()
    finally:
        shutil.rmtree(kernel.folder, ignore_errors=True)
        os.close(kernel.lock)


def prepare(name: str, imports: Sequence[Sequence[str]]) -> None:
    """Has a kernel for each of the next notebooks started ahead, told what that notebook will import."""
    for modules in imports[len(_spare[name]) :]:
        _spare[name].append(start(name, modules))


@contextlib.contextmanager
def lent(name: str) -> Iterator[AsyncKernelManager]:
    """The manager of a kernel for one notebook, one started ahead if there is any; stopped afterwards."""
    kernel = _spare[name].pop(0) if _spare[name] else start(name)
    try:
        yield kernel.manager
    finally:
        stop(kernel)


def dismiss() -> None:
    """Ends the kernels that were started ahead and not wanted."""
    for spare in _spare.values():
        while spare:
            stop(spare.pop())


def parent_folder() -> str:
    """Where kernel folders go: the temporary folder, unless its path leaves no room for a socket's name."""
    longest = os.path.join(tempfile.gettempdir(), PREFIX + 8 * "x", "s-5")  # noqa: PTH118 - compared in bytes
    return tempfile.gettempdir() if len(os.fsencode(longest)) <= SOCKET_PATH else "/tmp"  # noqa: S108 - mkdtemp follows


def sweep() -> None:
    """Removes folders whose runner was killed before its kernel could do it."""
    for folder in Path(parent_folder()).glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > NEW:
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
