"""Faults of who may send and of where mail ends: trusted networks, catch-alls, full mailboxes, a queue that stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from runbooklib.diagnosis import Symptom
from runbooklib.testbed.faults.fault import Break, Fault, Mend
from runbooklib.testbed.faults.scene import HERE, Scene
from runbooklib.testbed.faults.shapes import TAKEN_UP

MAIN_CF, QUOTAS = f"{HERE}/config/postfix-main.cf", f"{HERE}/config/dovecot-quotas.cf"
SENDER, FULL = "hi@lantern.example", "ada@lantern.example"
LARGE = (
    """{ printf 'Subject: holiday pictures\\n\\n'; head -c 300000 /dev/zero | base64 -w 76; } | doveadm save -u "$1" """
)


def parameter(name: str, value: str, change: Callable[[str], str]) -> tuple[Break, Mend]:
    """A parameter of Postfix, set in postfix-main.cf and in the container that runs."""

    def injure(scene: Scene) -> list[str]:
        before = scene.mail('postconf -h "$1"', name).strip()
        file = scene.edit("server", MAIN_CF, change)
        _set(scene, name, value)
        return [before, file]

    def mend(scene: Scene, before: list[str]) -> None:
        was, file = before
        scene.write("server", MAIN_CF, file)
        if scene.mail('postconf -h "$1"', name).strip() != was:
            _set(scene, name, was)

    return injure, mend


def _set(scene: Scene, name: str, value: str) -> None:
    scene.mail(f'postconf "$1 = $2" && {TAKEN_UP}', name, value)


def _fill(scene: Scene) -> str:
    before = scene.read("server", QUOTAS)
    scene.mail(LARGE, FULL)
    scene.mail('setup quota set "$1" 200k', FULL)
    scene.until(lambda: _limited(scene), "the new quota")
    return before


def _empty(scene: Scene, before: str) -> None:
    scene.write("server", QUOTAS, before)
    scene.mail('doveadm expunge -u "$1" mailbox INBOX header subject "holiday pictures"', FULL)
    scene.until(lambda: not _limited(scene), "no quota")


def _limited(scene: Scene) -> bool:
    """Whether Dovecot has taken up a quota."""
    return "quota_rule" in scene.mail('grep "^$1:" /etc/dovecot/userdb', FULL)


def _write_to_full(scene: Scene) -> None:
    """Mail for it, which is given back as long as the quota is there."""
    if scene.server('grep -c "^$2:" "$1" || true', QUOTAS, FULL).strip() == "0":
        scene.until(lambda: not _limited(scene), "the end of the quota")
    at_end = scene.tried(r"to=<ada@lantern\.example>.*status=(sent|bounced)")
    scene.send(SENDER, FULL)
    scene.until(at_end, "an attempt to deliver")


def _keep_back(scene: Scene) -> None:
    _set(scene, "defer_transports", "smtp")


def _let_go(scene: Scene, _: object) -> None:
    if scene.mail("postconf -h defer_transports").strip():
        scene.mail(f"postconf -X defer_transports && {TAKEN_UP} && postqueue -f")
    scene.until(lambda: not scene.waiting(), "an empty queue")


def _meet(scene: Scene) -> None:
    """A message that waits, or leaves where nothing is in its way any more."""
    at_end = scene.tried(r"to=<friend@stranger\.example>.*status=")
    scene.send(SENDER)
    scene.until(at_end, "an attempt to deliver")


def _hold(scene: Scene) -> None:
    """A message that waits for a maintenance to end, and was put on hold meanwhile."""
    _keep_back(scene)
    _meet(scene)
    scene.mail("postsuper -h ALL")
    scene.mail(f"postconf -X defer_transports && {TAKEN_UP}")


def _release(scene: Scene, _: Any) -> None:
    scene.mail("postsuper -H ALL; postqueue -f")
    scene.until(lambda: not scene.waiting(), "an empty queue")


BOXES = (
    Fault(
        "catch-all-swallows",
        "the line that answers mailboxes with themselves was taken for a double and deleted",
        "catch-all-swallows",
        Symptom.CANNOT_RECEIVE,
        *parameter(
            "virtual_alias_maps",
            "texthash:/etc/postfix/virtual",
            lambda text: "".join(
                line for line in text.splitlines(keepends=True) if not line.startswith("virtual_alias_maps")
            ),
        ),
    ),
    Fault(
        "open-relay",
        "mynetworks was widened to the world, to get around a login",
        "open-relay",
        Symptom.JUNK,
        *parameter("mynetworks", "0.0.0.0/0 [::]/0", lambda text: f"{text}mynetworks = 0.0.0.0/0 [::]/0\n"),
    ),
    Fault(
        "quota-full",
        "a mailbox is over its quota",
        "quota-full",
        Symptom.BOUNCED,
        _fill,
        _empty,
        meet=_write_to_full,
    ),
    Fault(
        "queue-stuck",
        "mail was kept back for a maintenance, and that never taken out again",
        "queue-deferred",
        Symptom.CANNOT_SEND,
        _keep_back,
        _let_go,
        meet=_meet,
    ),
    Fault(
        "mail-held",
        "messages were put on hold, and nobody released them",
        "queue-held",
        Symptom.CANNOT_SEND,
        _hold,
        _release,
    ),
)
