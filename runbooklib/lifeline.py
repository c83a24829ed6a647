"""What a kernel of ours loads first, as an IPython extension: masking, and an end when its runner is gone."""

from __future__ import annotations

import os
import shutil
import time
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

from runbooklib import masking

EVERY = 0.2  # seconds between looks at the parent
AHEAD = "RUNBOOK_AHEAD"  # in the environment: modules of ours to import, while nobody waits for this kernel yet


class Lifeline(Thread):
    """Ends this kernel when its parent has died, however suddenly, and takes its folder with the sockets along."""

    def __init__(self, parent: int, folder: Path) -> None:
        super().__init__(daemon=True)
        self.parent, self.folder = parent, folder

    def run(self) -> None:
        while os.getppid() == self.parent:
            time.sleep(EVERY)
        shutil.rmtree(self.folder, ignore_errors=True)
        os._exit(1)


def load_ipython_extension(shell: Any) -> None:
    """Replaces ipykernel's own watch on the parent, which leaves the sockets behind."""
    masking.install()
    app = shell.kernel.parent
    app.poller = Lifeline(app.parent_handle, Path(app.connection_file).parent)
    for module in os.environ.get(AHEAD, "").split():
        import_module(f"runbooklib.{module}")
