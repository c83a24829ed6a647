"""The papermill engine for runbooks; every other notebook passes on to the engine papermill had before.

papermill imports this module through its entry point `papermill.engine` and asks the engine named None when no
`--engine` is given, so registering under that name is what makes the plain command line use it. The module itself is
the engine: a class would not exist yet where papermill is first imported by this very module.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from nbformat import NotebookNode
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, NBClientEngine, NotebookExecutionManager, papermill_engines
from papermill.iorw import LocalHandler, papermill_io
from papermill.log import logger

from runbooklib import archive, kernel, signature

GRACE = 10  # seconds an interrupted cell has to end before its kernel is taken away


class RunbookEngine(Engine):  # type: ignore[misc] # papermill is untyped
    """Parameters checked before anything starts, a kernel over IPC, an interrupt that reaches the cell."""

    @classmethod
    def execute_notebook(cls, nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
        signature.check(nb)
        executed: NotebookNode = super().execute_notebook(nb, kernel_name, **options)
        return executed

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: NotebookExecutionManager,
        kernel_name: str,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        **options: Any,
    ) -> None:
        options.pop("input_path", None)
        with kernel.lent(kernel_name) as manager, _interruptible(manager) as between_cells:
            client = PapermillNotebookClient(
                nb_man,
                km=manager,
                log=logger,
                kernel_name=kernel_name,
                startup_timeout=start_timeout,
                timeout=execution_timeout,
                on_cell_start=between_cells,
                coalesce_streams=True,  # a secret printed in pieces must be whole where it can be masked
                **options,
            )
            client.owns_km = True  # it shuts the kernel down and closes its channels as if it had started it
            client.execute()


@contextlib.contextmanager
def _interruptible(manager: AsyncKernelManager) -> Iterator[Callable[..., None]]:
    """SIGINT or SIGTERM interrupts the cell, so that its clean-up runs and its output is saved; no other cell follows.

    Yields what must be called before each cell. Raises KeyboardInterrupt afterwards, and at once for a second signal or
    a cell that does not end in GRACE seconds.
    """
    interrupted: list[int] = []

    def interrupt(number: int, _frame: object) -> None:
        interrupted.append(number)
        process = getattr(manager.provisioner, "pid", None)
        if len(interrupted) > 1 or process is None:
            raise KeyboardInterrupt
        os.kill(process, signal.SIGINT)
        signal.alarm(GRACE)

    def between_cells(**_cell: object) -> None:
        if interrupted:
            raise InterruptedError

    try:
        with _handled(interrupt, signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            yield between_cells
    finally:
        if interrupted:
            raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, object], None], *signals: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        signal.alarm(0)
        for number, previous in before.items():
            signal.signal(number, previous)


class AtomicFiles(LocalHandler):  # type: ignore[misc] # papermill is untyped
    """papermill's local files, runbooks written atomically and masked."""

    def write(self, buf: str, path: str) -> None:
        if not _is_runbook(buf):
            super().write(buf, path)
            return
        archive.write(os.path.join(self._cwd or "", path), archive.clean(buf))  # noqa: PTH118 - path may be absolute


def _is_runbook(text: str) -> bool:
    return '"runbook"' in text and "runbook" in json.loads(text).get("metadata", {})


def execute_notebook(nb: NotebookNode, kernel_name: str, **options: Any) -> NotebookNode:
    """What papermill calls: ours when the notebook carries our metadata."""
    engine = RunbookEngine if "runbook" in nb.metadata else _before
    return engine.execute_notebook(nb, kernel_name, **options)


nb_kernel_name = NBClientEngine.nb_kernel_name
nb_language = NBClientEngine.nb_language

_before = papermill_engines.get_engine(None)
papermill_engines.register(None, sys.modules[__name__])
# Registering "local" again would do nothing: papermill takes the handler that was registered first.
papermill_io._handlers = [(s, AtomicFiles() if s == "local" else h) for s, h in papermill_io._handlers]  # noqa: SLF001
