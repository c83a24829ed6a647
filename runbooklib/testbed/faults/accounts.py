"""Faults at the relays' providers: what one knows of its customer, changed where it keeps that."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from runbooklib.testbed.faults.fault import Break, Mend
from runbooklib.testbed.faults.scene import Scene
from runbooklib.testbed.snapshots import PROVIDER_STATE

# Under the lock that its API and its SMTP service take too; what was there is printed.
CHANGE = """
import json, sys
from pathlib import Path
from provider.ledger import Ledger

path, *names = json.loads(sys.argv[1])
with Ledger(Path(path)).change() as state:
    place = state
    for name in names[:-1]:
        place = place[name]
    print(json.dumps(place[names[-1]]))
    if len(sys.argv) > 2:
        place[names[-1]] = json.loads(sys.argv[2])
"""


def told(host: str, *names: str, change: Callable[[Any], Any]) -> tuple[Break, Mend]:
    """One value in what a provider remembers, by the names that lead to it."""

    def injure(scene: Scene) -> Any:
        before = _exchange(scene, host, names)
        _exchange(scene, host, names, change(before))
        return before

    def mend(scene: Scene, before: Any) -> None:
        _exchange(scene, host, names, before)

    return injure, mend


def _exchange(scene: Scene, host: str, names: tuple[str, ...], *value: Any) -> Any:
    """What stands there, and with a value also that put in its place."""
    words = [json.dumps([PROVIDER_STATE, *names]), *map(json.dumps, value)]
    return json.loads(scene.on(host, 'PYTHONPATH=/opt/testbed exec python3 -c "$@"', CHANGE, *words))
