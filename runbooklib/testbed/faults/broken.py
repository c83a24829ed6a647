"""What is broken now, kept beside the testbed's state so that another command can mend it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from runbooklib.testbed import world
from runbooklib.testbed.faults.catalogue import FAULTS
from runbooklib.testbed.faults.fault import Fault
from runbooklib.testbed.faults.scene import Scene, SceneError

FILE = "broken.json"
HALF = "injected in part"  # instead of what mending needs, while that is not known yet


def known(root: Path) -> dict[str, Any]:
    """Fault → what mending it needs to know, in the order in which they came."""
    path = world.folder_of(root) / FILE
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found


def break_(scene: Scene, fault: Fault) -> None:
    """Injects a fault and, where it shows in mail alone, sends some.

    Raises SceneError when it is there already.
    """
    broken = known(scene.root)
    if fault.id in broken:
        raise SceneError(f"{fault.id} is injected already: `runbook testbed mend` takes it back")
    _keep(scene, broken | {fault.id: HALF})
    _keep(scene, broken | {fault.id: fault.injure(scene)})
    if fault.meet:
        fault.meet(scene)


def mend(scene: Scene) -> list[str]:
    """Takes back every fault, the last one first; their ids."""
    names = list(reversed(known(scene.root)))
    for name in names:
        mend_one(scene, FAULTS[name])
    return names


def mend_one(scene: Scene, fault: Fault) -> None:
    """Takes back one fault, and remembers it until that is done.

    Raises SceneError where injecting it broke off: nobody knows then what there is to take back.
    """
    broken = known(scene.root)
    if broken[fault.id] == HALF:
        raise SceneError(f"{fault.id} was {HALF}: make the testbed anew, by `runbook testbed down` and `up`")
    fault.mend(scene, broken[fault.id])
    _keep(scene, {name: before for name, before in broken.items() if name != fault.id})


def _keep(scene: Scene, broken: dict[str, Any]) -> None:
    path = world.folder_of(scene.root) / FILE
    fresh = path.with_suffix(".new")
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(broken, indent=1))
    fresh.replace(path)
