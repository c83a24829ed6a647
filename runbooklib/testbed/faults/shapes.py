"""The shapes that most faults have: other records, a script and one that takes it back, other settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runbooklib.testbed.faults.fault import Break, Mend
from runbooklib.testbed.faults.scene import HERE, Scene

MAIN = "/etc/postfix/main.cf"
# Every program of Postfix waits until main.cf has rested for two seconds.
TAKEN_UP = f"touch -d '1 minute ago' {MAIN} && postfix reload 2>&1"
Records = tuple[str, str, list[str]]  # name in the zone, type, values; none where it stands no more


def records(zone: str, *changes: Records | Callable[[Scene], Records]) -> tuple[Break, Mend]:
    """Other rrsets in a zone than the site needs."""

    def injure(scene: Scene) -> list[Any]:
        return [list(b) for b in scene.publish(zone, *(c(scene) if callable(c) else c for c in changes))]

    def mend(scene: Scene, before: list[Any]) -> None:
        scene.publish(zone, *((name, kind, values) for name, kind, values in before))

    return injure, mend


def shell(host: str, do: str, undo: str) -> tuple[Break, Mend]:
    """A script inside a host, and the one that takes back what it did."""

    def injure(scene: Scene) -> None:
        scene.on(host, do)

    def mend(scene: Scene, _: None) -> None:
        scene.on(host, undo)

    return injure, mend


def composed(old: str, new: str) -> tuple[Break, Mend]:
    """Other words in compose.yaml, and the container made from it."""
    path = f"{HERE}/compose.yaml"

    def up(scene: Scene) -> None:
        scene.compose("up", "-d", "--quiet-pull")  # a container that is as the file says stays
        scene.await_mail()

    def injure(scene: Scene) -> str:
        before = scene.edit("server", path, lambda text: text.replace(old, new, 1))
        up(scene)
        return before

    def mend(scene: Scene, before: str) -> None:
        scene.write("server", path, before)
        up(scene)

    return injure, mend


def settings(**hosts: tuple[str, ...]) -> tuple[Break, Mend]:
    """Other settings of the Postfix of some hosts that are not ours."""

    def injure(scene: Scene) -> dict[str, str]:
        return {host: _configure(scene, host, changed) for host, changed in hosts.items()}

    def mend(scene: Scene, before: dict[str, str]) -> None:
        for host, content in before.items():
            scene.write(host, MAIN, content)
            scene.on(host, TAKEN_UP)

    return injure, mend


def _configure(scene: Scene, host: str, changed: tuple[str, ...]) -> str:
    """Gives main.cf as it was."""
    before = scene.read(host, MAIN)
    scene.on(host, f'postconf -e "$@" && {TAKEN_UP}', *changed)
    return before
